"""Clips all along a video, one every so many seconds, decoded once from its start to its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any, Optional, Union

import numpy as np

from vmz.text import counted
from vmz.video import sampling
from vmz.video.arguments import VideoInputArgs
from vmz.video.clips import ClipError, check_size, orientation_of
from vmz.video.frames.decoding import DecodingError, Source, Video
from vmz.video.frames.orientation import UPRIGHT
from vmz.video.frames.resampling import Resampled
from vmz.video.frames.scaling import Scaler
from vmz.video.frames.shown_times import ShownTimes
from vmz.video.frames.watch import Watch
from vmz.video.normalisation import normalise


@dataclass(frozen=True)
class Window:
    """One clip: float32 (crops, 3, length, crop, crop), normalised; where it lies.

    start_frame: number of its first frame, from 0. start_seconds, end_seconds: when its first and its last frame are
    shown, by their own timestamps, counted from the video's first frame.
    """

    clip: np.ndarray
    start_frame: int
    start_seconds: float
    end_seconds: float


@dataclass
class _Open:
    """A window whose frames are not all there yet."""

    clip: np.ndarray
    start_frame: int
    start: Fraction
    filled: int = 0


class WindowReader:
    """Iterates the windows of a video in order; what is in memory is the few that a frame can be part of.

    A window starts at the first frame at or after each multiple of `stride` seconds (at each frame, where the stride is
    shorter than one). Windows that the video's end cuts off are not given. After the iteration `frames` and `seconds`
    tell how much was read, `ended_by` why decoding ended early, if it did, `rotation` by how many degrees its metadata
    ask to turn it, `times_mended` at how many frames its times began again or leapt, where a frame's duration
    took their place. Raises ClipError where the video cannot be opened, is shorter than a clip, or has no times.

    args: length_rgb, sampling_rate_rgb, crop_size, crop_per_clip and those of the frames' size count. watch: that of
    the caller, by default one of args.video_timeout.
    """

    def __init__(self, source: Source, args: VideoInputArgs, stride: Fraction, watch: Optional[Watch] = None) -> None:
        args.check()
        self._source, self._args, self._stride = source, args, stride
        self.watch = watch or Watch(args.video_timeout)
        self.frames, self.seconds = 0, 0.0
        self.ended_by: Optional[str] = None
        self.rotation = self.times_mended = 0

    def __iter__(self) -> Iterator[Window]:
        try:
            with Video(self._source, self.watch) as video:
                yield from self._read(video)
                self.ended_by = video.ending.reason if video.ending else None
                self.rotation = video.rotation
        except DecodingError as error:
            raise ClipError(str(error)) from error

    def _read(self, video: Video) -> Iterator[Window]:
        args = self._args
        orientation = orientation_of(self._source, self.watch) if args.autorotate else UPRIGHT
        size = sampling.output_size(args, *orientation.size(video.width, video.height), args.short_edge)
        check_size(size, args)
        scaler = Scaler(*orientation.size(*size))
        crops = sampling.crop_offsets(*size, args.crop_size, args.crop_per_clip)
        last = (args.length_rgb - 1) * args.sampling_rate_rgb
        waiting: list[_Open] = []
        due, given = Fraction(0), 0
        frames: Union[Resampled, _Shown] = Resampled(video, args.fps) if args.fps else _Shown(video)
        times = frames.times
        for number, (frame, time) in enumerate(islice(frames, args.max_frames or None)):
            self.frames, self.seconds, self.times_mended = number + 1, float(time), times.mended
            if time >= due:
                shape = (len(crops), 3, args.length_rgb, args.crop_size, args.crop_size)
                waiting.append(_Open(np.empty(shape, np.float32), number, time))
                due = (time // self._stride + 1) * self._stride
            takers = [one for one in waiting if (number - one.start_frame) % args.sampling_rate_rgb == 0]
            if takers:
                _write(orientation.turn(scaler.convert(frame)), crops, args.crop_size, takers)
            while waiting and number - waiting[0].start_frame == last:
                done = waiting.pop(0)
                given += 1
                yield Window(done.clip, done.start_frame, float(done.start), float(time))
        if not given:
            ended = f" (decoding ended there: {video.ended_by})" if video.ended_by else ""
            raise ClipError(f"{counted(self.frames, 'frame')}{ended}, but {last + 1} make up a clip")


def _write(pixels: np.ndarray, crops: list[tuple[int, int]], crop: int, takers: list[_Open]) -> None:
    """Write a frame into all windows that take it; it is normalised once."""
    for number, (top, left) in enumerate(crops):
        place = takers[0].clip[number, :, takers[0].filled]
        normalise(pixels[top : top + crop, left : left + crop], place)
        for other in takers[1:]:
            other.clip[number, :, other.filled] = place
    for taker in takers:
        taker.filled += 1


class _Shown:
    """Iterates (frame, seconds from the first frame) of all frames of a video."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self.times = ShownTimes(video.time_base, video.rate, video.times_may_restart)

    def __iter__(self) -> Iterator[tuple[Any, Fraction]]:
        for frame, timestamp in self._video.read():
            try:
                yield frame, self.times.next(timestamp)
            except ValueError as error:
                raise ClipError(str(error)) from error
