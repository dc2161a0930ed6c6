"""The original's clips, case by case. The table of all cases is docs/internals/reader_goldens.md."""

import json
from collections import Counter

import pytest

from tests.goldens.reader_cases import (
    FFMPEG_8,
    FLOW,
    IDENTICAL,
    ODD_WIDTH,
    READ,
    REFUSED,
    SAME_HEIGHT,
    STARTS_WHERE_TOLD,
    UNWRITTEN,
    asks_for_flow,
    cases_of,
    outcomes,
    videos,
)
from tests.goldens.recordings import golden_path, needs_shared

LARGE = {
    "flipping_a_pancake.mkv": 3,
    "nasa_13013.mp4": 2,
    "bigbuckbunny.mp4": 6,
    "skeleton.mp4": 8,
    "corrupted.mp4": 4,
    "bikes.mp4": 3,
    "arm_wrestling.mp4": 3,
}


@pytest.mark.parametrize("video", videos())
def test_clips_are_the_original_ones(video, tmp_path):
    counts = Counter(outcome.verdict for outcome in outcomes(video, tmp_path, every=LARGE.get(video, 1)))
    assert counts[IDENTICAL] > 0
    assert sum(map(asks_for_flow, cases_of(video))) == (0 if video == "skeleton.mp4" else 6)
    if video in ("five_frames.mp4", "portrait.mp4", "nasa_13013.mp4", "bikes.mp4", "bigbuckbunny.mp4", "skeleton.mp4"):
        varying = {STARTS_WHERE_TOLD} if video == "skeleton.mp4" else set()  # its frame rate varies
        assert set(counts) <= {IDENTICAL, REFUSED, FLOW, *varying}


@needs_shared
@pytest.mark.slow
def test_all_goldens_are_identical_or_explained(tmp_path):
    counts = Counter(outcome.verdict for video in videos() for outcome in outcomes(video, tmp_path))
    assert sum(counts.values()) == 476
    flow = 61 if FFMPEG_8 else 66
    rgb = 307 if FFMPEG_8 else 319
    assert counts[IDENTICAL] >= rgb  # flow is identical only with the build of OpenCV that the goldens were made with
    counts[IDENTICAL] += counts.pop(FLOW, 0)
    assert counts == {
        REFUSED: 61,
        READ: 11,
        STARTS_WHERE_TOLD: 17,
        UNWRITTEN: 2,
        **({SAME_HEIGHT: 15, ODD_WIDTH: 2} if FFMPEG_8 else {}),
        IDENTICAL: rgb + flow,
    }


def test_names_of_the_goldens():
    assert {"five_frames.mp4", "odd_size.avi", "portrait.mp4"} <= set(videos())
    for video in videos():
        assert json.loads(golden_path(f"reader/{video}.json").read_text())["video"] == video
