"""Frames converted, each once, and written to their places in the clips of a batch; and what chance decides of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Optional

import numpy as np

from vmz.video import sampling
from vmz.video.arguments import VideoInputArgs
from vmz.video.frames.flow import Crop, FlowWriter, cropped
from vmz.video.frames.orientation import Orientation
from vmz.video.frames.scaling import Scaler
from vmz.video.normalisation import write_pixels


@dataclass(frozen=True)
class Clips:
    """Where the clips of one video go, where they are asked for: float32 (clips * crops, channels, length, crop, crop).

    data: RGB, normalised; or uint8 (clips * crops, length, crop, crop, 3), as they are. flow: optical flow. logmels:
    float32 (clips * crops, 1, logmel_frames, logmel_filters).
    """

    data: Optional[np.ndarray]
    flow: Optional[np.ndarray] = None
    logmels: Optional[np.ndarray] = None


@dataclass(frozen=True)
class Draws:
    """What chance decides for one video, drawn before decoding so that it never depends on how decoding goes."""

    short_edge: int
    strides: tuple[int, ...]
    start: float  # where a random clip starts, in [0, 1)
    crops: tuple[tuple[float, float], ...]  # where random crops lie, from the top and from the left, in [0, 1)
    mirrors: tuple[bool, ...]


def draw(args: VideoInputArgs, random: np.random.Generator) -> Draws:
    """Draw all of it."""
    return Draws(
        short_edge=int(random.choice(args.drawn_edges)) if args.drawn_edges else args.short_edge,
        strides=tuple(int(s) for s in random.integers(1, args.random_sampling_rate + 1, args.clips))
        if args.random_sampling_rate
        else (args.sampling_rate_rgb,) * args.clips,
        start=float(random.random()),
        crops=tuple((float(y), float(x)) for y, x in random.random((args.clips, 2))),
        mirrors=tuple(bool(args.random_mirror and draw < 0.5) for draw in random.random(args.clips)),
    )


class ClipWriter:
    """Converts the frames that clips take, each once, and writes crops of them to their places in the batch."""

    def __init__(
        self, size: tuple[int, int], orientation: Orientation, args: VideoInputArgs, draws: Draws, out: Clips
    ) -> None:
        self._args, self._draws, self._out = args, draws, out
        self._size = size  # (width, height) of the converted frames, turned
        self._orientation = orientation
        self._scaler = Scaler(*orientation.size(*size))
        self._crops = [crop for clip in range(args.clips) for crop in self._crops_of(clip)]  # of each row

    def write(self, frames: Iterable[Any], starts: list[int], stop: int) -> int:
        """Read `frames` up to number `stop` and return how many there were."""
        places, flow = self._places(starts), self._flow_writer(starts)
        read = 0
        for number, frame in enumerate(islice(frames, stop)):
            read = number + 1
            for_flow = flow is not None and flow.wants(number)
            if number not in places and not for_flow:
                continue
            pixels = self._orientation.turn(self._scaler.convert(frame))
            for clip, place in places.get(number, ()):
                self.write_crops(pixels, clip, place)
            if flow is not None and for_flow:
                flow.add(number, pixels)
        return read

    def _places(self, starts: list[int]) -> dict[int, list[tuple[int, int]]]:
        """{frame number: the (RGB clip, place in it) that it goes to}."""
        places: dict[int, list[tuple[int, int]]] = {}
        for clip, start in enumerate(starts):
            for place in range(self._args.length_rgb if self._args.get_rgb else 0):
                places.setdefault(start + place * self._draws.strides[clip], []).append((clip, place))
        return places

    def write_crops(self, pixels: np.ndarray, clip: int, place: int) -> None:
        """Write frame number `place` of an RGB clip, from uint8 pixels (height, width, 3)."""
        assert self._out.data is not None
        crops = self._args.crop_per_clip
        for row in range(clip * crops, (clip + 1) * crops):
            write_pixels(cropped(pixels, self._crops[row], self._args.crop_size), self._out.data[row], place)

    def _flow_writer(self, starts: list[int]) -> Optional[FlowWriter]:
        if self._out.flow is None:
            return None
        return FlowWriter(self._args, self._crops, np.repeat(starts, self._args.crop_per_clip).tolist(), self._out.flow)

    def _crops_of(self, clip: int) -> list[Crop]:
        (width, height), size, mirror = self._size, self._args.crop_size, self._draws.mirrors[clip]
        if not self._args.random_crop:
            offsets = sampling.crop_offsets(width, height, size, self._args.crop_per_clip)
            return [Crop(top, left, mirror) for top, left in offsets]
        y, x = self._draws.crops[clip]  # uniform, both ends included
        return [Crop(int(y * (height - size + 1)), int(x * (width - size + 1)), mirror)]
