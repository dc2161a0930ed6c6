"""What files of videos and images are made of: their parts, and the changes to a part that a reader must withstand."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from typing import Callable, NamedTuple

Order = str  # "big", "little", or "vint" (Matroska)


class Part(NamedTuple):
    """Bytes `start` to `end` of a file: what says its kind and its length, then from `body` on its content.

    size_at, size_bytes: where its length is written, 0 bytes where nowhere. counts: from where to its end that length
    counts. order: of the bytes of numbers. crc: whether 4 bytes at its end are a check sum (PNG).
    """

    start: int
    end: int
    body: int
    size_at: int
    size_bytes: int
    counts: int
    order: Order = "big"
    crc: bool = False


ODD_WORDS = (
    0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
    0xFFFFFFFE, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 16384, 65500, 100000, 1 << 30,
)  # fmt: skip
_MASTERS = {
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"moof", b"traf", b"mvex",
}  # fmt: skip
_ELEMENTS = {0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0x1C53BB6B, 0xBB, 0xB7, 0x1F43B675, 0xA0,
             0x1254C367, 0x1A45DFA3, 0x4DBB}  # fmt: skip


def boxes(data: bytes, at: int = 0, stop: int = -1) -> Iterator[Part]:
    """MP4 and MOV, parents before what they hold."""
    stop = len(data) if stop < 0 else stop
    while at + 8 <= stop:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = min(stop, at + length if length >= 8 else stop)
        yield Part(at, end, at + 8, at, 4, at)
        skip = {b"stsd": 16, b"dref": 16, b"meta": 12}.get(kind, 8)
        if kind in _MASTERS or skip > 8:
            yield from boxes(data, at + skip, end)
        elif kind in (b"avc1", b"mp4v", b"hev1", b"jpeg", b"apcn", b"apch"):
            yield from boxes(data, at + 86, end)
        at = end


def chunks(data: bytes, at: int = 0, stop: int = -1) -> Iterator[Part]:
    """RIFF: AVI and WebP."""
    stop = len(data) if stop < 0 else stop
    while at + 8 <= stop:
        kind, length = struct.unpack_from("<4sI", data, at)
        end = min(stop, at + 8 + length)
        yield Part(at, end, at + 8, at + 4, 4, at + 8, "little")
        if kind in (b"RIFF", b"LIST"):
            yield from chunks(data, at + 12, end)
        at = end + length % 2


def elements(data: bytes, at: int = 0, stop: int = -1) -> Iterator[Part]:
    """Matroska and WebM."""
    stop = len(data) if stop < 0 else stop
    while at < stop and data[at]:
        place = at + 9 - data[at].bit_length()
        kind = int.from_bytes(data[at:place], "big")
        if place >= stop or not data[place]:
            return
        count = 9 - data[place].bit_length()
        length = int.from_bytes(data[place : place + count], "big") & ((1 << 7 * count) - 1)
        unknown = length == (1 << 7 * count) - 1
        end = stop if unknown else min(stop, place + count + length)
        yield Part(at, end, place + count, place, count, place + count, "vint")
        if kind in _ELEMENTS:
            yield from elements(data, place + count, end)
        at = end


def packets(data: bytes) -> Iterator[Part]:
    """MPEG-TS."""
    for at in range(0, len(data) - 187, 188):
        yield Part(at, at + 188, at + 1, at, 0, at)


def tags(data: bytes) -> Iterator[Part]:
    """FLV."""
    yield Part(0, 13, 3, 5, 4, 0)
    at = 13
    while at + 15 <= len(data):
        end = min(len(data), at + 15 + int.from_bytes(data[at + 1 : at + 4], "big"))
        yield Part(at, end, at + 4, at + 1, 3, at + 15)
        at = end


def objects(data: bytes, at: int = 0, stop: int = -1, depth: int = 0) -> Iterator[Part]:
    """ASF."""
    stop = len(data) if stop < 0 else stop
    while at + 24 <= stop:
        length = int.from_bytes(data[at + 16 : at + 24], "little")
        end = min(stop, at + max(24, length))
        yield Part(at, end, at + 24, at + 16, 8, at, "little")
        if data[at : at + 4] == b"\x30\x26\xb2\x75" and depth == 0:
            yield from objects(data, at + 30, end, 1)
        at = end


def png(data: bytes) -> Iterator[Part]:
    """The chunks of a PNG."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = min(len(data), at + 12 + length)
        yield Part(at, end, at + 8, at, 4, at + 12, crc=True)
        at = end


