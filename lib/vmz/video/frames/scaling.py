"""From a decoded frame to RGB of another size, with the very pixels of the original reader.

The original calls libswscale once, from the codec's pixel format and size to RGB24 of the output size, with
SWS_FAST_BILINEAR and no other flag. The filter graph here makes the same call; av's reformat, OpenCV, PyTorch do not.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from av.filter import Graph

from vmz.video.normalisation import MEAN, STD


class Scaler:
    """Converts frames to RGB24 arrays of `width` x `height`. Frames may change size or format on the way.

    `how`: flags of libswscale.
    """

    def __init__(self, width: int, height: int, how: str = "fast_bilinear") -> None:
        self.width, self.height, self._how = width, height, how
        self._graph: Any = None
        self._made_for: Any = None

    def convert(self, frame: Any) -> np.ndarray:
        """A read-only uint8 view (height, width, 3) of the converted av.VideoFrame."""
        kind = (frame.width, frame.height, frame.format.name)
        if kind != self._made_for:
            self._graph, self._source, self._sink = self._build(*kind)
            self._made_for = kind
        self._source.push(frame)
        plane = self._sink.pull().planes[0]
        return np.ndarray((self.height, self.width, 3), np.uint8, plane, strides=(plane.line_size, 3, 1))

    def _build(self, width: int, height: int, pixel_format: str) -> tuple[Any, Any, Any]:
        graph: Any = Graph()
        if hasattr(graph, "threads"):
            graph.threads = 1  # the reader's threads take a video each
        source = graph.add_buffer(width=width, height=height, format=pixel_format, time_base=Fraction(1, 1000))
        # What streams say of their colours is ignored, as in the original: only yuvj and gray formats mean full range.
        full_range = pixel_format.startswith(("yuvj", "gray", "ya8", "ya16"))
        colours = f"in_color_matrix=bt601:in_range={'pc' if full_range else 'tv'}"
        scale = graph.add("scale", f"{self.width}:{self.height}:flags={self._how}:{colours}:threads=1")
        to_rgb = graph.add("format", "rgb24")
        sink = graph.add("buffersink")
        graph.link_nodes(source, scale, to_rgb, sink)
        graph.configure()
        return graph, source, sink


def to_pixels(clip: np.ndarray) -> np.ndarray:
    """uint8 R, G, B from a normalised clip (3, ...)."""
    shape = (3,) + (1,) * (clip.ndim - 1)
    return np.clip(np.rint(clip * STD.reshape(shape) + MEAN.reshape(shape)), 0, 255).astype(np.uint8)
