"""What a feature file holds: a few arrays of as many rows each, which may be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

CHUNK_BYTES = 1 << 22  # handled at a time: enough for a disk to be quick, nothing beside the net


class Table(Protocol):
    """Named arrays that are read row after row."""

    def names(self) -> list[str]:
        """In the order in which files hold them."""

    def dtype(self, name: str) -> np.dtype: ...

    def shape(self, name: str) -> tuple[int, ...]:
        """(rows, ...)"""

    def chunks(self, name: str) -> Iterator[np.ndarray]:
        """All rows in order, some CHUNK_BYTES at a time, each chunk (some rows, ...) and contiguous."""


class ArrayTable:
    """Arrays in memory as a Table."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}

    def names(self) -> list[str]:
        return list(self._arrays)

    def dtype(self, name: str) -> np.dtype:
        return self._arrays[name].dtype

    def shape(self, name: str) -> tuple[int, ...]:
        return self._arrays[name].shape

    def chunks(self, name: str) -> Iterator[np.ndarray]:
        array = self._arrays[name]
        rows = rows_at_a_time(array.dtype, array.shape)
        for start in range(0, len(array), rows):
            yield array[start : start + rows]


class Columns:
    """Some arrays of a Table."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self._names = list(names)
        self.dtype, self.shape, self.chunks = table.dtype, table.shape, table.chunks

    def names(self) -> list[str]:
        return self._names


def squeezed(array: np.ndarray) -> np.ndarray:
    """Without the axes of 1 behind the first two, which are rows and channels: (T, C, 1, 1, 1) becomes (T, C)."""
    return array.reshape(*array.shape[:2], *(extent for extent in array.shape[2:] if extent != 1))


def row_bytes(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Bytes of one row of an array of `shape` (rows, ...)."""
    return int(dtype.itemsize * np.prod(shape[1:], dtype=np.int64))


def rows_at_a_time(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Rows that make up a chunk."""
    return max(1, CHUNK_BYTES // max(1, row_bytes(dtype, shape)))
