"""LMDBs of video records: a reader of ours and the original's, and a writer that leaves a whole database or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Union

import lmdb

from vmz.errors import UsageError, VmzError
from vmz.files import disk_trouble, published, remove_temporary, temporary_folder_beside
from vmz.outputs import Output, in_progress
from vmz.text import printable
from vmz.video.database.lmdb_file import LmdbFile
from vmz.video.database.names import NamesWriter, given_name, read_names
from vmz.video.database.records import Record, RecordError, decode_record, encode_record, key_text, video_span
from vmz.video.faults import Origin, record_name, shown_path

FIRST_MAP_BYTES = 1 << 26  # grows as needed: the map is reserved on the disk on some systems, so no fixed terabyte
BATCH_BYTES = 1 << 25  # a transaction is written out at this size or at this many records
BATCH_RECORDS = 1000
PROBED_RECORDS = 3  # if none of the first few is a video record, the database is of something else


class VideoDatabase:
    """Read-only access by position; positions follow the cursor's order, which is the byte order of the keys.

    path: what messages call it, which of a database that a run made of a list is that list.
    Raises UsageError when there is no such path, and VmzError when it is no LMDB, is empty, or holds something else
    than video records. Safe to use from several threads.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self._place = str(path)
        self._file = LmdbFile(_data_file(self._place))
        self.path = given_name(self._place)
        self.is_listed = self.path != self._place  # made of a list by this run
        self.keys = self._file.keys
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        if not self.keys:
            raise VmzError(f"{self.path} is an LMDB without records; create one with data/create_video_db.py")
        reason = ""
        for index in range(min(PROBED_RECORDS, len(self.keys))):
            try:
                self[index]
                return
            except RecordError as error:
                reason = str(error)
        raise VmzError(
            f"{self.path} is an LMDB that does not contain videos (record {key_text(self.keys[0])}: {reason}); "
            "create one of videos with data/create_video_db.py"
        )

    def __len__(self) -> int:
        return len(self.keys)

    def value(self, index: int) -> bytes:
        """The raw value at a position."""
        return self._file.value(index)

    def value_ends(self, index: int, size: int) -> tuple[int, bytes]:
        """The length of the raw value at a position, and its first and last `size` bytes."""
        length = self._file.size(index)
        rest = min(size, max(0, length - size))
        return length, self._file.value(index, 0, size) + self._file.value(index, length - rest, rest)

    def __getitem__(self, index: int) -> Record:
        """The record at a position. Raises RecordError when it cannot be read."""
        return decode_record(self.keys[index], self.value(index))

    def video_ends(self, index: int, size: int) -> tuple[int, bytes]:
        """The length of the video held, and its first and last `size` bytes; what lies between is not read.

        Raises RecordError when the record cannot be read.
        """
        span = video_span(self._file.value(index, 0, 64))
        if span is not None and sum(span) <= self._file.size(index):
            start, length = span
            count = min(size, length)
            ends = (start, start + length - count)
            return length, b"".join(self._file.value(index, end, count) for end in ends)
        held = self[index].video
        return len(held), held[:size] + held[max(0, len(held) - size) :]

    @cached_property
    def names(self) -> dict[str, Origin]:
        """{key: where the record comes from}, as create_video_db.py kept it; empty for databases without it."""
        return read_names(self._place, {key_text(key): self._file.size(index) for index, key in enumerate(self.keys)})

    def name(self, index: int, path: Optional[str] = None) -> dict[str, Any]:
        """What names a record, as fields of vmz.video.faults.BadVideo: key, path, line and list_file.

        path: what the record itself holds, where it holds a path.
        """
        return self.named(key_text(self.keys[index]), path)

    def named(self, key: str, path: Optional[str] = None) -> dict[str, Any]:
        """The same of a record by its key."""
        origin = self.names.get(key)
        if origin is None:
            return {"key": key, "path": None if path is None else shown_path(path)}
        path = origin.path if path is None else path
        return {"key": key, "path": shown_path(path), "line": origin.line, "list_file": printable(origin.list_file)}

    def paths(self, keys: Sequence[str], use_local_file: bool) -> list[str]:
        """The paths of records by their keys, as they can be shown; "" where one is not known.

        use_local_file: the database holds paths.
        """
        if not use_local_file:
            return [shown_path(self.names[key].path) if key in self.names else "" for key in keys]
        places = {key_text(key): index for index, key in enumerate(self.keys)}
        return [shown_path(self[places[key]].path) for key in keys]

    def describe(self, key: str, path: Optional[str] = None) -> str:
        """A record in full: its key, this database, and the file and the line of the list where they are known."""
        return record_name(**self.named(key, path), database=self.path)

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> VideoDatabase:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class DatabaseWriter:
    """Writes records to a new LMDB. Use as a context manager: it appears at `path` only when the block ends well.

    Raises UsageError when `path` exists, VmzError when it cannot be written.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self.path = Path(path)
        if os.path.lexists(self.path):
            raise UsageError(f"{self.path} exists already; remove it or choose another output")
        self.records = self.bytes = 0
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0
        self._held = in_progress(Output("database", self.path, new=True))
        self._held.__enter__()
        self._temporary = ""
        try:
            self._temporary = temporary_folder_beside(self.path)
            # Nobody else opens it. LMDB's table of locks is a map of a file: on a full disk that ends the process.
            self._environment = lmdb.open(self._temporary, map_size=FIRST_MAP_BYTES, writemap=False, lock=False)
            self._names = NamesWriter(self._temporary)
        except BaseException as error:
            self._let_go()
            if not isinstance(error, (OSError, lmdb.Error)):
                raise
            reason = getattr(error, "strerror", None) or error
            raise VmzError(
                f"cannot write {self.path}: {reason}; choose a folder that exists and is writable"
            ) from error

    def write(self, record: Record, origin: Optional[Origin] = None) -> int:
        """Add a record; returns the size of its value in bytes. origin: kept beside the records, for messages."""
        value = encode_record(record)
        if origin is not None:
            with disk_trouble(self.path):
                self._names.write(key_text(record.key), len(value), origin)
        self._pending.append((record.key, value))
        self._pending_bytes += len(value)
        self.records += 1
        self.bytes += len(value)
        if self._pending_bytes >= BATCH_BYTES or len(self._pending) >= BATCH_RECORDS:
            self._flush()
        return len(value)

    def _flush(self) -> None:
        while self._pending:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, value in self._pending:
                        transaction.put(key, value)
            except lmdb.MapFullError:  # of the map, not of the disk
                size = self._environment.info()["map_size"]
                self._environment.set_mapsize(size + max(size, 4 * self._pending_bytes))
                continue
            except lmdb.Error as error:
                raise VmzError(f"cannot write {self.path}: {error}; nothing of it is left") from error
            self._pending.clear()
            self._pending_bytes = 0

    def _publish(self) -> None:
        if os.path.lexists(self.path):
            raise VmzError(f"{self.path} was created in the meantime; remove it or choose another output")
        os.rename(self._temporary, self.path)
        published(self._temporary)

    def _let_go(self) -> None:
        remove_temporary(self._temporary)
        self._held.__exit__(None, None, None)

    def __enter__(self) -> DatabaseWriter:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            with disk_trouble(self.path):
                if kind is None:
                    self._flush()
                    self._sync()
                self._environment.close()
                self._names.close()
                if kind is None:
                    self._publish()
        finally:
            self._let_go()

    def _sync(self) -> None:
        try:
            self._environment.sync(True)
        except lmdb.Error as error:
            raise VmzError(f"cannot write {self.path}: {error}; nothing of it is left") from error


def _data_file(path: str) -> str:
    """The file of a database that is a folder or, as LMDB can have it, that file itself."""
    if not os.path.exists(path):
        raise UsageError(
            f"no such database: {path}; give the folder that data/create_video_db.py wrote, a list of videos (.csv) or "
            "a folder of class folders"
        )
    data = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
    if not os.path.exists(data):
        raise VmzError(f"{path} is not an LMDB: it contains no data.mdb; give the folder that create_video_db.py wrote")
    return data
