from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, Optional

import pytest

from vmz.engines.trainer import Step
from vmz.errors import VmzError
from vmz.results.training import Epoch, VideoFaults
from vmz.training.history import History
from vmz.video.faults import BadVideo, EndedEarly


def step(number: int, loss: float, accuracy: Optional[float], clips: int) -> Step:
    return Step(number, 0.01, loss, accuracy, clips, {"read": 0.25, "compute": 0.5})


def test_points_of_unequal_length_give_the_mean_of_the_epoch() -> None:
    """Three points of 4, 4 and 1 iterations: their plain mean is another number."""
    history = History()
    losses = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    for number, loss in enumerate(losses, 1):
        one = step(number, loss, number / 9, 6)
        history.add(one, seconds=number)
        assert history.means("epoch", one)["loss"] == pytest.approx(sum(losses[:number]) / number)
        if number in (4, 8, 9):
            history.take_point(one, 1)
    history.take_epoch(one, 1)
    (epoch,), points = history.epochs, history.points
    assert epoch.loss == pytest.approx(0.6) and epoch.accuracy == pytest.approx(5 / 9) and epoch.clips == 54
    assert epoch.clips_per_second == pytest.approx(54 / 45) and epoch.seconds == {"read": 2.25, "compute": 4.5}
    assert [point.clips for point in points] == [24, 24, 6] and [point.iterations for point in points] == [4, 4, 1]
    for name in ("loss", "accuracy"):
        assert sum(getattr(p, name) * (p.clips or 0) for p in points) / 54 == pytest.approx(getattr(epoch, name))
    assert sum(point.loss or 0 for point in points) / 3 == pytest.approx(0.5)
    assert epoch.line(3) == "epoch 1/3, loss 0.6000, accuracy 0.5556, rate 0.01"


def test_iterations_of_unequal_batches_count_by_their_clips() -> None:
    history = History()
    for number, (loss, clips) in enumerate([(1.0, 30), (2.0, 10)], 1):
        history.add(step(number, loss, None, clips), 1.0)
    epoch = history.take_epoch(step(2, 2.0, None, 10), 1)
    assert epoch.loss == 1.25 and epoch.accuracy is None and epoch.clips == 40
    assert epoch.to_json()["accuracy"] is None and "figures" not in epoch.to_json()


def test_a_history_goes_on_in_the_midst_of_an_epoch() -> None:
    """Through JSON, as a checkpoint holds it; and one of before, whose sums were of iterations."""
    whole, first = History(), History()
    for number in range(1, 4):
        for one in (whole, first):
            one.add(step(number, number, 0.5, 8), 1.0)
    later = History.restored(json.loads(json.dumps(first.to_json())))
    sums = {"iterations": 3, "loss": 6.0, "accuracy": 1.5, "seconds": 3.0, "clips": 24, "read_seconds": 0.75}
    before = History.restored({"points": [], "epochs": [], "sums": {"epoch": dict(sums), "point": {}}})
    last = step(4, 10.0, 1.0, 8)
    for one in (whole, later, before):
        one.add(last, 1.0)
    expected = whole.take_epoch(last, 1)
    assert later.take_epoch(last, 1) == expected and expected.loss == 4 and expected.accuracy == 0.625
    assert before.take_epoch(last, 1).loss == 4


def evaluated(*epochs: tuple[float, float, Optional[float]], names: tuple[str, str] = ("video@1", "clip@1")) -> History:
    """Epochs by their two figures and the loss."""
    history = History()
    for number, (first, second, loss) in enumerate(epochs, 1):
        history.epochs.append(Epoch(number, loss=loss, figures={names[1]: second, names[0]: first}))
    return history


NAN = float("nan")


@pytest.mark.parametrize("names", [("video@1", "clip@1"), ("mAP", "mAUC")])
@pytest.mark.parametrize(
    ("epochs", "best", "rise"),
    [
        ([(0.5, 0.9, 1.0), (0.6, 0.1, 2.0), (0.5, 1.0, 0.1)], 2, 2),  # the first figure goes before all
        ([(1.0, 0.6, 1.0), (1.0, 0.8, 2.0), (1.0, 0.7, 0.1)], 2, 2),  # of equals the second
        ([(1.0, 0.8, 0.9), (1.0, 0.8, 0.5), (1.0, 0.8, 0.7)], 2, 1),  # then the loss, which is no rise
        ([(1.0, 0.8, 0.5), (1.0, 0.8, 0.5)], 1, 1),  # then the first
        ([(1.0, 0.8, None), (1.0, 0.8, 9.0)], 2, 1),  # one without a loss is last
        ([(NAN, NAN, 0.5), (0.1, NAN, 0.9), (NAN, 0.9, 0.1)], 2, 2),  # what is no number is the worst
        ([], None, None),
    ],
)
def test_the_best_epoch(
    names: tuple[str, str], epochs: list[tuple[float, float, Optional[float]]], best: Optional[int], rise: Optional[int]
) -> None:
    history = evaluated(*epochs, names=names)
    found = history.best()
    assert (None if found is None else found.epoch) == best and history.last_rise() == rise


def test_epochs_without_an_evaluation_are_never_the_best() -> None:
    history = evaluated((0.5, 0.5, 1.0))
    history.epochs.append(Epoch(2, loss=0.1))
    found = history.best()
    assert found is not None and found.epoch == 1 and history.last_rise() == 1