def segments(data: bytes) -> Iterator[Part]:
    """Markers with a length: JPEG, MJPEG, JPEG-LS, JPEG 2000."""
    at = 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind in (0, 0xFF, 0xD8, 0x4F) or 0xD0 <= kind <= 0xD7 or length < 2 or at + 2 + length > len(data):
            at += 1 if kind == 0xFF else 2
            continue
        yield Part(at, at + 2 + length, at + 4, at + 2, 2, at + 2)
        at += 2 + length


def words(data: bytes) -> Iterator[Part]:
    """No structure that we know: headers of 16 bytes, then the rest."""
    for at in range(0, min(len(data), 160), 16):
        yield Part(at, min(len(data), at + 16), at, at, 0, at, "little" if at % 32 else "big")
    if len(data) > 160:
        yield Part(160, len(data), 160, 160, 0, 160)


Parser = Callable[[bytes], Iterator[Part]]
PARSERS: dict[str, Parser] = {
    "boxes": boxes, "chunks": chunks, "elements": elements, "packets": packets, "tags": tags, "objects": objects,
    "png": png, "segments": segments, "words": words,
}  # fmt: skip


def written(value: int, count: int, order: Order) -> bytes:
    """A number in `count` bytes, its lowest bits where it is too large."""
    if order == "vint":
        return ((1 << 7 * count) | value & ((1 << 7 * count) - 1)).to_bytes(count, "big")
    return (value & ((1 << 8 * count) - 1)).to_bytes(count, "little" if order == "little" else "big")


def restructured(data: bytes, parser: str, chance: random.Random) -> bytes:
    """The file with one part changed, moved, removed or said to be of another length."""
    parts = list(PARSERS[parser](data))
    if not parts:
        return data
    part = chance.choice(parts)
    way = chance.randrange(9)
    if way <= 2:
        return _with_odd_word(data, part, chance)
    if way == 3 and part.size_bytes:
        lie = chance.choice((*ODD_WORDS, len(data), part.end - part.counts + chance.choice((-9, -1, 1, 9))))
        return _put(data, part.size_at, written(lie, part.size_bytes, part.order))
    if way == 4:
        return _resized(data, parts, part, b"", chance)
    if way == 5:
        whole = data[part.start : part.end]
        return _resized(data, parts, part, whole * chance.choice((2, 2, 3, 400 if len(whole) < 999 else 2)), chance)
    if way == 6:
        other = chance.choice(parts)
        return _resized(data, parts, part, data[other.start : other.end], chance)
    if way == 7:
        return data[: chance.randrange(part.start, part.end + 1)]
    return _flipped(data, part, chance)


def _put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _summed(data: bytes, part: Part, chance: random.Random) -> bytes:
    """With the part's check sum set right, most of the time."""
    if not part.crc or chance.random() < 0.2:
        return data
    return _put(data, part.end - 4, struct.pack(">I", zlib.crc32(data[part.start + 4 : part.end - 4])))


def _with_odd_word(data: bytes, part: Part, chance: random.Random) -> bytes:
    count = chance.choice((1, 2, 4, 4, 8))
    room = min(part.end, part.body + 96) - part.body
    at = part.body + chance.randrange(max(1, room // count)) * count
    if at + count > part.end:
        at, count = max(part.body - 4, 0), min(4, len(data))
    return _summed(_put(data, at, written(chance.choice(ODD_WORDS), count, part.order)), part, chance)


def _flipped(data: bytes, part: Part, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        changed[chance.randrange(part.start, max(part.start + 1, part.end))] ^= 1 << chance.randrange(8)
    return _summed(bytes(changed[: len(data)]), part, chance)


def _resized(data: bytes, parts: list[Part], part: Part, new: bytes, chance: random.Random) -> bytes:
    """With a part replaced, and most of the time the lengths of those around it set right."""
    difference = len(new) - (part.end - part.start)
    if chance.random() < 0.7:
        for other in parts:
            if other.start < part.start and part.end <= other.end and other.size_bytes:
                length = written(other.end - other.counts + difference, other.size_bytes, other.order)
                data = _put(data, other.size_at, length)
    return data[: part.start] + new + data[part.end :]
