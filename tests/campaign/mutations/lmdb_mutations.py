"""LMDBs gone wrong, page by page: data file `number` of a seed, as in drawing.py.

The format is described in vmz.video.database.lmdb_file.
"""

from __future__ import annotations

import functools
import random
import struct
import tempfile
from pathlib import Path

import lmdb

from tests.campaign.mutations.drawing import chance_of, mutated_bytes
from tests.campaign.mutations.structures import ODD_WORDS
from tests.campaign.mutations.video_files import VIDEOS, good
from vmz.video.database.records import Record, encode_record

PAGE = 4096
META_FIELDS = {  # place behind the page's head: bytes
    0: 4, 4: 4, 8: 8, 16: 8, 24: 4, 28: 2, 30: 2, 32: 8, 40: 8, 48: 8, 56: 8, 64: 8,  # magic to the free table
    72: 4, 76: 2, 78: 2, 80: 8, 88: 8, 96: 8, 104: 8, 112: 8, 120: 8, 128: 8,  # the main table, last page, transaction
}  # fmt: skip


@functools.cache
def good_files() -> tuple[bytes, ...]:
    """Small ones: values on pages of their own; two levels of pages; pages that were freed; none; another map size."""
    videos = [encode_record(Record(b"", good(VIDEOS[kind]), (label,), 2, 7)) for label, kind in enumerate((0, 1, 3))]
    small = encode_record(Record(b"", b"no video", (1,), 2, 7))
    deep = [videos[0] if number % 40 == 0 else small for number in range(120)]
    return (_lmdb(videos, b"%05d"), _lmdb(deep, b"%0200d"), _lmdb(videos, b"%05d", True), _lmdb([], b""))


def _lmdb(values: list[bytes], key: bytes, again: bool = False) -> bytes:
    with tempfile.TemporaryDirectory(prefix="vmz_campaign_") as folder:
        with lmdb.open(folder, map_size=1 << 24) as environment:
            for _ in range(3 if again else 1):
                for number, value in enumerate(values):
                    with environment.begin(write=True) as transaction:
                        transaction.put(key % number, value)
        return (Path(folder) / "data.mdb").read_bytes()


def lmdbs(seed: int, number: int) -> bytes:
    """Data files of a database."""
    chance = chance_of(seed, number)
    files = good_files()
    data = bytearray(files[chance.choice((0, 0, 1, 1, 1, 2, 2, 3))])
    if number < len(files):
        return files[number]
    for _ in range(chance.choice((1, 1, 2, 3))):
        _change(data, chance)
    return bytes(data)


def _change(data: bytearray, chance: random.Random) -> None:
    pages = len(data) // PAGE
    if pages < 2:
        return
    way = chance.randrange(12)
    if way <= 2:
        place, count = chance.choice(list(META_FIELDS.items()))
        now = int.from_bytes(data[16 + place : 16 + place + count], "little")
        new = chance.choice((*ODD_WORDS, now + 1, max(0, now - 1), pages, pages - 1, 2, 3))
        for page in chance.choice(((0,), (1,), (0, 1), (0, 1))):
            at = page * PAGE + 16 + place
            data[at : at + count] = (new % (1 << 8 * count)).to_bytes(count, "little")
        return
    at = chance.randrange(pages) * PAGE
    kind, lower = struct.unpack_from("<HH", data, at + 10)
    if way == 3:
        place, count = chance.choice(((0, 8), (8, 2), (10, 2), (12, 2), (14, 2), (12, 4)))
        new = chance.choice((*ODD_WORDS, at // PAGE + 1, 16, 18, 4090, 4096))
        data[at + place : at + place + count] = (new % (1 << 8 * count)).to_bytes(count, "little")
    elif way <= 7 and kind in (1, 2) and 16 < lower <= PAGE:
        _change_node(data, at, (lower - 16) // 2, pages, chance)
    elif way == 8:
        other = chance.randrange(pages) * PAGE
        copy = data[other : other + PAGE]
        if chance.random() < 0.5:  # with the number that it should have
            copy[:8] = (at // PAGE).to_bytes(8, "little")
        data[at : at + PAGE] = copy
    elif way == 9:
        del data[chance.choice((at, at + 100, len(data) - 1, len(data) - PAGE)) :]
    elif way == 10:
        data[at : at + PAGE] = chance.choice((bytes(PAGE), b"\xff" * PAGE, chance.randbytes(PAGE)))
    else:
        data[at : at + PAGE] = (
            mutated_bytes(bytes(data[at : at + 64]), chance, 2).ljust(64, b"\0")[:64] + data[at + 64 : at + PAGE]
        )


def _change_node(data: bytearray, at: int, nodes: int, pages: int, chance: random.Random) -> None:
    """Of a leaf or branch page: where a node lies, its size, flags, key length, the page it names, or its key."""
    pointer = at + 16 + 2 * chance.randrange(nodes)
    node = at + int.from_bytes(data[pointer : pointer + 2], "little")
    way = chance.randrange(6)
    if way == 0 or node + 16 > len(data):
        new = chance.choice((*ODD_WORDS, 16, 4088, 4095)) % 65536
        data[pointer : pointer + 2] = new.to_bytes(2, "little")
    elif way == 1:
        data[node : node + 4] = (chance.choice((*ODD_WORDS, pages, 2)) % (1 << 32)).to_bytes(4, "little")
    elif way == 2:
        data[node + 4 : node + 6] = chance.choice((0, 1, 2, 4, 7, 8, 0xFFFF)).to_bytes(2, "little")
    elif way == 3:
        data[node + 6 : node + 8] = chance.choice((0, 1, 4, 5, 6, 511, 512, 4000, 0xFFFF)).to_bytes(2, "little")
    elif way == 4:  # the page that it names: this one, its parent, another, none
        named = chance.choice((at // PAGE, chance.randrange(pages), pages, 0, 1, *ODD_WORDS))
        length = int.from_bytes(data[node + 6 : node + 8], "little")
        place, count = chance.choice(((node, 6), (node + 8 + length, 8)))
        data[place : place + count] = (named % (1 << 8 * count)).to_bytes(count, "little")
    else:
        key = node + 8 + chance.randrange(5)
        data[key : key + 1] = bytes([chance.randrange(256)])
