"""One video in a database: the LMDB value that create_video_db writes and VideoInput reads.

The value is a serialized `TensorProtos`. Its tensors, in the order they are written: the video (STRING: the bytes of
the file, or its path), the label or labels (INT32), the start frame (INT32, optional), the video id (INT64, optional).
They are read by their types, so that a record with a start frame and no id, or the other way round, is understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Optional, Union

from vmz.errors import VmzError
from vmz.netdef.protos import DATA_TYPES, TensorProtos
from vmz.netdef.wire import Span, fields, varint

_INT32, _INT64, _STRING = DATA_TYPES["INT32"], DATA_TYPES["INT64"], DATA_TYPES["STRING"]


class RecordError(VmzError):
    """A value that is no whole video record; the message is the reason only, the caller knows which record it was."""


@dataclass(frozen=True)
class Record:
    """`video` holds the bytes of the file or its path: they do not say which, `use_local_file` of the reader does."""

    key: bytes
    video: bytes
    labels: tuple[int, ...]
    start_frame: Optional[int] = None
    video_id: Optional[int] = None

    @property
    def path(self) -> str:
        """The video read as a path."""
        return self.video.decode("utf-8", "surrogateescape")


def key_text(key: bytes) -> str:
    """A record's key as people read it, in messages, results and reports: other bytes than ASCII text as \\xNN."""
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in key)


def encode_record(record: Record) -> bytes:
    """The database value, byte for byte as the original create_video_db.py writes it."""
    protos = TensorProtos()
    protos.protos.add(data_type=_STRING).string_data.append(record.video)
    protos.protos.add(data_type=_INT32).int32_data.extend(record.labels)
    if record.start_frame is not None:
        protos.protos.add(data_type=_INT32).int32_data.append(record.start_frame)
    if record.video_id is not None:
        protos.protos.add(data_type=_INT64).int64_data.append(record.video_id)
    return bytes(protos.SerializeToString())


def decode_record(key: bytes, value: bytes) -> Record:
    """Read a database value. Raises RecordError with the reason: empty, truncated, or a record of something else."""
    if not value:
        raise RecordError("the record is empty")
    try:
        tensors = [
            _tensor(value, *span)
            for number, span in fields(value, 0, len(value))
            if (number == _PROTOS and isinstance(span, tuple))
        ]
    except (IndexError, ValueError) as error:
        raise RecordError("the record is truncated or is not a TensorProtos") from error
    videos = next((t.strings for t in tensors if t.data_type == _STRING), [])
    if len(videos) != 1:
        raise RecordError("the record contains no video (a STRING tensor with one entry)")
    int32 = [t.int32s for t in tensors if t.data_type == _INT32]
    if not int32 or not int32[0]:
        raise RecordError("the record contains no label (an INT32 tensor)")
    return Record(
        key=bytes(key),
        video=value[slice(*videos[0])],
        labels=tuple(int32[0]),
        start_frame=next(iter(int32[1]), None) if len(int32) > 1 else None,
        video_id=next((t.int64s[0] for t in tensors if t.data_type == _INT64 and t.int64s), None),
    )


def video_span(start: bytes) -> Optional[Span]:
    """Where the video lies in a value that begins with `start` (some 40 bytes): its offset and length.

    None where the value is not laid out as create_video_db.py writes it; decode_record may still understand it.
    """
    try:
        place = _message(start, 0, 0x0A)[0]  # TensorProtos.protos
        if start[place] == 0x10:  # TensorProto.data_type
            _, place = varint(start, place + 1)
        place, length = _message(start, place, 0x32)  # TensorProto.string_data
        return place, length
    except (IndexError, ValueError):
        return None


def _message(data: bytes, place: int, tag: int) -> tuple[int, int]:
    if data[place] != tag:
        raise ValueError
    length, place = varint(data, place + 1)
    return place, length


# ops/core/database/record.cc is the same for the C++ operator: change both.

_PROTOS, _DATA_TYPE, _INT32_DATA, _STRING_DATA, _INT64_DATA = 1, 2, 4, 6, 10  # fields of TensorProtos and TensorProto


@dataclass
class _Tensor:
    data_type: int = 1  # FLOAT
    int32s: list[int] = field(default_factory=list)
    int64s: list[int] = field(default_factory=list)
    strings: list[Span] = field(default_factory=list)


def _tensor(data: bytes, at: int, end: int) -> _Tensor:
    """Raises IndexError or ValueError for what is none, as do all below."""
    tensor = _Tensor()
    for number, content in fields(data, at, end):
        if number == _DATA_TYPE and isinstance(content, int):
            tensor.data_type = content
        elif number == _INT32_DATA:
            tensor.int32s += [_signed(value, 32) for value in _numbers(data, content)]
        elif number == _INT64_DATA:
            tensor.int64s += [_signed(value, 64) for value in _numbers(data, content)]
        elif number == _STRING_DATA and isinstance(content, tuple):
            tensor.strings.append(content)
    return tensor


def _numbers(data: bytes, content: Union[int, Span, None]) -> Iterator[int]:
    """Repeated numbers, which come one by one or packed together."""
    if isinstance(content, int):
        yield content
    elif content is not None:
        at, end = content
        while at < end:
            value, at = varint(data, at)
            if at > end:
                raise ValueError
            yield value


def _signed(value: int, bits: int) -> int:
    """The lowest bits of a number, as two's complement."""
    value &= (1 << bits) - 1
    return value - (value >> (bits - 1) << bits)
