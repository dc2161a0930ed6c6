"""The kinds of videos that readers get wrong, through the C++ operator, as tests/support/odd_videos.py checks them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import pytest

from tests.ops.helpers.databases import record, write
from tests.ops.helpers.operator import needs_library, opened
from tests.support import odd_video_checks
from tests.support.odd_video_checks import SOUGHT, TURNS, UNREFERENCED
from tests.support.odd_videos import KINDS

pytestmark = needs_library


def read(file: bytes, starts: Sequence[Optional[int]], **args: Any) -> list[Union[np.ndarray, str]]:
    """Each start is a record of the same video."""
    ours = {"on_bad_video": "skip", "get_record_index": 1, "get_skipped": 1, "wrap_around": 0}
    with tempfile.TemporaryDirectory() as folder:
        database = write(Path(folder) / "db", [record(file, 0, start) for start in starts])
        with opened(database, {"batch_size": len(starts), **args, **ours}) as operator:
            try:
                batch = operator.run()
            except RuntimeError as error:  # no record can be read
                return [re.sub(r".*?the last one is record \d+: ", "", str(error), flags=re.S).split("\n")[0]]
            reasons = {int(key): reason for key, _, reason in operator.skipped()}
    clips = batch["data"].reshape(len(batch["record_index"]), -1, *batch["data"].shape[1:])
    found: dict[int, Union[np.ndarray, str]] = dict(zip(batch["record_index"].tolist(), clips))
    return [found.get(place, reasons.get(place, "")) for place in range(len(starts))]


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


def test_an_angle_that_is_not_a_right_one() -> None:
    odd_video_checks.check_aslant(read)
