"""When frames are shown, in seconds from the first one, also where the times of a file begin again or leap."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Optional

# A gap that is longer is no pause but another recording: where times may restart as FFmpeg's command line has it, else
# so long that no recording stands still for it.
LONGEST_PAUSE, LONGEST_PAUSE_ELSEWHERE = Fraction(10), Fraction(30 * 3600)
RESTART = Fraction(1, 2)  # a step back that is longer is another recording, a shorter one a slip of a frame


class ShownTimes:
    """Gives each frame, in the order of showing, a time later than the one before.

    A frame without a timestamp, or with one that does not advance or leaps, comes a frame's duration after the one
    before it. Where another recording begins, its own times are kept from there on, moved. `mended` counts the places
    where stated times did not advance or leapt.

    time_base: seconds of a timestamp's unit, 0 where unknown. rate: frames a second as stated, or 0.
    may_restart: whether the container is of a kind whose times begin again.
    """

    def __init__(self, time_base: Fraction, rate: float, may_restart: bool) -> None:
        self._base = time_base
        stated = Fraction(rate).limit_denominator(1001)
        self._step = 1 / stated if stated else None  # duration of the frame before
        self._pause = LONGEST_PAUSE if may_restart else LONGEST_PAUSE_ELSEWHERE
        self._moved: Optional[Fraction] = None  # to add to a stated time
        self._last: Optional[Fraction] = None
        self.mended = 0

    def next(self, timestamp: Optional[int]) -> Fraction:
        """Seconds from the first frame. ValueError where neither timestamps nor a rate tell any."""
        stated = None if timestamp is None or not self._base else timestamp * self._base
        if self._last is None:
            self._moved, self._last = None if stated is None else -stated, Fraction(0)
            return self._last
        if stated is not None and self._moved is None:  # the first frames had no times
            self._moved = self._last + self._duration() - stated
        time = None if stated is None or self._moved is None else stated + self._moved
        if time is None or time <= self._last or time - self._last > self._pause:
            following = self._last + self._duration()
            if time is not None and not -RESTART <= time - self._last <= self._pause:
                assert self._moved is not None
                self._moved += following - time
            self.mended += time is not None
            time = following
        else:
            self._step = time - self._last
        self._last = time
        return time

    def _duration(self) -> Fraction:
        if self._step is None:
            raise ValueError("its frames have no timestamps and it states no frame rate")
        return self._step


def noting_shown(video: Any, times: list[float]) -> Iterator[Any]:
    """The frames of a Video. `times` gets the second at which each is shown, and becomes empty where there are none."""
    shown: Optional[ShownTimes] = ShownTimes(video.time_base, video.rate, video.times_may_restart)
    for frame, timestamp in video.read():
        try:
            if shown is not None:
                times.append(float(shown.next(timestamp)))
        except ValueError:
            shown = None
            times.clear()
        yield frame
