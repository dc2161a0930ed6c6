"""Frames at a rate of one's own: at each k / fps seconds from the first frame, the last one shown by then.

ops/core/decoding/resampling.cc is the same for the C++ operator: change both.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Optional

from vmz.video.faults import DecodingError
from vmz.video.frames.decoding import Video
from vmz.video.frames.shown_times import ShownTimes

LARGEST_SLIP = Fraction(1, 2000)  # seconds by which a container's clock may round the time of a frame


class Resampled:
    """Iterates (frame, seconds from the first frame) of a video at `fps` frames a second, from its start.

    A time of the file counts as what its clock, which may count milliseconds, can have rounded it from: half a unit
    less. Raises DecodingError where frames have no times. After the iteration is_over tells whether the video is.
    """

    def __init__(self, video: Video, fps: int) -> None:
        self._video, self._fps = video, fps
        self.times = ShownTimes(video.time_base, video.rate, video.times_may_restart)
        self._slip = min(video.time_base / 2, LARGEST_SLIP)
        self.is_over = False

    def __iter__(self) -> Iterator[tuple[Any, Fraction]]:
        held: Any = None
        shown, due = Fraction(0), 0
        for frame, timestamp in self._video.read():
            shown = _next(self.times, timestamp) - self._slip
            while held is not None and Fraction(due, self._fps) < shown:
                yield held, Fraction(due, self._fps)
                due += 1
            held = frame
        if held is not None and Fraction(due, self._fps) <= shown + 2 * self._slip:
            yield held, Fraction(due, self._fps)
        self.is_over = True

    def count(self) -> int:
        """How many frames there are by the times of the packets, which are only read; 0 where they tell none."""
        with_times = self._video.timeline().times
        if not with_times:
            return 0
        for timestamp in with_times:
            last = _next(self.times, timestamp)
        return int((last + self._slip) * self._fps) + 1


def resampled_frames(source: Any, watch: Any, fps: int) -> int:
    """How many frames a video has at `fps` frames a second. Raises DecodingError as Video and Resampled do."""
    with Video(source, watch) as video:
        found = Resampled(video, fps).count()
    if found:
        return found
    with Video(source, watch) as video:
        return sum(1 for _ in Resampled(video, fps))


def noting(frames: Resampled, times: list[float]) -> Iterator[Any]:
    """The frames; `times` gets the second of each."""
    for frame, time in frames:
        times.append(float(time))
        yield frame


def _next(times: ShownTimes, timestamp: Optional[int]) -> Fraction:
    try:
        return times.next(timestamp)
    except ValueError as error:
        raise DecodingError(str(error)) from error
