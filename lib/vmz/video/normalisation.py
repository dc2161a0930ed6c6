"""What pixels are normalised with, those of the original's reader for all its networks of RGB, and how.

The arithmetic is a subtraction and a multiplication, each rounded to float32. Done in this order it gives the same bits
wherever it is done: here, or on a device, by `normalised_clips` of engines/torch_engine/video_input.py.
"""

from __future__ import annotations

import numpy as np

MEAN = np.array([110.201, 100.64, 95.9966], dtype=np.float32)  # R, G, B
STD = np.array([58.1489, 56.4701, 55.3324], dtype=np.float32)
SCALE = np.float32(1) / STD  # the original multiplies with it; a division would give other bits
_MEAN, _SCALE = MEAN[:, None, None], SCALE[:, None, None]


def normalise(pixels: np.ndarray, out: np.ndarray) -> None:
    """Write uint8 pixels (height, width, 3) into float32 planes `out` (3, height, width), normalised.

    One frame at a time: its planes then stay in the processor's cache from one step to the next.
    """
    out[...] = pixels.transpose(2, 0, 1)
    out -= _MEAN
    out *= _SCALE


def write_pixels(pixels: np.ndarray, clip: np.ndarray, place: int) -> None:
    """Write a frame, uint8 (height, width, 3), to its place in a clip.

    The clip is float32 (3, length, height, width), and gets it normalised, or uint8 (length, height, width, 3).
    """
    if clip.dtype == np.uint8:
        clip[place] = pixels
    else:
        normalise(pixels, clip[:, place])
