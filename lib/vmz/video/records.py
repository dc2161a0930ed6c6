"""One video in a database: the LMDB value that create_video_db writes and VideoInput reads.

The value is a serialized `TensorProtos`. Its tensors, in the order they are written: the video (STRING: the bytes of
the file, or its path), the label or labels (INT32), the start frame (INT32, optional), the video id (INT64, optional).
They are read by their types, so that a record with a start frame and no id, or the other way round, is understood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from google.protobuf.message import DecodeError

from vmz.errors import VmzError
from vmz.netdef.protos import DATA_TYPES, TensorProtos

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
    protos = TensorProtos()
    try:
        protos.ParseFromString(value)
    except DecodeError as error:
        raise RecordError("the record is truncated or is no TensorProtos") from error
    tensors = list(protos.protos)
    video = next((t for t in tensors if t.data_type == _STRING), None)
    if video is None or len(video.string_data) != 1:
        raise RecordError("the record holds no video (a STRING tensor with one entry)")
    int32 = [list(t.int32_data) for t in tensors if t.data_type == _INT32]
    if not int32 or not int32[0]:
        raise RecordError("the record holds no label (an INT32 tensor)")
    return Record(
        key=bytes(key),
        video=bytes(video.string_data[0]),
        labels=tuple(int32[0]),
        start_frame=_first(int32[1:]),
        video_id=_first([list(t.int64_data) for t in tensors if t.data_type == _INT64]),
    )


def video_span(start: bytes) -> Optional[tuple[int, int]]:
    """Where the video lies in a value that begins with `start` (some 40 bytes): its offset and length.

    None where the value is not laid out as create_video_db.py writes it; decode_record may still understand it.
    """
    try:
        place = _message(start, 0, 0x0A)[0]  # TensorProtos.protos
        if start[place] == 0x10:  # TensorProto.data_type
            _, place = _varint(start, place + 1)
        place, length = _message(start, place, 0x32)  # TensorProto.string_data
        return place, length
    except (IndexError, ValueError):
        return None


def _message(data: bytes, place: int, tag: int) -> tuple[int, int]:
    if data[place] != tag:
        raise ValueError
    length, place = _varint(data, place + 1)
    return place, length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _first(tensors: list[list[Any]]) -> Optional[int]:
    return int(tensors[0][0]) if tensors and tensors[0] else None
