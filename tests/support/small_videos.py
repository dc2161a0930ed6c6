"""Small databases of small videos, made in a moment."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path
from typing import Any, Optional

import av
import numpy as np

from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

BAD = b"this is a text file\n" * 50


def video(
    path: Path,
    level: int,
    rate: int = 25,
    frames: int = 9,
    codec: str = "mpeg4",
    options: Optional[dict[str, str]] = None,
) -> bytes:
    """Frames of a ramp that moves, different for each level; `rate` frames a second. options: the encoder's."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for time in range(frames):
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


# VideoInput's arguments for these videos
SMALL_READER = {
    "batch_size": 1,
    "num_decode_threads": 1,
    "length_rgb": 4,
    "scale_h": 32,
    "scale_w": 32,
    "crop_size": 32,
    "random_mirror": 0,
    "random_crop": 0,
    "seed": 3,
}


def encoded(path: Path, frames: int, codec: str = "mpeg4", options: Optional[dict[str, str]] = None) -> bytes:
    """Frames of noise, which take many bytes each, in the container that the file's name asks for."""
    random = np.random.RandomState(0)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(frames):
            picture = random.randint(0, 255, (48, 64, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def broken_in_the_middle(path: Path) -> bytes:
    """An MP4 of 24 frames whose packets from the tenth on are no pictures: decoding ends there with an error."""
    content = bytearray(encoded(path, 24))
    with av.open(io.BytesIO(bytes(content)), "r") as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    for packet in packets[10:]:
        assert packet.pos is not None
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    return bytes(content)


def cut_off(path: Path) -> bytes:
    """An MP4 of 24 frames whose last third is missing; its header, at the beginning, states them all."""
    content = encoded(path, 24, options={"movflags": "faststart"})
    return content[: len(content) * 2 // 3]


def silent_sound() -> bytes:
    """A WAV file of a tenth of a second."""
    memory = io.BytesIO()
    with wave.open(memory, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return memory.getvalue()


def rotated(content: bytes) -> bytes:
    """An MP4 whose metadata ask players to turn it by 90 degrees, in the display matrix of its track."""
    start = content.index(b"tkhd") + 44
    matrix = struct.pack(">9i", 0, -(1 << 16), 0, 1 << 16, 0, 0, 0, 0, 1 << 30)
    return content[:start] + matrix + content[start + len(matrix) :]
