"""Features as the original's pickle, {blob: array}, written without holding it in memory.

Python 2 and Python 3 both read it with a plain pickle.load: array content is written as Latin-1 text, the way in
which Python 3 itself pickles bytes for Python 2. An array of 4 GiB and more is beyond Python 2's pickles; then the
content of all is written as bytes, which only Python 3 reads.
"""

from __future__ import annotations

import struct
from typing import IO

import numpy as np

from vmz.features.formats.table import Table

LARGEST_TEXT = (1 << 32) - 1
EMPTY_BYTES = b"c__builtin__\nbytes\n)R"


def write_pickle(stream: IO[bytes], table: Table) -> None:
    """A dict of every array of `table`; protocol 2, unless an array is larger than that can hold."""
    sizes = {name: _content_sizes(table, name) for name in table.names()}
    as_text = all(text <= LARGEST_TEXT for _, text in sizes.values())
    stream.write(b"\x80\x02}(" if as_text else b"\x80\x04}(")
    for name in table.names():
        encoded = name.encode()
        stream.write(b"X" + struct.pack("<I", len(encoded)) + encoded)
        _write_head(stream, table.dtype(name), table.shape(name))
        _write_content(stream, table, name, as_text, *sizes[name])
        stream.write(b"tb")
    stream.write(b"u.")


def _content_sizes(table: Table, name: str) -> tuple[int, int]:
    """Bytes of an array, and of the UTF-8 text that stands for them: bytes from 128 on take two."""
    size = text = 0
    for chunk in table.chunks(name):
        size += chunk.nbytes
        text += chunk.nbytes + int(np.count_nonzero(chunk.reshape(-1).view(np.uint8) & 0x80))
    return size, text


def _write_head(stream: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """The opcodes of numpy.ndarray.__reduce__ up to the content: how it is made, and the start of its state."""
    extents = b"(" + b"".join(_integer(extent) for extent in shape) + b"t"
    order, kind = dtype.newbyteorder("<").str[:1].encode(), dtype.str[1:].encode()
    stream.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85")
    stream.write(b"c_codecs\nencode\nX\x01\x00\x00\x00bX\x06\x00\x00\x00latin1\x86R\x87R(K\x01" + extents)
    stream.write(b"cnumpy\ndtype\nX" + struct.pack("<I", len(kind)) + kind + b"K\x00K\x01\x87R")
    stream.write(b"(K\x03X\x01\x00\x00\x00" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")


def _integer(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _write_content(stream: IO[bytes], table: Table, name: str, as_text: bool, size: int, text: int) -> None:
    if not as_text:
        stream.write(b"\x8e" + struct.pack("<Q", size))
        for chunk in table.chunks(name):
            stream.write(_little_endian(chunk))
        return
    if not size:
        stream.write(EMPTY_BYTES)
        return
    stream.write(b"c_codecs\nencode\nX" + struct.pack("<I", text))
    for chunk in table.chunks(name):
        stream.write(_little_endian(chunk).decode("latin1").encode())
    stream.write(b"X\x06\x00\x00\x00latin1\x86R")


def _little_endian(chunk: np.ndarray) -> bytes:
    return chunk.astype(chunk.dtype.newbyteorder("<"), copy=False).tobytes()
