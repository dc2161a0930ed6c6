from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vmz.results.training import Epoch, Point, TrainingResult, VideoFaults
from vmz.training.config import TrainConfig
from vmz.video.faults import BadVideo, EndedEarly

EPOCHS = [
    Epoch(1, 2, 0.1, 2.0, 0.25, 8.0, 2, 8, {"read": 1.0}, 0, 0, {"clip@1": 0.5, "video@1": 0.75}, 8),
    Epoch(2, 4, 0.01, 1.0, 0.5, 8.0, 2, 8, {"read": 1.0}, 1, 0, {"clip@1": 0.25, "video@1": 0.5}, 8),
]
RESULT = TrainingResult(
    points=[Point(1, 2, 0.1, 2.0, 0.25, 8.0, 2, 8, {"read": 1.0})],
    epochs=EPOCHS,
    planned_epochs=3,
    config=TrainConfig(early_stop=1),
    environment={"engine": "pytorch", "device": "cpu"},
    train=VideoFaults([BadVideo("3", "a.mp4", "no video")]),
    test=VideoFaults([], [EndedEarly("5", None, 7, "why")]),
    files=[Path("run_1.mdl"), Path("run_1.pkl")],
    stopped_early=True,
)


def test_lines() -> None:
    assert RESULT.lines() == [
        "trained on pytorch, device cpu",
        "best: epoch 1, clip@1 0.5000, video@1 0.7500",
        "stopped early: 1 epoch without improvement of video@1 and clip@1",
        "train data: 1 video left out: record 3 (a.mp4): no video",
        "test data: 1 video ended early (scored from the frames before): record 5 after 7 frames: why",
        "wrote run_1.mdl",
        "wrote run_1.pkl",
    ]
    bare = replace(RESULT, epochs=[], stopped_early=False, train=VideoFaults(), test=VideoFaults(), files=[])
    assert bare.lines() == ["trained on pytorch, device cpu"] and bare.best is None


def test_the_line_of_an_epoch() -> None:
    """Printed once, when the epoch ends; the lines at the end do not repeat it."""
    line = replace(EPOCHS[1], test_loss=1.25, test_videos=1).line(3)
    assert line == (
        "epoch 2/3, loss 1.0000, accuracy 0.5000, rate 0.01, test loss 1.2500, clip@1 0.2500, video@1 0.5000 "
        "(1 video), 1 training video left out so far"
    )
    assert not any(line.startswith("epoch") for line in RESULT.lines())


def test_the_file_of_results() -> None:
    written = json.loads(json.dumps(RESULT.to_json()))
    assert list(written) == [
        "epochs", "points", "best", "stopped_early", "skipped", "ended_early", "without_sound", "test", "files",
        "not_written", "settings", "options", "environment",
    ]  # fmt: skip
    assert list(written["epochs"][0]) == [
        "epoch", "iteration", "learning_rate", "loss", "accuracy", "clips_per_second", "iterations", "clips", "seconds",
        "skipped", "ended_early", "figures", "test_videos",
    ]  # fmt: skip
    assert list(written["points"][0]) == list(written["epochs"][0])[:9]
    assert written["best"] == written["epochs"][0] and written["files"] == ["run_1.mdl", "run_1.pkl"]
    assert written["skipped"][0]["path"] == "a.mp4" and written["test"]["ended_early"][0]["frames"] == 7
    assert replace(RESULT, epochs=[]).to_json()["best"] is None


@pytest.mark.parametrize("epoch", [*EPOCHS, Epoch(1), Epoch(4, 8, loss=0.5), Epoch(4, figures={"mAP": 0.5})])
def test_an_epoch_goes_through_json(epoch: Epoch) -> None:
    assert Epoch.from_json(json.loads(json.dumps(epoch.to_json()))) == epoch


def test_several_labels_say_that_there_is_no_accuracy() -> None:
    assert Point(1, 2, loss=0.5).to_json() == {"epoch": 1, "iteration": 2, "loss": 0.5, "accuracy": None}
    assert Epoch(1, 2).to_json() == {"epoch": 1, "iteration": 2}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"iteration": 2}, "it has no 'epoch'"),
        ({"epoch": 1}, "it has no 'iteration'"),
        ({"epoch": 1, "iteration": 2, "loss": "low"}, "loss is 'low', not a number or null"),
        ({"epoch": 1, "iteration": 2, "figures": {}}, "'figures' is not known of points"),
        ([1, 2], "it is .* not an object"),
    ],
)
def test_what_is_no_point(entry: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Point.from_json(entry)
