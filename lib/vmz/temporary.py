"""Temporary folders of a run: removed when it ends, however it does."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vmz.errors import VmzError
from vmz.files import hidden_name, remove_temporary, temporary_folder_beside

YOUNG_SECONDS = 60.0  # a folder may be new, and not locked yet


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """A new folder, for this user alone, where the system keeps temporary files (TMPDIR); its name begins with `name`.

    It goes at the end of the block, and where a signal ends a tool. The folder of a process that was killed goes when
    the next one of this name is made: it is locked no more. Raises VmzError where it cannot be made.
    """
    try:
        parent = Path(tempfile.gettempdir())
        _remove_leftovers(parent, name)
        folder = temporary_folder_beside(parent / name, 0o700)
    except OSError as error:
        raise VmzError(
            f"cannot make a temporary folder: {error.strerror or error}; set TMPDIR to one that exists and is writable"
        ) from error
    descriptor = -1
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Path(folder)
    finally:
        remove_temporary(folder)
        if descriptor >= 0:
            os.close(descriptor)


def _remove_leftovers(parent: Path, name: str) -> None:
    pattern = re.compile(rf"{re.escape(hidden_name(name))}\.[0-9a-f]{{8}}")
    with os.scandir(parent) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and _is_left(entry):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_left(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder of ours that a lock shows to be nobody's."""
    try:
        status = entry.stat(follow_symlinks=False)
        if not entry.is_dir(follow_symlinks=False) or status.st_uid != os.getuid():
            return False
        if time.time() - status.st_mtime < YOUNG_SECONDS:
            return False
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:  # it is in use, or there are no locks
        return False
    finally:
        os.close(descriptor)
