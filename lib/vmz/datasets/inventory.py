"""What videos a database holds, told apart cheaply: by path, or by length and both ends of their bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from vmz.datasets.video_lists import ListedVideo
from vmz.files import open_regular
from vmz.progress import progress
from vmz.results.data import ListAccount
from vmz.text import counted
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.records import RecordError, key_text

END_BYTES = 1 << 16  # two videos of one length that begin and end alike over so much are taken for the same one
Identity = tuple[object, ...]


@dataclass(frozen=True)
class Held:
    """One record that can be read: its key, its labels, its path where the database holds paths, and what it is."""

    index: int
    key: str
    labels: Optional[tuple[int, ...]]
    path: Optional[str]
    identity: Identity


def held(database: VideoDatabase, use_local_file: bool) -> list[Held]:
    """Every record that can be read, in database order."""
    found = []
    for index in progress(range(len(database)), len(database), "records", f"looking through {database.path}"):
        key = key_text(database.keys[index])
        try:
            if use_local_file:
                record = database[index]
                path = os.path.normpath(record.path)
                found.append(Held(index, key, record.labels, path, (path,)))
            else:
                found.append(Held(index, key, None, None, _content(*database.video_ends(index, END_BYTES))))
        except RecordError:
            continue  # the reader names it, and says why
    return found


def duplicates(database: VideoDatabase, records: Sequence[Held]) -> list[list[Held]]:
    """Groups of records that hold the same video, byte for byte, or the same path."""
    groups: dict[Identity, list[Held]] = {}
    for record in records:
        groups.setdefault(record.identity, []).append(record)
    found = []
    for group in groups.values():
        if len(group) < 2:
            continue
        if group[0].path is not None:
            found.append(group)
            continue
        same: dict[bytes, list[Held]] = {}
        for record in group:  # alike at both ends: now the whole of them
            same.setdefault(hashlib.blake2b(database[record.index].video).digest(), []).append(record)
        found.extend(part for part in same.values() if len(part) > 1)
    return found


def against_list(
    path: str, rows: Sequence[ListedVideo], database: VideoDatabase, records: Sequence[Held]
) -> ListAccount:
    """Which videos of the list the database lacks, which it has besides, and whose labels differ."""
    by_path = bool(records) and records[0].path is not None
    compared_by, wanted = _identities(rows, records) if by_path else _file_identities(rows)
    if not wanted:
        return _by_labels(path, rows, database, records)
    have = _by_identity(records, compared_by)
    allowed = _allowed_labels(wanted)
    unknown = len(rows) - len(wanted)
    return ListAccount(
        path=path,
        rows=len(rows),
        compared_by=compared_by,
        missing=[(row.line, row.video) for row, identity in wanted if identity not in have],
        extra=[] if unknown else [one.key for identity in have if identity not in allowed for one in have[identity]],
        relabelled=_relabelled(database, have, allowed),
        unknown=unknown,
    )


def _by_identity(records: Sequence[Held], compared_by: str) -> dict[Identity, list[Held]]:
    """The records of each video."""
    have: dict[Identity, list[Held]] = {}
    for record in records:
        identity = (os.path.basename(record.path or ""),) if compared_by == "file name" else record.identity
        have.setdefault(identity, []).append(record)
    return have


def _allowed_labels(wanted: Sequence[tuple[ListedVideo, Identity]]) -> dict[Identity, set[tuple[int, ...]]]:
    """The labels that the list gives each video, sorted: more than one set of them where it has several rows."""
    allowed: dict[Identity, set[tuple[int, ...]]] = {}
    for row, identity in wanted:
        allowed.setdefault(identity, set()).add(tuple(sorted(row.labels)))
    return allowed


def _relabelled(
    database: VideoDatabase,
    have: Mapping[Identity, Sequence[Held]],
    allowed: Mapping[Identity, set[tuple[int, ...]]],
) -> list[str]:
    """Keys of the records of listed videos whose labels are none of the list's, in the order of the list."""
    return [
        record.key
        for identity, labels in allowed.items()
        for record in have.get(identity, [])
        if tuple(sorted(labels_of(database, record))) not in labels
    ]


def labels_of(database: VideoDatabase, record: Held) -> tuple[int, ...]:
    """The labels of a record; they are at the end of it, so that they are read only where they matter."""
    return record.labels if record.labels is not None else database[record.index].labels


def file_content(path: str) -> tuple[int, bytes]:
    """What tells a file's content from another's: its length, and a hash of both its ends. Raises OSError."""
    with open_regular(path) as stream:
        start = stream.read(END_BYTES)
        length = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, length - END_BYTES))
        return _content(length, start + stream.read(END_BYTES))


def _content(length: int, ends: bytes) -> tuple[int, bytes]:
    return length, hashlib.blake2b(ends, digest_size=16).digest()


def _identities(rows: Sequence[ListedVideo], records: Sequence[Held]) -> tuple[str, list[tuple[ListedVideo, Identity]]]:
    """By path, or by file name where no path is the same and file names tell the rows apart: the folder was moved."""
    found = [(row, (os.path.normpath(row.video),)) for row in rows]
    known = {record.identity for record in records}
    names = {os.path.basename(row.video) for row in rows}
    if not any(identity in known for _, identity in found) and len(names) == len({row.video for row in rows}):
        return "file name", [(row, (os.path.basename(row.video),)) for row in rows]
    return "path", list(found)


def _file_identities(rows: Sequence[ListedVideo]) -> tuple[str, list[tuple[ListedVideo, Identity]]]:
    found: list[tuple[ListedVideo, Identity]] = []
    for row in rows:
        try:
            found.append((row, file_content(row.video)))
        except (OSError, ValueError):
            continue
    return "content", found


def _by_labels(path: str, rows: Sequence[ListedVideo], database: VideoDatabase, records: Sequence[Held]) -> ListAccount:
    """The videos themselves cannot be compared: how many of each label are too few is still known."""
    counts: dict[tuple[int, ...], int] = {}
    for record in records:
        labels = tuple(sorted(labels_of(database, record)))
        counts[labels] = counts.get(labels, 0) + 1
    missing: list[tuple[Optional[int], str]] = []
    for row in rows:
        labels = tuple(sorted(row.labels))
        counts[labels] = counts.get(labels, 0) - 1
        if counts[labels] < 0:
            missing.append((row.line, f"a video with the label {', '.join(map(str, labels))}"))
    extra = sum(count for count in counts.values() if count > 0)
    return ListAccount(path, len(rows), "labels", missing, [counted(extra, "record")] if extra else [], [], len(rows))
