"""The files of ../shared/cases, through the C++ operator. Kinds that are made here: test_odd_videos.py."""

from __future__ import annotations

import pytest

from tests.goldens import cases
from tests.goldens.cases import FILES, needs_cases
from tests.ops.helpers.operator import needs_library
from tests.ops.test_odd_videos import read

pytestmark = [needs_cases, needs_library]


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
