"""What is said of the records of a database: their names, their labels, reports of them in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Optional

import numpy as np

from vmz.errors import LabelError
from vmz.settings.clips import ClipSettings
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.records import key_text
from vmz.video.faults import Fault


def in_order(reports: Sequence[Sequence[Fault]], keys: Sequence[str]) -> list[Fault]:
    """What several processes report of single videos, in database order."""
    places = {key: place for place, key in enumerate(keys)}
    return sorted((fault for part in reports for fault in part), key=lambda fault: places[fault.key])


def check_labels(labels: np.ndarray, keys: Sequence[str], clips: ClipSettings) -> None:
    """Raise LabelError, naming the record, for a label that the network lacks. labels: int (videos,) of --test_data."""
    for label, key in zip(labels, keys):
        if not 0 <= label < clips.num_labels:
            raise foreign_label(key, int(label), clips, clips)


def described(path: str, key: str, use_local_file: bool) -> str:
    """A record of the database at `path` in full, as VideoDatabase.describe has it."""
    with VideoDatabase(path) as database:
        [place] = database.paths([key], use_local_file)
        return database.describe(key, place or None)


def foreign_label(
    key: str, label: int, network: NetworkSettings, reader: ReaderSettings, data: Optional[str] = None
) -> LabelError:
    """The error of a record whose label the network lacks. data: what it is of, by default the reader's --test_data."""
    path = reader.database if data is None else reader.database_of(data)
    by_path = bool(reader.local_files if data is None else reader.local_files_of(data))
    name = described(path, key, by_path)
    return LabelError(
        f"{name} has label {label}, but --num_labels={network.num_labels} allows 0 to {network.num_labels - 1}; "
        "check --num_labels, and that the database belongs to the data set of the network"
    )


@contextmanager
def naming_foreign_labels(data: str, network: NetworkSettings, reader: ReaderSettings) -> Iterator[None]:
    """Where an engine meets a label that the network lacks in `data`, which it reads: raise LabelError that names the
    first record with such a one."""
    try:
        yield
    except LabelError as error:
        with VideoDatabase(reader.database_of(data)) as database:
            for record in database:
                for label in record.labels:
                    if not 0 <= label < network.num_labels:
                        raise foreign_label(key_text(record.key), label, network, reader, data) from error
        raise
