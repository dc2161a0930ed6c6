"""What blobs say about their network, for every network that there is."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from vmz.checkpoints.evidence import Fact, facts
from vmz.models.config import ModelConfig
from vmz.models.families import A_RESNET, AUDIO_VISUAL, AUDIO_VISUAL_BOTTLENECKS, AUDIO_VISUAL_DEPTHS, FAMILIES
from vmz.models.registry import build

SAME_NETWORKS = {26: 18, 50: 34}  # depths of MCx, rMCx and r2df that differ in the number alone


def blobs(**config: Any) -> dict[str, np.ndarray]:
    """Arrays without memory, in the shapes of a network's blobs, under the names that a file has."""
    model = build(ModelConfig(**config))
    shapes = [*model.params, *model.computed_params]
    return {name.rpartition("/")[2]: np.broadcast_to(np.float32(0), shape) for name, shape in shapes}


def by_flag(found: list[Fact]) -> dict[str, Fact]:
    return {fact.flag: fact for fact in found}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_is_told_by_its_blobs(name: str) -> None:
    family = FAMILIES[name]
    for depth in family.depths:
        config: dict[str, Any] = {
            "model_name": name, "model_depth": depth, "channel_multiplier": 0.3, "bottleneck_multiplier": 0.7,
            "num_labels": 7, "multi_label": 1,
        }  # fmt: skip
        if family.stem_frames is None:
            config["conv1_temporal_kernel"] = 5
        found = by_flag(facts(blobs(clip_length=8, **config)))
        if depth not in family.bottlenecks:
            del config["bottleneck_multiplier"]
        for flag, value in {**config, "num_channels": 3, "pred_layer_name": None}.items():
            fact = found[flag]
            assert fact.accepts(value), (depth, flag, fact)
            assert fact.value == value or (flag == "model_depth" and fact.value == SAME_NETWORKS[depth]), (depth, fact)
        for flag, wrong in {"num_labels": 400, "num_channels": 2, "multi_label": 0, "channel_multiplier": 1.0}.items():
            assert not found[flag].accepts(wrong), (depth, flag)
        assert not found["model_depth"].accepts(101 if depth != 101 else 152)
        assert not found["model_name"].accepts("c3d")


SOUND: dict[str, tuple[int, ...]] = {A_RESNET: AUDIO_VISUAL_DEPTHS, **{n: f.depths for n, f in AUDIO_VISUAL.items()}}


@pytest.mark.parametrize("name", SOUND)
def test_every_network_that_hears_is_told_by_its_blobs(name: str) -> None:
    for depth in SOUND[name]:
        config: dict[str, Any] = {
            "model_name": name, "model_depth": depth, "channel_multiplier": 0.3, "bottleneck_multiplier": 0.7,
            "num_labels": 7, "multi_label": 1,
        }  # fmt: skip
        sees = {"conv1_temporal_kernel": 5} if name != A_RESNET else {}
        for more in ({}, {"g_blend": True}) if sees else ({}, {"audio_input_3d": True}):
            found = by_flag(facts(blobs(clip_length=8, **config, **sees, **more)))
            wanted = {**config, **sees, "pred_layer_name": None, "input_type": 3 if sees else 2}
            if depth not in AUDIO_VISUAL_BOTTLENECKS:
                del wanted["bottleneck_multiplier"]
            for flag, value in {**wanted, **({"num_channels": 3} if sees else {})}.items():
                fact = found[flag]
                assert fact.accepts(value), (depth, flag, fact)
                assert fact.value == (101 if value == 68 and flag == "model_depth" else value), (depth, fact)
            for flag, wrong in {"num_labels": 400, "multi_label": 0, "channel_multiplier": 1.0}.items():
                assert not found[flag].accepts(wrong), (depth, flag)
            assert not found["model_name"].accepts("r3d") and ("num_channels" in found) == bool(sees)
            assert not found["model_depth"].accepts(34 if depth != 34 else 152)


@pytest.mark.parametrize("convolutional", [{}, {"crop_size": 128, "use_convolutional_pred": True}])
def test_a_joint_classifier_of_its_own_name(convolutional: dict[str, Any]) -> None:
    known: dict[str, Any] = {"model_name": "av_resnet-r2plus1d", "model_depth": 18, "pred_layer_name": "mine"}
    for more in (convolutional, {"g_blend": True}):
        found = by_flag(facts(blobs(**known, num_labels=5, **more)))
        assert (found["pred_layer_name"].value, found["num_labels"].value) == ("mine", 5)


