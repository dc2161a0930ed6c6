"""Reading an LMDB without mapping it: every page that leads to a record is checked, then values are read as asked for.

LMDB itself trusts its file: a truncated or damaged one kills the process that maps it. Here a file is read by plain
reads, so that what is wrong with it is an error. ops/core/database/lmdb_file.cc is the same for the C++ operator:
change both.

The format (LMDB 0.9, 64 bit, little-endian): pages of one size. Pages 0 and 1 are meta pages, of which the one with the
larger transaction counts; it names the root of a B+ tree. A page begins with its number (8 bytes), 2 unused, its kind
(2), where its table of nodes ends (2) and its nodes begin (2); the table, of 2 bytes a node, follows. A node of a leaf
is its value's length (4), flags (2), its key's length (2), key, value; or in place of the value the first of the pages
that hold it. A node of a branch is the number of a page below it (6), its key's length (2), and the least key there.
"""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple, Optional

from vmz.errors import VmzError
from vmz.files import open_regular

MAGIC, FORMAT = 0xBEEFC0DE, 1
PAGE_SIZES = tuple(1 << bits for bits in range(9, 16))
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8  # kinds of pages
IN_PAGES, SUBTABLE = 1, 2  # flags of a leaf's node: the value has pages of its own; it is a table
MAX_DEPTH = 32  # LMDB follows no deeper tree
NO_PAGE = (1 << 64) - 1

_PAGE = struct.Struct("<QHHHH")
_META = struct.Struct("<IIQQ48sIHHQQQQQQQ")  # magic, format, address, map size, free table, main table, last page, txn
_NODE = struct.Struct("<HHHH")
_HEAD = _PAGE.size

REMEDY = "copy it or create it again"


class LmdbError(VmzError):
    """A file that is no LMDB, is damaged, or has changed since it was opened; the message names it."""


class _Meta(NamedTuple):
    page_size: int
    flags: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


class _Place(NamedTuple):
    """Where a value lies in the file. page: the first of its own, None where it is in the leaf."""

    offset: int
    size: int
    page: Optional[int]


def begins_as_lmdb(start: bytes) -> bool:
    """Whether the first bytes of a file, some hundreds, are those of an LMDB."""
    return start[_HEAD : _HEAD + 4] == MAGIC.to_bytes(4, "little")


