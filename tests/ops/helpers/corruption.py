"""Damaged variants of videos and of their records, the same for the same seed."""

from __future__ import annotations

import numpy as np

from tests.ops.helpers.databases import record, shuffled_tensors, value

KINDS = ("truncated", "flipped", "blanked", "spliced", "record truncated", "record flipped", "record swapped")


def variant(kind: str, video: bytes, other: bytes, label: int, random: np.random.RandomState) -> bytes:
    """A database value: a record whose video or whose own bytes are damaged in a way of KINDS."""
    content = bytearray(video)
    size = len(content)
    if kind == "truncated":
        content = content[: random.randint(size)]
    elif kind == "flipped":
        for place in random.randint(0, size, random.randint(1, 200)):
            content[place] ^= 1 << random.randint(8)
    elif kind == "blanked":
        start, length = random.randint(size), random.randint(1, size // 4)
        content[start : start + length] = bytes(len(content[start : start + length]))
    elif kind == "spliced":  # the beginning of one video and the end of another
        content = content[: random.randint(size)] + bytearray(other[random.randint(len(other)) :])
    one = record(bytes(content), label)
    if kind == "record swapped":
        return shuffled_tensors(one)
    encoded = bytearray(value(one))
    if kind == "record truncated":
        encoded = encoded[: random.randint(len(encoded))]
    elif kind == "record flipped":  # in the first and last bytes lies what is not the video's own
        for _ in range(random.randint(1, 4)):
            place = random.choice(
                [random.randint(16), len(encoded) - 1 - random.randint(12), random.randint(len(encoded))]
            )
            encoded[place] ^= 1 << random.randint(8)
    return bytes(encoded)
