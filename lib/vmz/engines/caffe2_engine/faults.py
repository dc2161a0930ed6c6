"""What the readers of a net on Caffe2 report of single videos: blobs of text, and errors that name the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from vmz.netdef.builder import get_arguments, set_arguments
from vmz.netdef.net_parts import AV_INPUT, databases
from vmz.text import printable
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.faults import BadVideo, EndedEarly, Origin, WithoutSound, record_name, shown_path
from vmz.video.reader import check_holds

Fetch = Callable[[str], Any]
"""A blob's value, None where it has none yet."""


class _Reader(NamedTuple):
    skipped: str  # blobs
    ended_early: str
    without_sound: str  # "" where no sound is heard
    database: str
    origins: dict[str, Origin]


@dataclass(frozen=True)
class _Names:
    key: str
    path: Any
    line: Any = None
    list_file: Any = None


class Faults:
    """The reports of all readers of a net. `init_net`: whose CreateDBs say which database each of them reads.

    Raises what VideoDatabase and check_holds raise for a database that is not what the arguments say.
    """

    def __init__(self, init_net: Any = None) -> None:
        creates = databases(init_net) if init_net is not None else []
        self._databases = {op.output[0]: get_arguments(op) for op in creates}
        self._readers: list[_Reader] = []

    def watch(self, op: Any) -> None:
        """Have a VideoInput or AVInput of the net report, in outputs more, which have to be its last ones."""
        number, created = len(self._readers), self._databases.get(op.input[0], {})
        silent = f"vmz_without_sound_{number}" if op.type == AV_INPUT else ""
        reader = _Reader(f"vmz_skipped_{number}", f"vmz_ended_early_{number}", silent, created.get("db", ""), {})
        if created.get("db_type", "lmdb") == "lmdb" and reader.database:
            with VideoDatabase(reader.database) as database:
                check_holds(database, bool(get_arguments(op).get("use_local_file", 0)))
                reader = reader._replace(database=database.path, origins=database.names)
        set_arguments(op, get_skipped=1, get_ended_early=1)
        op.output.extend([reader.skipped, reader.ended_early])
        if reader.without_sound:
            set_arguments(op, get_without_sound=1)
            op.output.append(reader.without_sound)
        self._readers.append(reader)

    def skipped(self, fetch: Fetch) -> list[BadVideo]:
        """What the readers left out so far."""
        return [
            BadVideo(**vars(_names(reader, key, path)), reason=reason)
            for reader in self._readers
            for key, path, reason in _rows(fetch(reader.skipped))
        ]

    def ended_early(self, fetch: Fetch) -> list[EndedEarly]:
        """The videos so far whose reading stopped before their end."""
        return [
            EndedEarly(**vars(_names(reader, key, path)), frames=int(frames) if frames else None, reason=reason)
            for reader in self._readers
            for key, path, frames, reason in _rows(fetch(reader.ended_early))
        ]

    def without_sound(self, fetch: Fetch) -> list[WithoutSound]:
        """The videos so far that got zeros for their sound."""
        return [
            WithoutSound(**vars(_names(reader, key, path)), reason=reason)
            for reader in self._readers
            if reader.without_sound
            for key, path, reason in _rows(fetch(reader.without_sound))
        ]

    def full(self, sentence: str, fetch: Fetch) -> str:
        """An operator's error, which knows a record by its key and path only, as the PyTorch engine says it."""
        for reader in self._readers:
            sentence = sentence.replace("of the database", f"of {reader.database}", 1)
            for key, path, reason in reversed(_rows(fetch(reader.skipped))):  # the last one is the error's
                short = record_name(key, "", path)
                if f"{short}: {reason}" in sentence or f"{short} {reason}" in sentence:
                    named = vars(_names(reader, key, path))
                    database = "" if "the last one is" in sentence else reader.database
                    return sentence.replace(short, record_name(**named, database=database), 1)
        return sentence


def _names(reader: _Reader, key: str, path: str) -> _Names:
    origin = reader.origins.get(key)
    if origin is None:
        return _Names(key, path or None)
    return _Names(key, path or shown_path(origin.path), origin.line, printable(origin.list_file))


def _rows(table: Any) -> list[list[str]]:
    array = np.asarray(table, object)
    if array.ndim != 2:  # no reader has written it yet
        return []
    return [[value.decode("utf-8", "backslashreplace") for value in row] for row in array]
