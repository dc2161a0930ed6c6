"""The wire format of protobuf, read strictly: its own libraries do not agree on what is damaged.

One of them goes on with a part of a damaged message, another prints a line of its own about text that is no UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Union

from google.protobuf.message import DecodeError

Span = tuple[int, int]  # where bytes begin and end
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; groups are in no message of Caffe2
DEEPEST = 100  # messages inside one another, as protobuf has it
_STRING, _MESSAGE = 9, 11  # types of fields


def parse(kind: Any, content: bytes) -> Any:
    """`kind.FromString(content)`. Raises DecodeError also for text that is no UTF-8, and then nothing is printed."""
    try:
        _check(kind.DESCRIPTOR, content, 0, len(content), DEEPEST)
    except (IndexError, ValueError) as error:  # UnicodeDecodeError is one
        raise DecodeError(f"it is not a {kind.DESCRIPTOR.name}, or is truncated") from error
    return kind.FromString(content)


def _check(descriptor: Any, data: bytes, at: int, end: int, levels: int) -> None:
    if not levels:
        raise ValueError
    for number, content in fields(data, at, end):
        field = descriptor.fields_by_number.get(number)
        if field is None or not isinstance(content, tuple):
            continue
        if field.type == _STRING:
            data[slice(*content)].decode("utf-8")
        elif field.type == _MESSAGE:
            _check(field.message_type, data, *content, levels - 1)


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, Union[int, Span, None]]]:
    """The number of each field, and its value: a number, where its bytes lie, or None for one of 4 or 8 bytes.

    Raises IndexError or ValueError for what is no message.
    """
    while at < end:
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        content: Union[int, Span, None] = None
        if not 0 < number < 1 << 29:
            raise ValueError
        if wire == VARINT:
            content, at = varint(data, at)
        elif wire == BYTES:
            length, at = varint(data, at)
            content = (at, at + length)
            at += length
        elif wire in (FIXED64, FIXED32):
            at += 8 if wire == FIXED64 else 4
        else:
            raise ValueError
        if at > end:
            raise ValueError
        yield number, content


def varint(data: bytes, place: int) -> tuple[int, int]:
    """A number, and where it ends. Raises IndexError or ValueError."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place
    raise ValueError
