"""names.csv, beside the data.mdb of a database: the file and the line of the list behind each record.

The records themselves are the original's, whose keys are numbers in shuffled order and which keep no path where they
hold a video's bytes. Databases without the file, the original's among them, are read as ever.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Optional

from vmz.files import open_regular
from vmz.processes import identity
from vmz.video.faults import Origin

NAMES = "names.csv"
LISTED = "listed.txt"  # in a database that a run makes for itself: what the user gave, a list or a folder
COLUMNS = ("key", "bytes", "list", "line", "video")  # bytes: of the record's value, to tell a database made since
_LONGEST_NAME = 4096
_warned: set[str] = set()


class NamesWriter:
    """Writes the file row by row, from the first record whose origin is known."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, NAMES)
        self._stream: Optional[IO[str]] = None
        self._writer: Any = None

    def write(self, key: str, size: int, origin: Origin) -> None:
        if self._stream is None:
            self._stream = open(self._path, "w", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
            self._writer = csv.writer(self._stream, lineterminator="\n")
            self._writer.writerow(COLUMNS)
        self._writer.writerow((key, size, origin.list_file, origin.line, origin.path))

    def close(self) -> None:
        """All rows are on the disk."""
        if self._stream is not None:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._stream = None


def read_names(database: str, sizes: Mapping[str, int]) -> dict[str, Origin]:
    """{key: origin} of a database whose records have these sizes; empty where there is no such file.

    A file that does not fit the records is ignored, with one warning on stderr.
    """
    path = Path(database) / NAMES
    if not os.path.isdir(database) or not path.exists():
        return {}
    try:
        with io.TextIOWrapper(open_regular(path), "utf-8", "surrogateescape", newline="") as stream:
            rows = list(csv.reader(stream))
        found = {
            key: (int(size), Origin(video, int(line) if line else None, name))
            for key, size, name, line, video in rows[1:]
        }
        why = _misfit(tuple(rows[0]) if rows else (), {key: size for key, (size, _) in found.items()}, sizes)
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
    except (ValueError, csv.Error):
        why = "it is damaged"
    if why:
        _warn(f"{path} is ignored, {why}; videos are named by the keys of their records")
        return {}
    return {key: origin for key, (_, origin) in found.items()}


def given_name(database: str) -> str:
    """What messages call a database: the list or folder that a run made it of, else its path."""
    try:
        with open_regular(Path(database) / LISTED) as stream:
            return os.fsdecode(stream.read(_LONGEST_NAME)) or database
    except (OSError, ValueError):
        return database


def _misfit(columns: tuple[str, ...], named: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    if columns != COLUMNS:
        return f"its columns are not {', '.join(COLUMNS)}"
    if named == sizes:
        return ""
    other = next((key for key in [*sizes, *named] if named.get(key) != sizes.get(key)), "")
    return f"it does not fit the database (first at record {other}); it belongs to an earlier database"


def _warn(text: str) -> None:
    if text not in _warned and identity.rank() == 0:  # the first of several processes speaks
        print(f"warning: {text}", file=sys.stderr)
    _warned.add(text)
