"""The page of predictions: what it shows of one video, and of hundreds."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import numpy as np
import pytest

from vmz.report.prediction import CLIP_BYTES, MOST_CLIPS, MOST_VIDEOS, Frame, page
from vmz.report.thumbnails import Strip, strip_of
from vmz.results.prediction import ClassScore, ClipScores, Prediction

NAMES = ["asking", "<i>bowing</i>", "cutting"]


def predicted(number: int, clips: int = 4) -> Prediction:
    scores = np.array([0.5, 0.3, 0.2], np.float32)
    top = tuple(ClassScore(label, NAMES[label], float(scores[label])) for label in range(3))
    spans = [(2.0 * place, 2.0 * place + 1) for place in range(clips)]
    return Prediction(f"/films/number_{number}.mp4", top, scores, tuple(ClipScores(span, scores) for span in spans), {})


def made(videos: int, strip: Strip, clips: int = 8, **more: Any) -> str:
    found = [predicted(number) for number in range(videos)]
    frames = {one.video: [Frame.of(strip, None, (float(n), n + 1.0)) for n in range(clips)] for one in found}
    return page(found, frames, [], "r3d-10", {"device": "auto"}, {"engine": "pytorch", "device": "cpu"}, 1.0, **more)


@pytest.fixture(scope="module")
def strip() -> Strip:
    return strip_of(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8))


def test_one_video_has_its_clips_and_curves(strip: Strip) -> None:
    html = unescape(made(1, strip))
    assert "<h1>number_0.mp4</h1>" in html and "1 video, 1.0\u00a0s. r3d-10." in html
    assert html.count("data:image/jpeg;base64,") == 8 and html.count('aria-label="Play the clip at') == 8
    assert "Scores over time" in html and 'id="videos"' not in html and "cpu (found by itself)" in html


def test_where_the_network_looked_comes_with_the_plain_frames(strip: Strip) -> None:
    one = predicted(0)
    html = page([one], {one.video: [Frame.of(strip, strip, None)]}, [], "", {}, {}, 1.0, attention=True)
    assert html.count("data-other=") == 1 and "Red: where the network looked for asking" in html


@pytest.mark.parametrize("videos", [4, 60, MOST_VIDEOS + 5])
def test_many_videos_stand_in_a_table_and_share_the_room(videos: int, strip: Strip) -> None:
    html = made(videos, strip)
    shown = min(videos, MOST_VIDEOS)
    rows = re.findall(r'<a href="#video-(\d+)">(number_\d+.mp4)</a>', html)
    assert rows == [(str(number + 1), f"number_{number}.mp4") for number in range(shown)]
    assert html.count("data:image/jpeg;base64,") == shown * min(8, max(1, MOST_CLIPS // shown))
    assert ("results file (--output) has all" in html) == (videos > MOST_VIDEOS)


def test_hundreds_of_large_clips_stay_a_page_of_a_few_megabytes() -> None:
    large = Strip(bytes(CLIP_BYTES // 20), 8, 176, 99)
    html = made(100, large)
    assert html.count("data:image/jpeg;base64,") == 20 and len(html) < 5_000_000
