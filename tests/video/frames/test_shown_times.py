"""Times of frames that advance, whatever the file says."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Optional

import pytest

from vmz.video.frames.shown_times import ShownTimes


def times(stated: Sequence[Optional[int]], rate: float = 25, may_restart: bool = True) -> tuple[list[float], int]:
    """In hundredths of a second, and how many were mended."""
    clock = ShownTimes(Fraction(1, 100), rate, may_restart)
    return [float(clock.next(time) * 100) for time in stated], clock.mended


@pytest.mark.parametrize(
    ("stated", "shown", "mended"),
    [
        ([300, 304, 308, 350], [0, 4, 8, 50], 0),
        ([100, 104, 190, 0, 4, 50], [0, 4, 90, 176, 180, 226], 1),  # another recording, its own times kept
        ([0, 4, 8, 4, 16, 20], [0, 4, 8, 12, 16, 20], 1),  # a slip of one frame
        ([0, 4, 8, 8, 8, 20], [0, 4, 8, 12, 16, 20], 2),
        ([0, 4, 8, 8, 12], [0, 4, 8, 12, 16], 2),
        ([0, 4, 100_000, 100_004, 100_050], [0, 4, 8, 12, 58], 1),  # a gap of a quarter of an hour
        ([0, 4, 800], [0, 4, 800], 0),  # a pause
        ([None, None, 50, 54], [0, 4, 8, 12], 0),
        ([0, 4, None, 12], [0, 4, 8, 12], 0),
        ([None, None, None], [0, 4, 8], 0),
        ([-8, -4, 0, 4], [0, 4, 8, 12], 0),
    ],
)
def test_times_advance(stated: Sequence[Optional[int]], shown: list[float], mended: int) -> None:
    assert times(stated) == (shown, mended)


def test_where_times_do_not_restart_a_long_pause_is_one() -> None:
    assert times([0, 4, 100_000], may_restart=False) == ([0, 4, 100_000], 0)
    assert times([0, 4, 100_000_000], may_restart=False) == ([0, 4, 8], 1)


def test_neither_times_nor_a_rate() -> None:
    clock = ShownTimes(Fraction(0), 0, True)
    assert clock.next(None) == 0
    with pytest.raises(ValueError, match="no timestamps and it states no frame rate"):
        clock.next(None)