class LmdbFile:
    """The records of an LMDB, in the order of their keys. Safe to use from several threads.

    path: its data file. Raises LmdbError for what is no LMDB, or one whose tree of pages is not whole.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.keys: list[bytes] = []
        self._places: list[_Place] = []
        try:
            self._file: Any = open_regular(path)
        except (OSError, ValueError) as error:
            raise LmdbError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
        try:
            self._descriptor = self._file.fileno()
            self._state = self._stat()
            self._walk()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.keys)

    def size(self, index: int) -> int:
        """Bytes of the value at a position."""
        return self._places[index].size

    def value(self, index: int, first: int = 0, count: Optional[int] = None) -> bytes:
        """The value at a position, or `count` bytes of it from `first` on. Raises LmdbError where the file changed."""
        offset, size, page = self._places[index]
        count = max(0, min(size - first, size if count is None else count))
        head = b"" if page is None else self._read(offset - _HEAD, _HEAD)
        content = self._read(offset + first, count)
        if self._stat() != self._state:
            raise self._changed()
        if page is not None:
            number, _, kind, *_ = _PAGE.unpack(head)
            if (number, kind) != (page, OVERFLOW):
                raise self._damaged(page, "is not the value's that a record names")
        return content

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._file.close()

    def _stat(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def _read(self, offset: int, count: int) -> bytes:
        parts = []
        while count > 0:
            try:
                part = os.pread(self._descriptor, count, offset)
            except OSError as error:
                raise LmdbError(f"cannot read {self.path}: {error.strerror}") from error
            if not part:
                raise self._changed()
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _walk(self) -> None:
        self._meta = meta = self._current_meta()
        if meta.flags:
            raise self._damaged(0, f"states a table of another kind ({meta.flags})")
        self._taken: list[tuple[int, int]] = []  # pages from the first on, how many
        self._visited: set[int] = set()
        if meta.root != NO_PAGE:
            if not 1 <= meta.depth <= MAX_DEPTH:
                raise self._damaged(0, f"states a tree of {meta.depth} levels")
            self._descend(meta.root, meta.depth, b"", None)
        if len(self.keys) != meta.entries:
            raise LmdbError(
                f"{self.path} is damaged: it states {meta.entries} records and contains {len(self.keys)}; {REMEDY}"
            )
        self._check_shared()
        del self._taken, self._visited
        if self._stat() != self._state:
            raise self._changed()

    def _current_meta(self) -> _Meta:
        size = self._state[0]
        if size == 0:
            raise LmdbError(f"{self.path} is not an LMDB: it is empty; {REMEDY}")
        start = self._read(0, min(size, 256))
        other = _other_kind(start)
        if other:
            raise LmdbError(f"{self.path} {other}")
        first = self._meta_page(0, start)
        if size < 2 * first.page_size:
            raise self._truncated(2 * first.page_size)
        second = self._meta_page(1, self._read(first.page_size, 256))
        if second.page_size != first.page_size:
            raise self._damaged(1, f"states pages of {second.page_size} bytes, page 0 of {first.page_size}")
        return second if first.transaction < second.transaction else first

    def _meta_page(self, number: int, content: bytes) -> _Meta:
        if len(content) < _HEAD + _META.size:
            raise LmdbError(f"{self.path} is truncated: {len(content)} bytes are less than a page; {REMEDY}")
        page, _, kind, *_ = _PAGE.unpack_from(content)
        magic, version, _, _, free, _, flags, depth, _, _, _, entries, root, last, transaction = _META.unpack_from(
            content, _HEAD
        )
        if (page, kind, magic) != (number, META, MAGIC):
            raise self._damaged(number, "is not the meta page that it should be")
        if version != FORMAT:
            raise LmdbError(
                f"{self.path} is an LMDB of format {version}, and only format {FORMAT} (LMDB 0.9) can be read; "
                "write it again with LMDB 0.9"
            )
        page_size = int.from_bytes(free[:4], "little")
        if page_size not in PAGE_SIZES:
            raise self._damaged(number, f"states pages of {page_size} bytes, which no LMDB has")
        return _Meta(page_size, flags, depth, entries, root, last, transaction)

    def _page(self, number: int) -> bytes:
        size = self._meta.page_size
        self._claim(number, 1)
        return self._read(number * size, size)

    def _claim(self, number: int, count: int) -> None:
        """Pages that the tree uses: each is in the file, and is used once."""
        if number < 2 or number + count - 1 > self._meta.last_page:
            raise LmdbError(
                f"{self.path} is damaged: it names page {number} and {count - 1} more, the last page is "
                f"{self._meta.last_page}; {REMEDY}"
            )
        if (number + count) * self._meta.page_size > self._state[0]:
            raise self._truncated((self._meta.last_page + 1) * self._meta.page_size)
        if number in self._visited:
            raise self._damaged(number, "is named twice")
        self._visited.add(number)
        self._taken.append((number, count))

    def _check_shared(self) -> None:
        end = 0
        for first, count in sorted(self._taken):
            if first < end:
                raise self._damaged(first, "is named twice")
            end = first + count

    def _descend(self, number: int, level: int, least: bytes, below: Optional[bytes]) -> None:
        """The page and all below it, whose keys are at least `least` and, where it is given, less than `below`."""
        content = self._page(number)
        page, _, kind, lower, upper = _PAGE.unpack_from(content)
        if page != number or kind != (LEAF if level == 1 else BRANCH):
            raise self._damaged(number, f"is not the {'leaf' if level == 1 else 'branch'} that it should be")
        if not _HEAD <= lower <= upper <= len(content) or lower % 2:
            raise self._damaged(number, "states a table of nodes that does not fit")
        nodes = struct.unpack_from(f"<{(lower - _HEAD) // 2}H", content, _HEAD)
        if len(nodes) < (1 if level == 1 else 2):
            raise self._damaged(number, "contains too few nodes")
        if any(not upper <= node <= len(content) - _NODE.size for node in nodes):
            raise self._damaged(number, "contains a node that does not fit")
        if level == 1:
            self._leaf(number, content, nodes, least, below)
        else:
            self._branch(number, content, nodes, level, least, below)

    def _branch(
        self, number: int, content: bytes, nodes: tuple[int, ...], level: int, least: bytes, below: Optional[bytes]
    ) -> None:
        children, keys = [], []
        for place, node in enumerate(nodes):
            low, high, top, length = _NODE.unpack_from(content, node)
            if node + _NODE.size + length > len(content):
                raise self._damaged(number, "contains a node that does not fit")
            children.append(low | high << 16 | top << 32)
            key = content[node + _NODE.size : node + _NODE.size + length]
            keys.append(key if place else least)  # the first node's key stands for any
        ends = [*keys[1:], below]
        for child, key, end in zip(children, keys, ends):
            if key < least or (end is not None and key >= end):
                raise self._damaged(number, "contains keys that are out of order")
            self._descend(child, level - 1, key, end)

    def _leaf(self, number: int, content: bytes, nodes: tuple[int, ...], least: bytes, below: Optional[bytes]) -> None:
        size, base = self._meta.page_size, number * self._meta.page_size
        previous: Optional[bytes] = None
        for node in nodes:
            low, high, flags, length = _NODE.unpack_from(content, node)
            value = low | high << 16
            start = node + _NODE.size + length
            end = start + (8 if flags & IN_PAGES else value)
            if end > len(content) or not length or flags not in (0, IN_PAGES, SUBTABLE):
                raise self._damaged(number, "contains a node that does not fit")
            key = content[start - length : start]
            if key < least or (below is not None and key >= below) or (previous is not None and key <= previous):
                raise self._damaged(number, "contains keys that are out of order")
            previous = key
            if flags & IN_PAGES:
                first = int.from_bytes(content[start : start + 8], "little")
                self._claim(first, -(-(_HEAD + value) // size))
                self._places.append(_Place(first * size + _HEAD, value, first))
            else:
                self._places.append(_Place(base + start, value, None))
            self.keys.append(key)

    def _changed(self) -> LmdbError:
        return LmdbError(f"{self.path} has changed while it was read; run again when nothing writes to it")

    def _damaged(self, page: int, what: str) -> LmdbError:
        return LmdbError(f"{self.path} is damaged: page {page} {what}; {REMEDY}")

    def _truncated(self, size: int) -> LmdbError:
        return LmdbError(f"{self.path} is truncated: {self._state[0]} bytes of {size}; {REMEDY}")


def _other_kind(start: bytes) -> str:
    """What a file is that does not begin as an LMDB that can be read; "" for one that does."""
    here = start[_HEAD : _HEAD + 4]
    if here == MAGIC.to_bytes(4, "little"):
        return ""
    if here == MAGIC.to_bytes(4, "big"):
        return "is an LMDB of a big-endian machine, which cannot be read here; create it again on this machine"
    if start[12:16] == MAGIC.to_bytes(4, "little"):
        return "is an LMDB of a 32-bit machine, which cannot be read here; create it again on this machine"
    if start[24:28] == MAGIC.to_bytes(4, "little"):
        return "is an LMDB of LMDB 1.0, and only those of LMDB 0.9 can be read; write it again with LMDB 0.9"
    return "is not an LMDB: it does not begin as one; give the folder that create_video_db.py wrote"