def test_half_a_network_that_hears_says_nothing() -> None:
    whole = blobs(model_name="av_resnet-r3d", model_depth=18)
    for part in ("v_", "v_comp_3_", "v_conv1", "a_comp_10_", "a_comp_3_"):
        assert facts({name: array for name, array in whole.items() if not name.startswith(part)}) == []
    sound = blobs(model_name="a_resnet", model_depth=18)
    for part in ("comp_3_", "comp_10_", "comp_0_"):
        assert facts({name: array for name, array in sound.items() if not name.startswith(part)}) == []
    odd = {"a_conv1_w": np.zeros(3), "v_conv1_w": np.zeros(3), "a_comp_x_conv_1_w": np.zeros(1)}
    assert facts(odd) == [] and facts({"conv1_w": np.zeros((16, 1, 3, 3)), "conv1_b": np.zeros(16)}) == []


def test_c3d() -> None:
    found = by_flag(facts(blobs(model_name="c3d", num_labels=487)))
    assert (found["model_name"].value, found["num_labels"].value, found["num_channels"].value) == ("c3d", 487, 3)
    assert not found["model_name"].accepts("r3d")


@pytest.mark.parametrize("multiplier", [1.0, 2.0, 0.5, 0.1, 0.05, 0.33, 1.25])
def test_a_multiplier_is_the_shortest_number_that_gives_these_channels(multiplier: float) -> None:
    fact = by_flag(facts(blobs(model_depth=10, channel_multiplier=multiplier)))["channel_multiplier"]
    assert fact.accepts(multiplier) and fact.value == multiplier


def test_a_classifier_of_its_own_name() -> None:
    found = by_flag(facts(blobs(model_depth=10, num_labels=5, pred_layer_name="mine")))
    assert (found["pred_layer_name"].value, found["num_labels"].value) == ("mine", 5)
    assert not found["pred_layer_name"].accepts(None)
    kept = by_flag(facts(blobs(model_depth=10, num_labels=5, pred_layer_name="last_out_L400")))
    assert (kept["pred_layer_name"].value, kept["num_labels"].value) == ("last_out_L400", 5)


def test_a_fully_convolutional_classifier_is_one() -> None:
    config = {"crop_size": 128, "use_convolutional_pred": True, "num_labels": 5}
    assert by_flag(facts(blobs(model_depth=10, **config)))["num_labels"].value == 5


def test_the_first_layer_of_r2d_tells_the_length_of_a_clip() -> None:
    assert by_flag(facts(blobs(model_name="r2d", clip_length=12)))["clip_length_rgb"].value == 12


def test_channels_that_only_flow_has() -> None:
    found = by_flag(facts(blobs(model_depth=10, num_channels=5)))
    assert (found["input_type"].value, found["flow_data_type"].value) == (1, 3)
    assert found["input_type"].accepts(0)  # a network can be looked at on any clips of 5 channels


def test_2d_weights_may_become_those_of_any_network_that_they_can_be_inflated_to() -> None:
    flat = blobs(model_name="r2df", model_depth=18)
    squeezed = {name: array[:, :, 0] if array.ndim == 5 else array for name, array in flat.items()}
    for given in (flat, squeezed):
        found = by_flag(facts(given))
        assert all(found["model_name"].accepts(name) for name in ("r2d", "r2df", "r3d", "mc3", "rmc4"))
        assert not any(found["model_name"].accepts(name) for name in ("r2plus1d", "ir-csn", "ip-csn"))
        assert "conv1_temporal_kernel" not in found
    assert by_flag(facts(flat))["model_name"].known
    assert not by_flag(facts(squeezed))["model_name"].known


def test_3d_weights_cannot_be_made_flat() -> None:
    assert not by_flag(facts(blobs(model_name="r3d")))["model_name"].accepts("mc3")


def test_part_of_a_network_and_foreign_blobs_say_nothing() -> None:
    whole = blobs(model_depth=18)
    assert facts({name: array for name, array in whole.items() if not name.startswith("comp_3_")}) == []
    assert facts({"layer1.0.conv1.weight": np.zeros((64, 3, 7, 7))}) == []
    assert facts({"conv1_w": np.zeros(3)}) == []
    assert facts({}) == []


def test_training_state_is_no_network() -> None:
    whole = blobs(model_depth=10, num_labels=3)
    momenta = {f"{name}_momentum": array for name, array in whole.items()}
    assert by_flag(facts({**momenta, **whole}))["num_labels"].value == 3


def test_facts_go_from_process_to_process():
    found = facts(
        blobs(model_name="r2plus1d", model_depth=18, num_channels=5, multi_label=True, channel_multiplier=0.5)
    )
    assert len(found) > 8
    for fact in found:
        copy = pickle.loads(pickle.dumps(fact))
        assert copy.accepts(fact.value) and copy.accepts(7) == fact.accepts(7)
