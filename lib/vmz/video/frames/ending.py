"""Whether a video ended before its end: a decoding error, or a file that was cut off.

A number of frames or a duration that a container states is often wrong, so that alone it says nothing. Together with a
file that is shorter than its own structure says, it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

CUT_OFF = "the file is truncated"


@dataclass(frozen=True)
class Ending:
    """Why reading stopped before the end. frames: read from the video's start, None where they were not counted."""

    frames: Optional[int]
    reason: str


def is_cut_off(file: Any) -> bool:
    """Whether a file states more bytes than it has: MP4 and MOV, AVI, Matroska and WebM. The position is kept."""
    position = file.tell()
    try:
        size = file.seek(0, 2)
        stated = _stated_size(file, size)
        return stated > size
    finally:
        file.seek(position)


def _stated_size(file: Any, size: int) -> int:
    start = _read(file, 0, 16)
    if start[:4] == b"RIFF":
        return _end_of_riff(file, size)
    if start[:4] == b"\x1a\x45\xdf\xa3":
        return _end_of_segment(file)
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp"):
        return _end_of_boxes(file, size)
    return 0


def _end_of_boxes(file: Any, size: int) -> int:
    """MP4: a box is its length (4 bytes, 1: 8 more hold it, 0: to the end of the file), its type, its content."""
    at = 0
    while at + 8 <= size:
        head = _read(file, at, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            break
        at += length
    return at


def _end_of_riff(file: Any, size: int) -> int:
    """AVI: one chunk of RIFF, or several in large files. Where none was filled in, at the end of a recording, 0."""
    at = 0
    while at + 12 <= size:
        head = _read(file, at, 8)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            break
        at += 8 + length
    return at


def _end_of_segment(file: Any) -> int:
    """Matroska: a header, then one segment with its length, unless it was recorded as a stream."""
    place, header = _matroska_length(file, 4)
    at = place + (header or 0)
    if _read(file, at, 4) != b"\x18\x53\x80\x67":
        return 0
    place, length = _matroska_length(file, at + 4)
    return 0 if length is None else place + length


def _matroska_length(file: Any, at: int) -> tuple[int, Optional[int]]:
    """Where the number at `at` ends, and its value; None for "unknown"."""
    data = _read(file, at, 8)
    count = 9 - data[0].bit_length() if data and data[0] else 8
    value = int.from_bytes(data[:count], "big") & ((1 << (7 * count)) - 1)
    return at + count, None if value == (1 << (7 * count)) - 1 else value


def _read(file: Any, at: int, count: int) -> bytes:
    file.seek(at)
    return bytes(file.read(count))
