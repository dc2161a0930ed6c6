"""Optical flow of clips, as the original computes it: between cropped gray frames, by OpenCV, chained across gaps."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from vmz.video.arguments import DIS, VideoInputArgs
from vmz.video.frames.opencv import opencv
from vmz.video.normalisation import normalise

# Of dx, dy, their magnitude (of the normalised two), and gray levels.
MEAN = np.array([0.0046635, 0.0046261, 0.963986, 102.976], dtype=np.float32)
STD = np.array([0.972347, 0.755146, 1.43588, 55.3691], dtype=np.float32)
_SCALE = np.float32(1) / STD

MAGNITUDE, GRAY, RGB = 1, 2, 3  # flow_data_type: what follows dx and dy

Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Gray frames, uint8 (h, w), the first and the second -> float32 (h, w, 2): dx, dy in pixels."""


class Crop(NamedTuple):
    """The square that a row of the batch shows."""

    top: int
    left: int
    mirror: bool


class _Link(NamedTuple):
    """A pair's part in the flow at `place` of a row."""

    row: int
    place: int
    is_first: bool
    is_last: bool


def estimator(algorithm: int) -> Estimator:
    """The function behind flow_alg_type. It keeps what it works with: one a thread."""
    cv2 = opencv()
    if algorithm == DIS:
        dis = cv2.DISOpticalFlow.create()
        return lambda first, second: np.asarray(dis.calc(first, second, None))
    scale, levels, window, iterations, poly_n, poly_sigma = math.sqrt(2) / 2, 5, 10, 2, 7, 1.5
    how = (scale, levels, window, iterations, poly_n, poly_sigma, cv2.OPTFLOW_FARNEBACK_GAUSSIAN)
    return lambda first, second: np.asarray(cv2.calcOpticalFlowFarneback(first, second, None, *how))


def frame_pairs(args: VideoInputArgs, place: int) -> list[tuple[int, int]]:
    """The pairs of frames whose flows, one chained to the other, are the clip's flow number `place`.

    Frames count from the clip's start.
    """
    first, gap = place * args.sampling_rate_of, args.frame_gap_of
    if not args.do_flow_aggregation:
        return [(first, first + gap)]
    return [(frame, frame + 1) for frame in range(first, first + gap)]


def chain(flow: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Flow across two gaps: each vector goes on with the `following` one of the pixel nearest to its end.

    Both and the result are float32 (2, h, w), dx and dy. Ends outside the frame count as on its border.
    """
    _, height, width = flow.shape
    x = np.clip(np.rint(flow[0] + np.arange(width, dtype=np.float32)), 0, width - 1).astype(np.intp)
    y = np.clip(np.rint(flow[1] + np.arange(height, dtype=np.float32)[:, None]), 0, height - 1).astype(np.intp)
    return np.asarray(flow + following[:, y, x])


class FlowWriter:
    """The flow of clips whose frames come one after the other, each pair of frames computed once a crop.

    `crops` and `starts` tell of each row of `out` what it shows and at which frame its clip begins. `out`: float32
    (rows, channels, length, crop, crop). Channels by flow_data_type: dx, dy, and behind them nothing, the magnitude,
    the first frame in gray, or its R, G, B.
    """

    def __init__(self, args: VideoInputArgs, crops: Sequence[Crop], starts: Sequence[int], out: np.ndarray) -> None:
        self._kind, self._size, self._out = args.flow_data_type, args.crop_size, out
        self._span = 1 if args.do_flow_aggregation else args.frame_gap_of
        self._estimate = estimator(args.flow_alg_type)
        self._crops_of: dict[int, set[Crop]] = defaultdict(set)  # of each frame that a pair takes
        self._shown: dict[int, list[tuple[int, int]]] = defaultdict(list)  # (row, place) whose first frame it is
        self._links: dict[tuple[int, Crop], list[_Link]] = defaultdict(list)  # of the pair that ends with the frame
        self._grays: dict[tuple[int, Crop], np.ndarray] = {}
        self._crops = crops
        for row, (crop, start) in enumerate(zip(crops, starts)):
            for place in range(args.length_of):
                pairs = frame_pairs(args, place)
                self._shown[start + pairs[0][0]].append((row, place))
                for pair in pairs:
                    first, second = start + pair[0], start + pair[1]
                    self._crops_of[first].add(crop)
                    self._crops_of[second].add(crop)
                    self._links[second, crop].append(_Link(row, place, pair is pairs[0], pair is pairs[-1]))

    def wants(self, frame: int) -> bool:
        """Whether a flow is computed from, or to, the frame of this number."""
        return frame in self._crops_of

    def add(self, frame: int, pixels: np.ndarray) -> None:
        """Take the next wanted frame, uint8 (height, width, 3), and write what it completes."""
        cv2 = opencv()
        for crop in self._crops_of[frame]:
            square = np.ascontiguousarray(cropped(pixels, crop, self._size))
            gray = self._grays[frame, crop] = cv2.cvtColor(square, cv2.COLOR_RGB2GRAY)
            links = self._links.get((frame, crop))
            if links:
                flow = self._estimate(self._grays[frame - self._span, crop], gray).transpose(2, 0, 1)
                for link in links:
                    self._add_link(link, flow)
        for row, place in self._shown.get(frame, ()):
            self._write_picture(row, place, frame, pixels)
        for old in [key for key in self._grays if key[0] <= frame - self._span]:
            del self._grays[old]

    def _add_link(self, link: _Link, flow: np.ndarray) -> None:
        planes = self._out[link.row, :, link.place]
        planes[:2] = flow if link.is_first else chain(planes[:2], flow)
        if not link.is_last:
            return
        for channel in (0, 1):
            _normalise(planes[channel], channel)
        if self._kind == MAGNITUDE:
            np.add(np.abs(planes[0]), np.abs(planes[1]), out=planes[2])
            _normalise(planes[2], 2)

    def _write_picture(self, row: int, place: int, frame: int, pixels: np.ndarray) -> None:
        planes = self._out[row, :, place]
        if self._kind == GRAY:
            planes[2] = self._grays[frame, self._crops[row]]
            _normalise(planes[2], 3)
        elif self._kind == RGB:
            normalise(cropped(pixels, self._crops[row], self._size), planes[2:])


def cropped(pixels: np.ndarray, crop: Crop, size: int) -> np.ndarray:
    """A view of the square of `size` pixels in pixels (height, width, 3)."""
    square = pixels[crop.top : crop.top + size, crop.left : crop.left + size]
    return square[:, ::-1] if crop.mirror else square


def _normalise(plane: Any, channel: int) -> None:
    """In place: (value - mean) * (1 / std), in float32."""
    plane -= MEAN[channel]
    plane *= _SCALE[channel]
