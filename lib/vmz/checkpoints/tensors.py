"""Tensors as Caffe2 serialises them: BlobProtos of at most a million values each, the pieces of a tensor in any order.

The numbers of a piece are one block of bytes: a float's own, or, in the integer fields, varints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Optional

import numpy as np

from vmz.errors import VmzError
from vmz.netdef.protos import DATA_TYPES, BlobChunk
from vmz.text import counted, quoted

MOST_AXES = 32  # of numpy arrays, of old
CHUNK = 1_000_000  # values of a piece, Caffe2's default
SEPARATOR = "#%"  # between the blob's name and the number of the piece, in a database's key
TENSOR = "Tensor"  # the type of such a BlobProto


@dataclass(frozen=True)
class _Storage:
    """Where a TensorProto keeps values of a type."""

    dtype: np.dtype
    field: str
    varint: bool


_STORAGES = {
    "FLOAT": _Storage(np.dtype("<f4"), "float_data", False),
    "DOUBLE": _Storage(np.dtype("<f8"), "double_data", False),
    "INT64": _Storage(np.dtype("<i8"), "int64_data", True),
    "INT32": _Storage(np.dtype("<i4"), "int32_data", True),
    "UINT8": _Storage(np.dtype("u1"), "int32_data", True),
    "INT8": _Storage(np.dtype("i1"), "int32_data", True),
    "UINT16": _Storage(np.dtype("<u2"), "int32_data", True),
    "INT16": _Storage(np.dtype("<i2"), "int32_data", True),
    "BOOL": _Storage(np.dtype("?"), "int32_data", True),
    "FLOAT16": _Storage(np.dtype("<f2"), "int32_data", True),  # the bits of each, or all of them in byte_data
}
_NUMBERS = {DATA_TYPES[name]: storage for name, storage in _STORAGES.items()}


def serialise(name: str, array: np.ndarray, chunk: int = CHUNK) -> Iterator[tuple[str, bytes]]:
    """(key, BlobProto) of each piece of a tensor. ValueError for an array of anything but numbers that Caffe2 has."""
    array = np.asarray(array)
    number, storage = _storage_of(name, array.dtype)
    values = np.ascontiguousarray(array, storage.dtype).reshape(-1)
    for part, begin in enumerate(range(0, max(values.size, 1), chunk)):
        end = min(begin + chunk, values.size)
        blob = BlobChunk(name=name, type=TENSOR)
        tensor = blob.tensor
        tensor.dims.extend(array.shape)
        tensor.data_type = number
        tensor.name = name
        tensor.device_detail.device_type = 0  # the CPU: whoever loads it chooses another
        tensor.segment.begin, tensor.segment.end = begin, end
        if end > begin:
            piece = values[begin:end]
            setattr(tensor, storage.field, to_varints(_integers(piece)) if storage.varint else piece.tobytes())
        yield f"{name}{SEPARATOR}{part}", blob.SerializeToString()


class Assembly:
    """Tensors put together from their pieces. `limit`: all have no more values than that, so a damaged size is seen."""

    def __init__(self, limit: int) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._limit, self._values = limit, 0
        self._filled: dict[str, list[tuple[int, int]]] = {}

    def add(self, name: str, tensor: Any) -> None:
        """Put a piece (a TensorChunk) in its place. VmzError, without the blob's name, when it does not fit."""
        storage = _NUMBERS.get(tensor.data_type)
        if storage is None:
            raise VmzError(f"it has Caffe2's data type {tensor.data_type}, but blobs are arrays of numbers")
        shape = tuple(tensor.dims)
        if len(shape) > MOST_AXES or min(shape, default=0) < 0 or max(shape, default=0) > self._limit:
            raise VmzError(f"its shape {quoted(shape)} needs more data than the file has")
        size = prod(shape)
        array = self.arrays.get(name)
        if array is None:
            self._values += size
            if self._values > self._limit:
                raise VmzError(f"its shape {quoted(shape)} needs more data than the file has")
            array = self.arrays[name] = np.empty(shape, storage.dtype)
        begin, end = (tensor.segment.begin, tensor.segment.end) if tensor.HasField("segment") else (0, size)
        values = _values(storage, tensor)
        if array.shape != shape or array.dtype != storage.dtype or not 0 <= begin <= end <= size:
            raise VmzError("it is a piece of a different tensor than the one before")
        if values.size != end - begin:
            raise VmzError(f"it has {counted(values.size, 'value')}, but {end - begin} are expected")
        array.reshape(-1)[begin:end] = values
        self._filled.setdefault(name, []).append((begin, end))

    def incomplete(self) -> list[str]:
        """The tensors that do not have each value once."""
        return [name for name, pieces in self._filled.items() if not _covers(pieces, self.arrays[name].size)]


def _covers(pieces: list[tuple[int, int]], size: int) -> bool:
    reached = 0
    for begin, end in sorted(pieces):
        if begin != reached:
            return False
        reached = end
    return reached == size


def _storage_of(name: str, dtype: np.dtype) -> tuple[int, _Storage]:
    for kind, storage in _STORAGES.items():
        if storage.dtype == dtype.newbyteorder("<"):
            return DATA_TYPES[kind], storage
    raise ValueError(f"blob {name} is an array of {dtype}, which Caffe2 has no tensor for")


def _integers(values: np.ndarray) -> np.ndarray:
    """The int64 that stand for values in an integer field."""
    return (values.view("<u2") if values.dtype.kind == "f" else values).astype(np.int64)


def _values(storage: _Storage, tensor: Any) -> np.ndarray:
    content = getattr(tensor, storage.field)
    if tensor.byte_data and not content:
        content, varint = tensor.byte_data, False
    else:
        varint = storage.varint
    if not varint:
        if len(content) % storage.dtype.itemsize:
            raise VmzError(
                f"its values have {counted(len(content), 'byte')}, which is not a multiple of {storage.dtype.itemsize}"
            )
        return np.frombuffer(content, storage.dtype)
    integers = from_varints(content)
    if integers is None:
        raise VmzError("it ends in the middle of a value")
    return integers.astype("<u2").view("<f2") if storage.dtype.kind == "f" else integers.astype(storage.dtype)


def to_varints(values: np.ndarray) -> bytes:
    """int64 values as protobuf's varints: seven bits a byte, low ones first, the top bit set on all but the last."""
    unsigned = values.view(np.uint64)
    length = max((int(unsigned.max()).bit_length() + 6) // 7, 1)
    groups = (unsigned[:, None] >> (7 * np.arange(length, dtype=np.uint64))) & np.uint64(127)
    more = (unsigned[:, None] >> (7 * np.arange(1, length + 1, dtype=np.uint64))) > 0
    more[:, 9:] = False  # a shift by 70 bits is no shift: the tenth byte is always the last
    used = np.concatenate([np.ones((len(values), 1), bool), more[:, :-1]], axis=1)
    return bytes((groups | (more.astype(np.uint64) << np.uint64(7))).astype(np.uint8)[used].tobytes())


def from_varints(content: bytes) -> Optional[np.ndarray]:
    """int64 values from varints; None when the last one does not end."""
    octets = np.frombuffer(content, np.uint8)
    if not octets.size:
        return np.empty(0, np.int64)
    last = octets < 128
    if not last[-1]:
        return None
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(octets.size) - np.repeat(starts, ends - starts + 1)
    parts = (octets & 127).astype(np.uint64) << np.minimum(7 * place, 63).astype(np.uint64)
    return np.add.reduceat(parts, starts).view(np.int64)
