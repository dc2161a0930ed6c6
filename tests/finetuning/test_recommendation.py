"""Recommended settings: each follows from the data and the machine, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from vmz.finetuning.recommendation import Situation, recommend

PLENTY: dict[str, Any] = {
    "counts": [100] * 10, "test_videos": 200, "classes": [f"class {number}" for number in range(10)],
    "seconds_of_a_clip": 0.005, "million_parameters": 31.3, "on_gpu": True, "engine": "pytorch", "cores": 16,
    "minutes": 10.0,
}  # fmt: skip


def values(**changes: Any) -> dict[str, Any]:
    return {one.flag: one.value for one in recommend(Situation(**{**PLENTY, **changes}))}


def reasons(**changes: Any) -> dict[str, str]:
    return {one.flag: one.reason for one in recommend(Situation(**{**PLENTY, **changes}))}


def test_many_videos_and_a_fast_machine_train_all_layers() -> None:
    found = values()
    assert found["use_full_ft"] == 1 and "freeze_bn" not in found and found["base_learning_rate"] == 0.002
    assert found["num_epochs"] == 30 and found["test_clip_per_video"] == 10 and found["num_decode_threads"] == 8


def test_few_videos_keep_the_trunk() -> None:
    found, why = values(counts=[60, 9, 60]), reasons(counts=[60, 9, 60])
    assert found["use_full_ft"] == 0 and found["freeze_bn"] == 1 and found["base_learning_rate"] == 0.02
    assert why["use_full_ft"] == "9 videos of a class are too few to train 31.3 million parameters"


def test_a_slow_machine_keeps_the_trunk() -> None:
    found, why = values(seconds_of_a_clip=0.5, on_gpu=False), reasons(seconds_of_a_clip=0.5, on_gpu=False)
    assert found["use_full_ft"] == 0 and found["num_epochs"] == 5 and found["test_clip_per_video"] == 3
    assert why["use_full_ft"] == "training all layers would take 2.1 h on this machine"
    assert why["num_epochs"] == "about 42 min of training, of 10 minutes"


@pytest.mark.parametrize(("minutes", "epochs"), [(1, 5), (2, 8), (60, 30)])
def test_the_time_sets_the_epochs(minutes: float, epochs: int) -> None:
    assert values(counts=[30] * 10, seconds_of_a_clip=0.05, minutes=minutes)["num_epochs"] == epochs


@pytest.mark.parametrize(("name", "mirrored"), [("turn left", 0), ("left_hand", 0), ("Clockwise", 0), ("cleft", 1)])
def test_classes_of_directions_are_not_mirrored(name: str, mirrored: int) -> None:
    assert values(classes=["walk", name]).get("random_mirror", 1) == mirrored


def test_caffe2_gets_what_it_has() -> None:
    found = values(engine="caffe2", counts=[9, 9])
    assert not {"freeze_bn", "channels_last"} & set(found) and found["use_full_ft"] == 0


def test_a_small_set_has_small_batches() -> None:
    assert values(counts=[2, 3])["batch_size"] == 2 and values(counts=[12, 12])["batch_size"] == 6
