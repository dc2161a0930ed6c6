"""Records gone wrong, field by field of their wire format: the value of one record, as in drawing.py."""

from __future__ import annotations

import random

from tests.campaign.mutations.drawing import ODD_INTEGERS, ODD_TEXTS, chance_of, mutated_bytes
from tests.campaign.mutations.video_files import VIDEOS, good
from tests.campaign.mutations.video_mutations import playlists

STRING, INT32, INT64 = 4, 2, 10  # data types of TensorProto
DATA_TYPE, FLOATS, INT32S, STRINGS, NAME, DEVICE, INT64S = 2, 3, 4, 6, 7, 8, 10  # its fields
VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = 0, 1, 2, 3, 4, 5


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, wire: int, content: bytes) -> bytes:
    """A field; of BYTES with its length before it."""
    return varint(number << 3 | wire) + (varint(len(content)) if wire == BYTES else b"") + content


def numbers(number: int, values: list[int], packed: bool) -> bytes:
    """A repeated number, packed or one by one."""
    encoded = [varint(value) for value in values]
    return field(number, BYTES, b"".join(encoded)) if packed else b"".join(field(number, VARINT, e) for e in encoded)


def records(seed: int, number: int) -> bytes:
    """Database values of our form and the original's, and what is like them."""
    chance = chance_of(seed, number)
    tensors = [field(DATA_TYPE, VARINT, varint(STRING)) + field(STRINGS, BYTES, _video(chance))]
    labels = [chance.randrange(5) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    if chance.random() < 0.2:
        labels[-1] = chance.choice(ODD_INTEGERS)
    tensors.append(_tensor(INT32, INT32S, labels, chance))
    if chance.random() < 0.8:
        start = chance.choice((0, 1, 5, 34, *ODD_INTEGERS)) if chance.random() < 0.5 else 2
        tensors.append(_tensor(INT32, INT32S, [start], chance))
    if chance.random() < 0.8:
        video_id = chance.choice(ODD_INTEGERS) if chance.random() < 0.3 else 77
        tensors.append(_tensor(INT64, INT64S, [video_id], chance))
    for _ in range(chance.choice((0, 1, 1, 2))):
        _change(tensors, chance)
    value = b"".join(field(1, BYTES, tensor) for tensor in tensors)
    way = chance.random()
    if way < 0.04:
        return chance.choice((b"", b"\0", value * 2, value + b"\x0a", b"\x0a\xff\xff\xff\xff\x0f" + value, value[:-1]))
    if way < 0.12:
        value = _odd_field(chance) + value if chance.random() < 0.5 else value + _odd_field(chance)
    elif way < 0.22:  # where there is little of the video
        cut = chance.choice((24, 60))
        value = mutated_bytes(value[:cut], chance, 1) + value[cut:]
    elif way < 0.32:
        value = value[:-30] + mutated_bytes(value[-30:], chance, 1)
    return value


def _video(chance: random.Random) -> bytes:
    way = chance.random()
    if way < 0.12:
        return chance.choice(playlists())
    if way < 0.25:
        return chance.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    if way < 0.35:
        return chance.choice((b"/nonexistent/a.mp4", b"a.mp4", b"/dev/zero", b"/dev/stdin", b"..", b"x" * 4097, b"."))
    return good(VIDEOS[chance.choice((0, 1, 6, 7, 12))])


def _tensor(data_type: int, number: int, values: list[int], chance: random.Random) -> bytes:
    odd = chance.random() < 0.1
    kind = chance.choice((0, 1, 3, 6, 12, 13, 255, 2**31, 2**32 + 4, 2**32 + 2, 2**64 - 1)) if odd else data_type
    parts = [
        field(1, VARINT, varint(chance.choice((len(values), *ODD_INTEGERS)))) if chance.random() < 0.3 else b"",
        field(DATA_TYPE, VARINT, varint(kind)),
        numbers(number, values, chance.random() < 0.3),
    ]
    if chance.random() < 0.2:
        chance.shuffle(parts)
    return b"".join(parts)


def _odd_field(chance: random.Random) -> bytes:
    """A field that no tensor has, or of another type than it has there."""
    number = chance.choice(
        (DATA_TYPE, FLOATS, INT32S, 5, STRINGS, NAME, DEVICE, 9, INT64S, 11, 99, 1, 0, 2**29 - 1, 2**29)
    )
    wire = chance.choice((VARINT, FIXED64, BYTES, BYTES, GROUP, END_GROUP, FIXED32, 6, 7))
    content = {
        VARINT: varint(chance.choice(ODD_INTEGERS)),
        FIXED64: b"\1" * 8,
        FIXED32: b"\1" * 4,
        BYTES: chance.choice(
            (b"", b"a", b"\xff\xfe", b"\x0a\x01a", b"\x08\x01", b"\x80", b"\1" * 7, b"\x08" + b"\xff" * 10)
        ),
        GROUP: chance.choice((b"", field(number, END_GROUP, b""))),
    }.get(wire, b"")
    return field(number, wire, content)


def _change(tensors: list[bytes], chance: random.Random) -> None:
    """One of the tensors, or their order, made another."""
    at = chance.randrange(len(tensors)) if tensors else 0
    way = chance.randrange(9)
    if not tensors or way == 0:
        tensors.insert(at, _odd_field(chance))
    elif way == 1:
        del tensors[at]
    elif way == 2:
        tensors.insert(at, tensors[chance.randrange(len(tensors))])
    elif way == 3:
        chance.shuffle(tensors)
    elif way in (4, 5):
        odd = _odd_field(chance)
        tensors[at] = odd + tensors[at] if chance.random() < 0.5 else tensors[at] + odd
    elif way == 6:
        tensors[at] = tensors[at] + field(STRINGS, BYTES, chance.choice((b"", b"more", good(VIDEOS[0]))))
    elif way == 7:
        tensors.extend([_tensor(INT32, INT32S, [1], chance)] * chance.choice((1, 3, 2000)))
    else:
        tensors[at] = tensors[at][: chance.randrange(len(tensors[at]) + 1)]
