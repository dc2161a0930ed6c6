"""LMDBs with branch pages and values of several pages, and damaged ones, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import lmdb

PAGE = 4096


def lmdb_of(folder: Path, records: int, size: int, key: int = 60) -> bytes:
    """The data file of an LMDB of so many records, with values of `size` bytes and keys of `key`."""
    with lmdb.open(str(folder), map_size=1 << 28) as environment:
        for first in range(0, records, 100):  # several transactions: pages are freed and taken again
            with environment.begin(write=True) as transaction:
                for number in range(first, min(records, first + 100)):
                    transaction.put(b"%0*d" % (key, number), bytes([number % 251]) * size)
    return (folder / "data.mdb").read_bytes()


def deep_and_wide(folder: Path) -> dict[str, bytes]:
    """One with two levels of branch pages and values in its leaves, one with values of pages of their own."""
    folder.mkdir(exist_ok=True)
    return {"deep": lmdb_of(folder / "deep", 3000, 40), "wide": lmdb_of(folder / "wide", 60, 9000)}


def truncated(content: bytes) -> Iterator[bytes]:
    """Cut off at every page, and within pages."""
    for page in range(len(content) // PAGE):
        yield content[: page * PAGE]
        yield content[: page * PAGE + 100]


def flipped(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """With some bytes changed, most of them where pages say what they are."""
    chance = random.Random(seed)
    for _ in range(count):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 20)):
            page = chance.randrange(len(content) // PAGE)
            place = page * PAGE + (chance.randrange(64) if chance.random() < 0.7 else chance.randrange(PAGE))
            damaged[place] = chance.choice([chance.randrange(256), damaged[place] ^ 1 << chance.randrange(8)])
        yield bytes(damaged)


def with_meta(content: bytes, place: int, value: bytes) -> bytes:
    """With other bytes at a place of both meta pages, counted from where their content begins."""
    damaged = bytearray(content)
    for page in (0, PAGE):
        damaged[page + 16 + place : page + 16 + place + len(value)] = value
    return bytes(damaged)
