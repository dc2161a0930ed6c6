"""Small databases of small videos, made in a moment."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from vmz.video.database import DatabaseWriter
from vmz.video.records import Record

BAD = b"this is a text file\n" * 50


def video(path: Path, level: int, rate: int = 25) -> bytes:
    """Nine frames of a ramp that moves, different for each level; `rate` frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for time in range(9):
            ramp = (np.arange(64)[None, :, None] * (1 + level % 3) + 37 * level + 4 * time) % 256
            picture = np.ascontiguousarray(np.broadcast_to(ramp, (48, 64, 3)).astype(np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def database(folder: Path, count: int, *bad: int) -> Path:
    """So many records of two labels of 0 to 4, those numbered in `bad` no videos; in the order of their numbers."""
    with DatabaseWriter(folder / "db") as writer:
        for number in range(count):
            content = BAD if number in bad else video(folder / f"{number}.mp4", number)
            writer.write(Record(b"%02d" % number, content, (number % 5, number // 5 % 5), None, None))
    return folder / "db"
