"""Small good videos and images of every kind that the readers take, made once a process."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import av
import numpy as np

WIDTH, HEIGHT = 64, 48


class Kind(NamedTuple):
    """How a good file is made. parser: of its structure, a name in structures.PARSERS."""

    format: str
    codec: str
    pixels: str
    parser: str
    options: tuple[tuple[str, str], ...] = ()
    frames: int = 12


ENCODED_AGAIN = 3  # times at most

_GOP = (("g", "8"), ("bf", "2"))
VIDEOS: Sequence[Kind] = (
    Kind("mp4", "mpeg4", "yuv420p", "boxes", (("g", "12"),), 48),
    Kind("mp4", "libx264", "yuv420p", "boxes", _GOP, 48),
    Kind("mp4", "libx264", "yuv420p", "boxes", (("movflags", "frag_keyframe+empty_moov"), ("g", "12")), 40),
    Kind("mp4", "libx265", "yuv420p", "boxes", (("x265-params", "log-level=none:pools=none"),)),
    Kind("mov", "mjpeg", "yuvj420p", "boxes", (), 40),
    Kind("mov", "prores", "yuv422p10le", "boxes"),
    Kind("3gp", "mpeg4", "yuv420p", "boxes"),
    Kind("matroska", "libx264", "yuv420p", "elements", _GOP, 48),
    Kind("matroska", "ffv1", "yuv420p", "elements", (), 40),
    Kind("webm", "libvpx", "yuv420p", "elements", (("deadline", "realtime"),)),
    Kind("webm", "libvpx-vp9", "yuv420p", "elements", (("deadline", "realtime"), ("cpu-used", "8")), 40),
    Kind("webm", "libaom-av1", "yuv420p", "elements", (("cpu-used", "8"), ("usage", "realtime")), 8),
    Kind("avi", "mpeg4", "yuv420p", "chunks", (("g", "12"),), 48),
    Kind("avi", "mjpeg", "yuvj420p", "chunks"),
    Kind("avi", "huffyuv", "yuv422p", "chunks"),
    Kind("avi", "msmpeg4", "yuv420p", "chunks"),
    Kind("mpegts", "mpeg2video", "yuv420p", "packets"),
    Kind("mpegts", "libx264", "yuv420p", "packets", _GOP, 48),
    Kind("mpeg", "mpeg1video", "yuv420p", "words"),
    Kind("flv", "flv", "yuv420p", "tags"),
    Kind("asf", "wmv2", "yuv420p", "objects"),
    Kind("gif", "gif", "rgb8", "words"),
    Kind("ivf", "libvpx", "yuv420p", "words", (("deadline", "realtime"),)),
    Kind("mxf", "mpeg2video", "yuv420p", "words"),
    Kind("rm", "rv10", "yuv420p", "words"),
    Kind("h264", "libx264", "yuv420p", "words", _GOP),
    Kind("mjpeg", "mjpeg", "yuvj420p", "segments"),
)
IMAGES: Sequence[Kind] = tuple(
    Kind("gif" if codec == "gif" else "image2pipe", codec, pixels, parser, (), 1)
    for codec, pixels, parser in (
        ("png", "rgb24", "png"),
        ("png", "rgba", "png"),
        ("png", "rgb48be", "png"),
        ("mjpeg", "yuvj420p", "segments"),
        ("mjpeg", "yuvj422p", "segments"),
        ("mjpeg", "yuvj444p", "segments"),
        ("bmp", "bgr24", "words"),
        ("bmp", "rgb565le", "words"),
        ("tiff", "rgb24", "words"),
        ("tiff", "gray", "words"),
        ("libwebp", "yuv420p", "chunks"),
        ("ppm", "rgb24", "words"),
        ("pcx", "rgb24", "words"),
        ("sgi", "rgb24", "words"),
        ("jpeg2000", "rgb24", "segments"),
        ("jpegls", "rgb24", "segments"),
        ("gif", "rgb8", "words"),
        ("dpx", "rgb24", "words"),
        ("xwd", "bgra", "words"),
        ("sunrast", "bgr24", "words"),
    )
)


@functools.cache
def good(kind: Kind) -> bytes:
    """The file: a square that moves over a ramp, so that no frame is like another.

    Encoded until two in a row are alike: x264 gives another one now and then. Some formats draw an id, and never are.
    """
    file = _encoded(kind)
    for _ in range(ENCODED_AGAIN):
        before, file = file, _encoded(kind)
        if file == before:
            break
    return file


def _encoded(kind: Kind) -> bytes:
    memory = io.BytesIO()
    options = dict(kind.options)
    flags = {name: options.pop(name) for name in ("movflags",) if name in options}
    with av.open(memory, "w", format=kind.format, options=flags) as container:
        stream: Any = container.add_stream(kind.codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, kind.pixels
        stream.codec_context.thread_count = 1
        for number in range(kind.frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_picture(number), format="rgb24")))
        container.mux(stream.encode())
    return memory.getvalue()


def _picture(number: int) -> np.ndarray:
    """uint8 (height, width, 3)"""
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([across * 3 + 2 * number, down * 4 + 3 * number, (across + down) * 2], 2) % 256
    left, top = 2 * number % (WIDTH - 12), 3 * number % (HEIGHT - 12)
    picture[top : top + 12, left : left + 12] = (40 + 5 * number % 200, 255 - 4 * number % 200, 90)
    return np.ascontiguousarray(picture.astype(np.uint8))
