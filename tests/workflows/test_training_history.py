from __future__ import annotations

import json

from vmz.video.faults import BadVideo, EndedEarly
from vmz.workflows.training_history import History, epoch_line


def test_each_faulty_video_counts_once_also_after_resuming() -> None:
    history = History()
    bad, early = BadVideo("1", "a.mp4", "no video", 2, "l.csv"), EndedEarly("2", None, 7, "why")
    for _ in range(2):  # two epochs, or two processes
        history.note("train", [bad], [early])
    history.note("test", [], [early])
    history = History(**json.loads(json.dumps(vars(history))))  # as a checkpoint keeps it
    history.note("train", [bad], [early, EndedEarly("3", None, None, "why")])
    assert history.skipped("train") == [bad] and history.skipped("test") == []
    assert [video.key for video in history.ended_early("train")] == ["2", "3"]
    assert history.fault_lines() == [
        "train data: 1 video left out: record 1 (a.mp4, line 2 of l.csv): no video",
        "train data: 2 videos ended early (trained on the frames before): record 2 after 7 frames: why; record 3: why",
        "test data: 1 video ended early (scored from the frames before): record 2 after 7 frames: why",
    ]
    assert History().fault_lines() == [] and History().ended_early("test") == []


def test_an_epochs_line_counts_them() -> None:
    entry = {"epoch": 1, "loss": 1.0, "accuracy": None, "learning_rate": 0.1, "skipped": 1, "ended_early": 2}
    assert epoch_line(entry, 3).endswith("1 training video left out so far, 2 training videos ended early so far")
    assert "so far" not in epoch_line({**entry, "skipped": 0, "ended_early": 0}, 3)
