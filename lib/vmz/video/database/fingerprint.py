"""What tells a database from every other, and from itself after it was made anew: a copy of it keeps it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Union

import numpy as np

from vmz.errors import VmzError
from vmz.video.database.lmdb_database import VideoDatabase

MOST_LOOKED_INTO = (
    4096  # records, evenly spaced: of larger databases a look into each would take minutes on a hard disk
)
END_BYTES = 1024  # of the beginning and the end of a record: its labels, ids and path, and where videos differ


def fingerprint(path: Union[str, Path]) -> str:
    """In words: how many records a database has, and a hash of their keys, their sizes and the ends of their values.

    Raises what VideoDatabase does.
    """
    digest = hashlib.sha256()
    with VideoDatabase(path) as database:
        count = len(database)
        most = count if database.is_listed else MOST_LOOKED_INTO  # paths are short, and have just been written
        looked_into = set(np.linspace(0, count - 1, min(count, most)).astype(int).tolist())
        for index, key in enumerate(database.keys):
            size, ends = database.value_ends(index, END_BYTES if index in looked_into else 0)
            digest.update(b"%d %d %s" % (len(key), size, key))
            digest.update(ends)
    return f"{count} records, sha256 {digest.hexdigest()[:16]}"


def refuse_remade(path: Union[str, Path], before: str, remedy: str = "run again") -> None:
    """Raise VmzError where the database's fingerprint is no longer `before`: what was read may be of two databases.

    One that is gone by now was read from the file that was open.
    """
    if os.path.exists(path) and fingerprint(path) != before:
        raise VmzError(f"{path} was created again while it was read; {remedy}")
