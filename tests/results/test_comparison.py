from __future__ import annotations

import json
import math

from vmz.results.comparison import BlobDifference, Comparison
from vmz.video.faults import EndedEarly

BLOBS = [BlobDifference("conv1", "Conv", (2, 3), 1e-6, 2.0), BlobDifference("loss", "AveragedLoss", (), 0.5, 0.0)]
COMPARISON = Comparison("r2d depth 10", BLOBS, 1e-4, {"caffe2": 12.34, "pytorch": 0.5}, [EndedEarly("3", None, 7, "x")])


def test_lines() -> None:
    assert COMPARISON.lines() == [
        "blob   op                   shape                  absolute   relative",
        "conv1  Conv                 2x3                    1.00e-06   5.00e-07",
        "loss   AveragedLoss         scalar                 5.00e-01   5.00e-01  beyond",
        "caffe2 12.3 s, pytorch 0.5 s",
        "1 video ended early (its clips come from the frames before): record 3 after 7 frames: x",
        "different: 1 of 2 blobs beyond 0.0001, the first is loss (AveragedLoss)",
    ]
    equal = Comparison("r2d depth 10", BLOBS[:1], 1e-4, {"caffe2": 1.0, "pytorch": 1.0})
    assert equal.lines()[2:] == [
        "caffe2 1.0 s, pytorch 1.0 s", "equal: 1 blob within 0.0001; largest 5.00e-07 at conv1"
    ]  # fmt: skip
    assert equal.first_beyond() is None and equal.beyond == [] and equal.remarks == []


def test_what_is_no_number_is_beyond() -> None:
    found = Comparison("x", [BlobDifference("a", "Conv", (1,), math.nan, 1.0)], 1e9, {})
    assert found.first_beyond() is found.blobs[0]


def test_the_file_of_results() -> None:
    found = json.loads(json.dumps(COMPARISON.to_json()))
    assert list(found) == ["tolerance", "blobs", "ended_early", "without_sound"] and found["tolerance"] == 1e-4
    assert list(found["blobs"][0].items()) == [
        ("blob", "conv1"), ("kind", "Conv"), ("shape", [2, 3]), ("absolute", 1e-6), ("scale", 2.0), ("relative", 5e-7)
    ]  # fmt: skip
    assert found["ended_early"] == [{"key": "3", "path": None, "frames": 7, "reason": "x", "line": None,
                                     "list_file": None}]  # fmt: skip