def test_each_faulty_video_counts_once_also_after_resuming() -> None:
    history = History()
    bad, early = BadVideo("1", "a.mp4", "no video", 2, "l.csv"), EndedEarly("2", None, 7, "why")
    for _ in range(2):  # two epochs, or two processes
        history.note("train", [bad], [early])
    history.note("test", [], [early])
    history = History.restored(json.loads(json.dumps(history.to_json())))  # as a checkpoint keeps it
    history.note("train", [bad], [early, EndedEarly("3", None, None, "why")])
    train, test = history.faults_of("train"), history.faults_of("test")
    assert train.skipped == [bad] and test.skipped == [] and test.ended_early == [early]
    assert [video.key for video in train.ended_early] == ["2", "3"]
    assert history.fault_lines() == [
        "train data: 1 video left out: record 1 (a.mp4, line 2 of l.csv): no video",
        "train data: 2 videos ended early (trained on the frames before): record 2 after 7 frames: why; record 3: why",
        "test data: 1 video ended early (scored from the frames before): record 2 after 7 frames: why",
    ]
    assert History().fault_lines() == [] and History().faults_of("test") == VideoFaults([], [], [])


def test_an_epochs_line_counts_them() -> None:
    epoch = Epoch(1, loss=1.0, learning_rate=0.1, skipped=1, ended_early=2)
    assert epoch.line(3).endswith("1 training video left out so far, 2 training videos ended early so far")
    assert "so far" not in replace(epoch, skipped=0, ended_early=0).line(3)


RECORDS: dict[str, Any] = {
    "points": [
        {"epoch": 1, "iteration": 2, "learning_rate": 0.1, "loss": 2, "accuracy": None, "clips_per_second": 3.5,
         "iterations": 2, "clips": 8, "seconds": {"read": 1.5, "compute": 2}},
    ],
    "epochs": [
        {"epoch": 1, "iteration": 2},  # of the original's training
        {"epoch": 2, "iteration": 4, "learning_rate": 0.1, "loss": 1.5, "accuracy": 0.25, "clips_per_second": 3.5,
         "seconds": {}},  # of before: means over nobody said how many clips
        {"epoch": 3, "iteration": 6, "learning_rate": 0.1, "loss": 1.5, "accuracy": 0.25, "clips_per_second": 3.5,
         "iterations": 2, "clips": 8, "seconds": {"read": 1.5}, "skipped": 0, "ended_early": 1,
         "figures": {"clip@1": 0.5, "video@1": 1.0}, "test_videos": 8},
    ],
    "sums": {"epoch": {}, "point": {}},
    "faults": {},
}  # fmt: skip


def test_what_is_restored_is_kept_as_it_was() -> None:
    history = History.restored(json.loads(json.dumps(RECORDS)))
    assert json.dumps(history.to_json()) == json.dumps(RECORDS)
    assert history.best() is history.epochs[2] and history.epochs[0].line(3) == "epoch 1/3"
    unknown = History.restored({"epochs": [{"epoch": 1, "figures": {"video@1": None}}]}).epochs[0]
    assert unknown.figures is not None and math.isnan(unknown.figures["video@1"])


def test_an_evaluation_is_taken_over_from_its_weights() -> None:
    history = History.restored(json.loads(json.dumps({**RECORDS, "epochs": RECORDS["epochs"][:1]})))
    metrics = {**RECORDS["epochs"][2], "epoch": 1, "iteration": 2}
    history.take_over_evaluation({"metrics": metrics})
    assert json.dumps(history.epochs[-1].to_json()) == json.dumps(metrics)
    history.take_over_evaluation({"metrics": None})
    assert history.epochs[-1].to_json() == metrics
    with pytest.raises(VmzError, match="the account of an epoch is damaged"):
        history.take_over_evaluation({"metrics": {"figures": [0.5]}})


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown": 1},
        {"sums": {"epoch": {"accuracy": 1.0, "loss": 1.0, "clips": 1}, "point": {}}},
        {"sums": {"epoch": {"accuracy": 1.0, "loss": 1.0, "clips": 1, "iterations": 0}, "point": {}}},
        {"points": [{"epoch": 1}]},
        {"points": [{"epoch": 1, "iteration": 4, "loss": "0.5"}]},
        {"epochs": [{"epoch": 1, "figures": {"video@1": "high"}}]},
        {"epochs": [{"epoch": 1, "temperature": 21.0}]},
        {"epochs": 3},
        {"faults": {"skipped": {"train": {"0": {"key": "0", "path": None, "reason": "x", "more": 1}}}}},
    ],
)
def test_a_damaged_history_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(VmzError, match="the checkpoint's history of its run is damaged"):
        History.restored({"points": [], "epochs": [], **changes})


def test_the_faults_of_an_evaluation_are_taken_over_from_its_weights() -> None:
    """A run that dies after an epoch's evaluation has told of them in the file of weights alone."""
    history, resumed = History(), History()
    history.note("train", [], [])
    history.note("test", [BadVideo("3", "a.mp4", "no frame")], [])
    resumed.note("train", [], [])
    resumed.take_over_tested(json.loads(json.dumps(history.tested())))
    assert resumed.faults == history.faults and [bad.key for bad in resumed.faults_of("test").skipped] == ["3"]
    for damaged in ([1], {"skipped": 3}, {"skipped": {"3": {"wrong": 1}}}):
        with pytest.raises(VmzError, match="is damaged"):
            History().take_over_tested(damaged)  # type: ignore[arg-type]
