"""The files of ../shared/cases, through the Python reader. Kinds that are made here: test_odd_videos.py."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.goldens import cases
from tests.goldens.cases import FILES, needs_cases
from tests.video.reader.test_odd_videos import read
from vmz.video.arguments import VideoInputArgs
from vmz.video.frames.decoding import Video
from vmz.video.untrimmed import WindowReader

pytestmark = needs_cases


@pytest.mark.parametrize("name", FILES)
def test_start_frames(name: str) -> None:
    cases.check_starts(name, read)


@pytest.mark.parametrize("name", FILES)
def test_random_clips(name: str) -> None:
    cases.check_random(name, read)


@pytest.mark.parametrize("name", FILES)
def test_uniform_clips(name: str) -> None:
    cases.check_uniform(name, read)


def test_faults_of_the_original() -> None:
    cases.check_faults(read)


def test_rotation() -> None:
    cases.check_rotated(read)


@pytest.mark.parametrize("name", FILES)
def test_frames(name: str) -> None:
    cases.check_frames(name)


def test_what_is_told_of_a_video() -> None:
    for name in FILES:
        with Video(cases.content(name)) as video:
            assert sum(1 for _ in video.read()) == FILES[name]
            assert bool(video.ended_by) == ("bad" in name), name
            assert video.rotation == (90 if name == "rotated90.mp4" else 0)
            assert (video.width, video.height) in ((192, 144), (96, 72))


@pytest.mark.parametrize("name", FILES)
def test_windows_cover_all_frames(name: str) -> None:
    args = VideoInputArgs.from_mapping({"batch_size": 1, **cases.ARGS})
    reader = WindowReader(cases.content(name), args, Fraction("0.4"))
    windows = list(reader)
    assert [window.start_frame for window in windows] == list(range(0, FILES[name] - 7, 10))
    assert [window.start_seconds for window in windows] == pytest.approx([0.4 * n for n in range(len(windows))])
    assert [cases.start_of(name, window.clip[0]) for window in windows] == [w.start_frame for w in windows]
    assert reader.frames == FILES[name]
    assert reader.times_mended == (1 if name == "ts_restart.ts" else 0)
