"""The rows gathered so far, on disk: a folder for each process, which a later run goes on with.

A folder holds a plain binary file for each array, `records.bin` with the number of the record that each group of rows
came from (int64), `checks.bin` with a checksum of its rows in each array (uint32), and `layout.json`. The records are
written last, so rows beyond them are of an unfinished batch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Optional
from zlib import crc32

import numpy as np

from vmz.checkpoints.pickles import NUMERIC_KINDS, PLAIN_TYPE
from vmz.errors import VmzError
from vmz.features.formats.table import row_bytes, rows_at_a_time
from vmz.file_formats.json_files import Each, misfit, read_json
from vmz.files import atomic_write
from vmz.text import counted, quoted

RECORDS, CHECKS, LAYOUT = "records.bin", "checks.bin", "layout.json"
RECORD_BYTES, CHECK_BYTES = 8, 4
REMEDY = "start again with --resume=0"


class PartWriter:
    """Appends the rows of one process to its folder, made if need be; what an earlier run left there stays.

    rows: rows of each array that one record fills. `records`: how many there are; `last`: the number of the last one.
    """

    def __init__(self, folder: Path, names: Sequence[str], rows: int = 1) -> None:
        self.folder, self._names, self._rows = folder, list(names), rows
        folder.mkdir(parents=True, exist_ok=True)
        self._layout = _read_layout(folder, self._names)
        self._files: dict[str, IO[bytes]] = {}
        self.records = self._whole_records()
        for name in self._all_files():
            stream = _path(folder, self._names, name).open("ab")
            stream.truncate(self.records * self._bytes_a_record(name))
            self._files[name] = stream
        self.last = None if not self.records else int(self._checked_records()[-1])

    def _all_files(self) -> list[str]:
        return [*self._names, CHECKS, RECORDS]

    def _bytes_a_record(self, name: str) -> int:
        if name == RECORDS:
            return RECORD_BYTES
        if name == CHECKS:
            return CHECK_BYTES * len(self._names)
        if name not in self._layout:
            return 0
        dtype, shape = self._layout[name]
        return self._rows * row_bytes(dtype, (0, *shape))

    def _whole_records(self) -> int:
        """Records of which all is there. Files end unevenly when a run was killed or a machine lost its power."""
        if not self._layout:
            return 0
        counts = []
        for name in self._all_files():
            path = _path(self.folder, self._names, name)
            each = self._bytes_a_record(name)
            if each:
                counts.append(path.stat().st_size // each if path.exists() else 0)
        return min(counts)

    def _checked_records(self) -> np.ndarray:
        """The numbers of the records, which rise: where the end was lost with the machine's power they do not."""
        found = _read_records(self.folder)
        fallen = np.flatnonzero(np.diff(found, prepend=-1) <= 0)
        if len(fallen):
            raise VmzError(
                f"{self.folder / RECORDS} is damaged: entry {fallen[0]} is record {found[fallen[0]]}, where the "
                f"numbers must rise; {REMEDY}"
            )
        return found

    def append(self, records: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
        """Add a batch: records int (videos,), in rising order; arrays {name: (videos * rows, ...)}."""
        self._check(len(records), arrays)
        checks = np.empty((len(records), len(self._names)), np.uint32)
        for column, name in enumerate(self._names):
            array = np.ascontiguousarray(arrays[name])
            self._files[name].write(array.tobytes())
            self._files[name].flush()
            checks[:, column] = _checks(array, self._rows)
        self._files[CHECKS].write(checks.tobytes())
        self._files[CHECKS].flush()
        self._files[RECORDS].write(np.ascontiguousarray(records, np.int64).tobytes())
        self._files[RECORDS].flush()
        self.records += len(records)
        self.last = int(records[-1])

    def _check(self, records: int, arrays: Mapping[str, np.ndarray]) -> None:
        for name in self._names:
            if arrays[name].ndim == 0 or len(arrays[name]) != records * self._rows:
                raise VmzError(
                    f"blob {name} has shape {arrays[name].shape} for a batch of "
                    f"{counted(records * self._rows, 'clip')}; a "
                    "feature has a row for each clip, which parameters and losses do not have"
                )
        found = {name: (arrays[name].dtype, arrays[name].shape[1:]) for name in self._names}
        if not self._layout:
            self._layout = found
            _write_layout(self.folder, found)
        for name, (dtype, shape) in found.items():
            if (dtype, shape) != self._layout[name]:
                kept, before = self._layout[name]
                raise VmzError(f"blob {name} has rows of {shape} {dtype}, but those so far have {before} {kept}")

    def close(self) -> None:
        for stream in self._files.values():
            stream.close()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class Parts:
    """The rows of all processes as one Table, in the order of the records. Raises VmzError when there are none."""

    def __init__(self, folders: Sequence[Path], names: Sequence[str], rows: int = 1) -> None:
        self._names, self._rows = list(names), rows
        self._folders = [folder for folder in folders if (folder / LAYOUT).exists()]
        parts = [_read_records(folder) for folder in self._folders]
        if not sum(map(len, parts)):
            raise VmzError("no clip could be read, so there are no features to write")
        layouts = [_read_layout(folder, self._names) for folder in self._folders]
        if any(layout != layouts[0] for layout in layouts):
            raise VmzError("the processes have given features of different shapes; they have to run the same net")
        self._layout = layouts[0]
        records = np.concatenate(parts)
        order = np.argsort(records, kind="stable")
        self.records = records[order]
        twice = np.flatnonzero(np.diff(self.records) == 0)
        if len(twice):
            raise VmzError(f"record {self.records[twice[0]]} was extracted twice; start again with --resume=0")
        self._checks = [
            np.fromfile(folder / CHECKS, np.uint32).reshape(-1, len(self._names)) for folder in self._folders
        ]
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[order]
        edges = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(owner)]
        # (process, how many of its records follow one another): each file is read from its start to its end.
        self._runs = [(int(owner[start]), end - start) for start, end in zip(edges[:-1], edges[1:])]

    def names(self) -> list[str]:
        return list(self._names)

    def dtype(self, name: str) -> np.dtype:
        return self._layout[name][0]

    def shape(self, name: str) -> tuple[int, ...]:
        return (len(self.records) * self._rows, *self._layout[name][1])

    def chunks(self, name: str) -> Iterator[np.ndarray]:
        dtype, shape = self.dtype(name), self.shape(name)
        each, column = row_bytes(dtype, shape), self._names.index(name)
        most = max(1, rows_at_a_time(dtype, shape) // self._rows) * self._rows
        done = [0] * len(self._folders)
        streams = [_path(folder, self._names, name).open("rb") for folder in self._folders]
        try:
            for part, records in self._runs:
                left = records * self._rows
                while left:
                    rows = min(left, most)
                    content = streams[part].read(rows * each)
                    if len(content) < rows * each:
                        raise VmzError(f"{streams[part].name} is truncated; remove its folder and extract again")
                    array = np.frombuffer(content, dtype).reshape(rows, *shape[1:])
                    wanted = self._checks[part][done[part] : done[part] + rows // self._rows, column]
                    if not np.array_equal(_checks(array, self._rows), wanted):
                        raise VmzError(f"{streams[part].name} is damaged: rows in it have changed; {REMEDY}")
                    done[part] += rows // self._rows
                    yield array
                    left -= rows
        finally:
            for stream in streams:
                stream.close()


def discard_empty(work: Path) -> None:
    """Remove a work folder in which nothing has been extracted: nothing is lost, and no settings are to be kept to."""
    if work.is_dir() and not any(path.stat().st_size for path in work.glob(f"*/{RECORDS}")):
        shutil.rmtree(work, ignore_errors=True)


def _path(folder: Path, names: Sequence[str], name: str) -> Path:
    """By number: a blob's name may hold what a file's may not."""
    return folder / (name if name in (RECORDS, CHECKS) else f"{names.index(name)}.bin")


def _checks(array: np.ndarray, rows: int) -> np.ndarray:
    """A checksum of each record's rows: uint32 (records,)."""
    return np.array([crc32(record.tobytes()) for record in array.reshape(len(array) // rows, -1)], np.uint32)


def _read_records(folder: Path) -> np.ndarray:
    return np.fromfile(folder / RECORDS, np.int64)


Layout = dict[str, tuple[np.dtype, tuple[int, ...]]]


def _read_layout(folder: Path, names: Sequence[str]) -> Layout:
    if not (folder / LAYOUT).exists():
        return {}
    path = folder / LAYOUT
    found = read_json(path, f"{path} is damaged: it", Each(list), VmzError, REMEDY)
    layout = {name: _row_layout(entry) for name, entry in found.items()}
    wrong = next((name for name, one in layout.items() if one is None), None)
    if wrong is not None or sorted(layout) != sorted(names):
        what = (
            f"{quoted(wrong)} is {quoted(found[wrong])}, not a type and a shape"
            if wrong is not None
            else "other features"
        )
        raise VmzError(f"{path} is damaged: it has {what}; {REMEDY}")
    return {name: one for name, one in layout.items() if one is not None}


def _row_layout(entry: list[Any]) -> Optional[tuple[np.dtype, tuple[int, ...]]]:
    """The type and the shape of a row, None where the entry holds something else."""
    if len(entry) != 2 or misfit(entry[0], str) or misfit(entry[1], [int]) or not PLAIN_TYPE.fullmatch(entry[0]):
        return None
    try:
        dtype = np.dtype(entry[0])
    except TypeError:
        return None
    shape = tuple(entry[1])
    large = prod(max(extent, 1) for extent in shape) > 1 << 40
    return None if dtype.kind not in NUMERIC_KINDS or min(shape, default=0) < 0 or large else (dtype, shape)


def _write_layout(folder: Path, layout: Layout) -> None:
    with atomic_write(folder / LAYOUT, "w") as stream:
        json.dump({name: [dtype.str, list(shape)] for name, (dtype, shape) in layout.items()}, stream)
