"""Caffe2's MiniDB: records one after the other, each of two lengths, a key and a value; no header, index or end.

A length is an int32, little-endian as on every machine that ran Caffe2. Nothing in such a file says how many records
there are: whether one that ends between two of them is whole, only what they hold can tell (see mdl.py).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Union

from vmz.errors import VmzError
from vmz.files import atomic_write, open_input
from vmz.text import counted

LENGTHS = struct.Struct("<ii")  # of the key and of the value, in bytes
LONGEST = 2**31 - 1


def records(path: Union[str, Path]) -> Iterator[tuple[str, bytes]]:
    """(key, value) of each record, in file order, one in memory at a time.

    Raises UsageError when the file cannot be opened, VmzError where it holds something else, or ends in a record.
    """
    path = Path(path)
    with open_input(path, f"the checkpoint {path}") as stream:
        size, position = os.fstat(stream.fileno()).st_size, 0
        if not size:
            raise VmzError(f"{path} is empty; a minidb contains at least one record")
        while position < size:
            header = stream.read(LENGTHS.size)
            key_length, value_length = LENGTHS.unpack(header) if len(header) == LENGTHS.size else (0, 0)
            end = position + LENGTHS.size + key_length + value_length
            if end > size or key_length <= 0 or value_length < 0:
                raise VmzError(
                    f"{path} is truncated or damaged at byte {position}: no complete record begins there"
                    if position
                    else f"{path} is not a minidb, Caffe2's form of a .mdl: it does not begin with a record"
                )
            key = stream.read(key_length).decode("utf-8", "surrogateescape")
            yield key, stream.read(value_length)
            position = end


def write_minidb(path: Union[str, Path], items: Union[Mapping[str, bytes], Iterable[tuple[str, bytes]]]) -> None:
    """Write records in the order given; the file appears whole or not at all. VmzError for a value of 2 GiB or more."""
    pairs = items.items() if isinstance(items, Mapping) else items
    with atomic_write(path) as stream:
        for key, value in pairs:
            name = key.encode("utf-8", "surrogateescape")
            if not name or len(value) > LONGEST:
                raise VmzError(
                    f"record {key!r} of {path} has {counted(len(value), 'byte')}; a minidb allows 2^31 - 1 and a key"
                )
            stream.write(LENGTHS.pack(len(name), len(value)) + name)
            stream.write(value)
