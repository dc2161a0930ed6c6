"""The kinds of videos that readers get wrong, through the Python reader. tests/ops has the same for the operator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import pytest

from tests.support import odd_video_checks
from tests.support.odd_video_checks import SOUGHT, TURNS, UNREFERENCED, numbers
from tests.support.odd_videos import KINDS, film, made, rotated
from vmz.video.arguments import VideoInputArgs
from vmz.video.clips import ClipError, Clips, read_clips
from vmz.video.frames.decoding import Video


def read(file: Union[bytes, str], starts: Sequence[Optional[int]], **args: Any) -> list[Union[np.ndarray, str]]:
    checked = VideoInputArgs.from_mapping({"batch_size": 1, **args})
    found: list[Union[np.ndarray, str]] = []
    for place, start in enumerate(starts):
        out = np.empty((checked.rows, 3, checked.length_rgb, checked.crop_size, checked.crop_size), np.float32)
        try:
            read_clips(file, start, checked, np.random.default_rng((checked.seed, place)), Clips(out))
            found.append(out)
        except ClipError as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("name", KINDS)
def test_start_frames_are_counted_as_they_are_shown(name: str) -> None:
    odd_video_checks.check_start_frames(name, read)


@pytest.mark.parametrize("name", KINDS)
def test_random_clips_reach_all_of_a_video(name: str) -> None:
    odd_video_checks.check_random_clips(name, read)


@pytest.mark.parametrize("name", KINDS)
def test_uniform_clips(name: str) -> None:
    odd_video_checks.check_uniform_clips(name, read)


@pytest.mark.parametrize("codec", UNREFERENCED)
def test_frames_passed_over_on_the_way_change_nothing(codec: str) -> None:
    odd_video_checks.check_frames_passed_over(codec, read)


def test_damage_on_the_way_is_mended_as_from_the_start() -> None:
    odd_video_checks.check_damage_on_the_way(read)


@pytest.mark.parametrize("ending", SOUGHT)
def test_damage_before_the_key_frame_is_passed_by(ending: str) -> None:
    odd_video_checks.check_damage_is_passed_by(ending, read)


@pytest.mark.parametrize("name", TURNS)
def test_frames_are_turned_when_asked(name: str) -> None:
    odd_video_checks.check_turn(name, read)


def test_faults_of_the_original() -> None:
    odd_video_checks.check_faults(read)


def test_frames_before_rubbish_are_kept() -> None:
    odd_video_checks.check_rubbish(read)


def test_a_jpeg_without_its_end() -> None:
    odd_video_checks.check_cut_jpeg(read)


def test_long_videos_are_read_to_their_end() -> None:
    odd_video_checks.check_long(read)


def test_only_a_cover() -> None:
    odd_video_checks.check_only_a_cover(read)


@pytest.mark.parametrize(
    "name", ["plain", "times begin at 3 s", "varying rate", "open GOPs", "VP9", "B frames in Matroska"]
)
def test_a_late_start_is_sought_not_decoded_up_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0
    decode = Video._decode

    def counted(self: Video, packets: Any) -> Any:
        nonlocal decoded
        for frame in decode(self, packets):
            decoded += 1
            yield frame

    monkeypatch.setattr(Video, "_decode", counted)
    assert numbers(read, made(name), [40], decode_type=2) == [[40, 41, 42, 43]]
    assert decoded < 25


def test_where_seeking_goes_wrong_the_video_is_decoded_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for lie in (lambda self, timestamp: False, lambda self, timestamp: True):  # refuses; stays at the end of the file
        monkeypatch.setattr(Video, "seek", lie)
        assert numbers(read, made("plain"), [40], decode_type=2) == [[40, 41, 42, 43]]


def test_rotation_is_known(tmp_path: Path) -> None:
    for matrix, degrees in (((1, 0, 0, 1), 0), ((0, 1, -1, 0), -90), ((0, -1, 1, 0), 90), ((-1, 0, 0, -1), -180)):
        with Video(rotated(film(3, codec="mpeg4"), matrix)) as video:
            assert next(video.read())[0].rotation == video.rotation == degrees


def test_an_angle_that_is_not_a_right_one() -> None:
    odd_video_checks.check_aslant(read)
