"""Which log-mels belong to a clip: the rows of a video stretched, cut and copied as the original does.

ops/core/audio/alignment.cc is the same for the C++ operator: change both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

from vmz.audio.arguments import CENTRED, NO_ALIGNMENT, STRETCHED, AudioArgs


@dataclass(frozen=True)
class Place:
    """What alignment goes by.

    frames: that the container states of the video; 0: no alignment. needed: frames of a clip, from its first to its
    last. first: the clip's first frame, counted from where the sound begins; 0 for several uniform clips. uniform:
    whether the clips are at equal distances, over all of the video.
    """

    frames: int
    needed: int
    first: int
    uniform: bool


def write_log_mels(rows: np.ndarray, args: AudioArgs, place: Place, out: np.ndarray) -> None:
    """Write the log-mels of all clips of a video: out is float32 (clips, 1, logmel_frames, logmel_filters).

    rows: float32 (rows, logmel_filters) of the whole sound. Where there are too few, the rest of a clip is zeros.
    """
    frames = place.frames if len(rows) else 0
    aligned = _aligned(rows, args, place, frames, len(out))
    out[:] = 0
    for number, clip in enumerate(out):
        start = _start(number, len(aligned), args, place, frames, len(out))
        there = max(0, min(args.logmel_frames, len(aligned) - start))
        clip[0, :there] = aligned.rows(start, there)


class _Resized:
    """Rows seen at another rate, resized as OpenCV does; only those that clips take are made.

    kept: the first of them and how many, None: all `count`.
    """

    def __init__(self, rows: np.ndarray, count: int, kept: Optional[tuple[int, int]] = None) -> None:
        self._rows, self._count = rows, count
        start, most = kept or (0, count)
        self._first = min(start, count)
        self._kept = min(most, count - self._first)

    def __len__(self) -> int:
        return self._kept

    def rows(self, start: int, count: int) -> np.ndarray:
        """Those from `start` on."""
        there = len(self._rows)
        if not count:
            return self._rows[:0]
        numbers = self._first + start + np.arange(count)
        if self._count == there:
            return self._rows[numbers]
        if self._count < there:
            return self._rows[numbers * there // self._count]  # the nearest
        position = ((numbers + 0.5) * (there / self._count) - 0.5).astype(np.float32)
        below = np.floor(position).astype(np.int64)
        part = np.where(below < 0, np.float32(0), position - below.astype(np.float32))[:, None]
        low = self._rows[np.clip(below, 0, there - 1)]
        high = self._rows[np.clip(np.maximum(below, 0) + 1, 0, there - 1)]
        return low * (1 - part) + high * part


def _aligned(rows: np.ndarray, args: AudioArgs, place: Place, frames: int, clips: int) -> _Resized:
    """Before the clips are taken: how the rows are stretched, and which remain."""
    k, wanted, length = len(rows), args.logmel_frames, args.audio_length
    if not frames or args.align_audio == NO_ALIGNMENT:
        return _Resized(rows, k)
    if args.align_audio == STRETCHED or length:
        resized = frames * wanted // (place.needed if args.align_audio == STRETCHED else length)
        if place.uniform:
            return _Resized(rows, resized)
        first = place.first
        if args.align_audio == CENTRED and length != place.needed:
            first = max(0, first + place.needed // 2 - length // 2)
        return _Resized(rows, resized, (first * resized // frames, wanted))
    if clips > 1 or k < wanted:
        return _Resized(rows, k)
    start = place.first * k // frames
    if args.align_audio == CENTRED:
        end = (place.first + place.needed) * k // frames
        start = max(0, (start + end) // 2 - wanted // 2)
    return _Resized(rows, k, (start, wanted))


def _start(number: int, k: int, args: AudioArgs, place: Place, frames: int, clips: int) -> int:
    """Where clip `number` begins among `k` rows. In float32, as the original: a double gives other rows."""
    wanted, is_placed = args.logmel_frames, args.align_audio > STRETCHED and clips > 1
    past = wanted - place.needed * k // frames if is_placed and place.uniform and frames else 0
    stride = np.float32(max(0, k + past - wanted)) / np.float32(max(1, clips - 1))
    at = np.float32(number) * stride
    shift = np.float32(0)
    if is_placed and at + np.float32(wanted) > np.float32(k):
        shift = at + np.float32(wanted) - np.float32(k)
    elif is_placed and args.align_audio == CENTRED:
        shift = np.float32(past) / np.float32(2)
    return max(0, math.floor(at - shift))
