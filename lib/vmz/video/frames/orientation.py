"""Display matrices: how a player turns the frames of a phone's video. Readers leave them alone unless asked."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Orientation:
    """What a display matrix does to frames: rows and columns exchanged first, then mirrored.

    `rotation`: in degrees, counterclockwise, as FFmpeg states it; `right_angled`: whether it is a multiple of 90.
    """

    exchanged: bool = False
    mirrored_across: bool = False  # left and right
    mirrored_down: bool = False  # top and bottom
    rotation: int = 0
    right_angled: bool = True

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of frames turned. Turning the size that it gives back is the original one."""
        return (height, width) if self.exchanged else (width, height)

    def turn(self, pixels: np.ndarray) -> np.ndarray:
        """A view of `pixels` (height, width, ...) as it is to be shown."""
        if self.exchanged:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if self.mirrored_down else 1, :: -1 if self.mirrored_across else 1]


UPRIGHT = Orientation()


def of_frame(frame: Any) -> Orientation:
    """Of an av.VideoFrame, from its display matrix."""
    if not frame.side_data:
        return UPRIGHT
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return UPRIGHT if matrix is None else of_matrix(struct.unpack("=9i", bytes(matrix)[:36]))


def of_matrix(matrix: tuple[int, ...]) -> Orientation:
    """Of FFmpeg's nine integers: a frame's (x, y) is shown at (a x + c y, b x + d y), its a, b, c, d at 0, 1, 3, 4."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    across, down = math.hypot(a, c), math.hypot(b, d)
    if not across or not down:
        return UPRIGHT
    rotation = -round(math.degrees(math.atan2(b / down, a / across)))
    if b == c == 0:
        return Orientation(False, a < 0, d < 0, rotation)
    if a == d == 0:
        return Orientation(True, c < 0, b < 0, rotation)
    return Orientation(rotation=rotation, right_angled=False)
