"""What is drawn for all kinds of file: the random numbers of an input, odd values, changed bytes."""

from __future__ import annotations

import random
import struct
from typing import Callable

Mutator = Callable[[int, int], bytes]  # (seed, number) -> the file
ODD_INTEGERS = (0, 1, -1, 127, 128, 255, 256, 65535, 2**31 - 1, -(2**31), 2**31, 2**32, 2**53, 2**63 - 1, 2**64, 10**30)
ODD_TEXTS = (
    "", " ", "\0", "NaN", "../../etc/passwd", "x" * 5000, "\u202e", "\u2066left\u2069", "\x1b[2J", "'", '"', ",",
    "9" * 6000, "1e999", "-1", "\ufeff", "٣", "None", "{}", "\r", "\n", "\ud800",
)  # fmt: skip


def chance_of(seed: int, number: int) -> random.Random:
    """The random numbers of one input."""
    return random.Random(f"{seed} {number}")


def mutated_bytes(content: bytes, chance: random.Random, most: int = 4) -> bytes:
    """`content` with a few bytes changed, cut out, doubled, or an odd integer written over them."""
    data = bytearray(content)
    for _ in range(chance.randint(1, most)):
        if not data:
            break
        at = chance.randrange(len(data))
        length = min(chance.choice((1, 2, 4, 8, 64)), len(data) - at)
        way = chance.randrange(6)
        if way == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            data[at : at + length] = chance.choice((b"\0", b"\xff", b"\x80")) * length
        elif way == 2:
            packed = struct.pack("<q", max(-(2**63), min(2**63 - 1, chance.choice(ODD_INTEGERS))))
            data[at : at + length] = packed[:length]
        elif way == 3:
            del data[at : at + length]
        elif way == 4:
            data[at:at] = data[at : at + length] * chance.randint(1, 3)
        else:
            del data[at:]
    return bytes(data)
