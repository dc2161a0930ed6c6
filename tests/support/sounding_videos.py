"""Small videos with sound, made in a moment."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

RATE = 16000
BLOCK = 1024  # samples of a frame of sound


def sounding_video(path: Path, level: int, frames: int = 25, sound: bool = True, codec: str = "aac") -> bytes:
    """A ramp that moves, 25 frames a second, and a tone, both different for each level; without sound the ramp alone.

    The container is that of the file's name. codec: of the sound; alac keeps every bit, so that all decoders agree.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        heard = container.add_stream(codec, rate=RATE) if sound else None
        if heard is not None:
            assert isinstance(heard, av.AudioStream)
            heard.layout = "mono"
        for time in range(frames):
            ramp = (np.arange(64)[None, :, None] * (1 + level % 3) + 37 * level + 4 * time) % 256
            picture = np.ascontiguousarray(np.broadcast_to(ramp, (48, 64, 3)).astype(np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if heard is not None:
            for block in _tone(level, frames * RATE // 25):
                container.mux(heard.encode(block))
            container.mux(heard.encode())
    return path.read_bytes()


def _tone(level: int, samples: int) -> list[av.AudioFrame]:
    times = np.arange(-(-samples // BLOCK) * BLOCK) / RATE
    wave = 0.3 * np.sin(2 * np.pi * 220 * (1 + level) * times) * (1 + 0.5 * np.sin(2 * np.pi * 3 * times))
    blocks = []
    for number, part in enumerate(wave.astype(np.float32).reshape(-1, 1, BLOCK)):
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, number * BLOCK, Fraction(1, RATE)
        blocks.append(frame)
    return blocks


def sounding_database(folder: Path, count: int, *silent: int, frames: int = 25) -> Path:
    """So many records of labels 0 to 4, those numbered in `silent` without sound; in the order of their numbers."""
    with DatabaseWriter(folder / "db") as writer:
        for number in range(count):
            content = sounding_video(folder / f"{number}.mp4", number, frames, sound=number not in silent)
            writer.write(Record(b"%02d" % number, content, (number % 5,), None, None))
    return folder / "db"
