"""Outputs in progress: each is written by one run at a time, and could be written at all.

Beside an output, or in the folder that it is, a hidden file is locked as long as a run works on it. The kernel gives
the lock back when the process ends, however it does, also over NFS and between containers. So whoever holds the lock
knows that temporary files of that output are of a run that has died, and removes them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Optional, Union

from vmz.errors import UsageError, VmzError
from vmz.files import DISK_TROUBLE, OutputKind, check_output, hidden_name, is_being_written
from vmz.processes import identity
from vmz.stopping import held_back
from vmz.text import printable

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)
FOLDER_LOCK = ".vmz.lock"
MOST_NAMED = 5  # leftovers in a sentence
INPUTS = (  # flags of the tools that name what is read: a file, a database, or several
    "load_model_path", "test_data", "train_data", "list", "list_file", "classes", "label_names", "annotations",
    "videos", "net", "init_net", "weights", "scores", "input_dir", "input_dir1", "input_dir2",
)  # fmt: skip


FOLDERS = ("input_dir", "input_dir1", "input_dir2", "load_model_path")  # that may be folders, whose files are read


class HeldError(UsageError):
    """Another run writes an output."""


@dataclass(frozen=True)
class Output:
    """Something to write.

    flag: what a message calls it, as --output. beside: endings of files that belong to it, as .json. folder: it is a
    folder that files are put into, made if need be. name: with `folder`, the beginning of the run's files in it, where
    other runs may put theirs beside them; "" for all of the folder. files: with `folder`, those written in it whose
    names are known. new: it is a folder that must not be there yet.
    """

    flag: str
    path: Union[str, Path, None]
    beside: tuple[str, ...] = ()
    folder: bool = False
    name: str = ""
    files: frozenset[str] = frozenset()
    new: bool = False

    def __str__(self) -> str:
        return f"{self.flag}{'=' if self.flag.startswith('--') else ' '}{self.path}"


@contextmanager
def in_progress(*outputs: Output, options: Any = None) -> Iterator[None]:
    """Hold outputs for this process, after a look whether they can be written; those without a path are left out.

    options: the flags of a tool; an output that is one of its INPUTS, or lies in a database among them, is refused.

    What a dead run left of them is removed, which is said on stderr. Within a process blocks may be nested; of a run's
    several processes the first holds them. Raises HeldError where another run holds one, UsageError where two are the
    same, and where one cannot be written, VmzError for a disk that is full.
    """
    held: list[_Lock] = []
    given = [output for output in outputs if output.path is not None and str(output.path) != ""]
    for output in given:
        _refuse_inputs(output, options)
    try:
        for output in () if identity.rank() else given:
            if (lock := _lock_of(output)) is not None:
                same = next((one for one in held if one.path == lock.path), None)
                if same is not None:
                    raise UsageError(f"{same.output} and {output} are the same output; give each its own")
                held.append(lock)
                lock.take()
        yield
    finally:
        for lock in reversed(held):
            lock.give_back()


def _refuse_inputs(output: Output, options: Any) -> None:
    """Raise UsageError where writing the output would destroy what the run reads."""
    assert output.path is not None
    target = os.path.realpath(output.path)
    for flag in INPUTS:
        value = getattr(options, flag, None)
        for path in _files_of(flag, value):
            if not isinstance(path, (str, Path)) or not str(path) or not os.path.exists(path):
                continue
            read = os.path.realpath(path)
            is_database = os.path.isfile(os.path.join(read, "data.mdb"))
            inside = is_database and target.startswith(read + os.sep)
            within = os.path.dirname(read) == target and os.path.basename(read) in output.files
            if inside or within or (is_database and target == read) or _are_one_file(target, read):
                what = "is in the database" if inside else "is the database" if is_database else "is the file"
                if within:
                    what = f"is the folder of {printable(str(path))}, the file"
                raise UsageError(f"{output} {what} that --{flag} reads; choose another output")


def _files_of(flag: str, value: Any) -> Sequence[Any]:
    """What a flag reads: one path, several, or the files of a folder of features."""
    if flag in FOLDERS and isinstance(value, (str, Path)) and os.path.isdir(value):
        return sorted(entry.path for entry in os.scandir(value))
    return value if isinstance(value, (list, tuple)) else [value]


def _are_one_file(target: str, read: str) -> bool:
    """By hard links, or on a file system that does not tell capitals from small letters."""
    return os.path.isfile(target) and os.path.isfile(read) and os.path.samefile(target, read)


def give_back_all() -> None:
    """At the end of a process that did not come out of its blocks."""
    with _guard:
        taken, _taken_here[:] = list(_taken_here), []
        _counts.clear()
    for lock in taken:
        lock.remove()


_guard = threading.RLock()
_counts: dict[Path, int] = {}  # blocks of this process by the lock they hold
_taken_here: list[_Lock] = []


class _Lock:
    """The hidden file of an output."""

    def __init__(self, output: Output, path: Path, temporary: re.Pattern[str]) -> None:
        self.output, self.path, self._temporary = output, path, temporary
        self._descriptor: Optional[int] = None
        self._made_folder = self._holds = False

    def take(self) -> None:
        with held_back(), _guard:  # a signal must not come between the file and the note of it
            if _counts.get(self.path, 0) == 0:
                self._make_folder()
                left_by = self._open()
                _taken_here.append(self)
                if left_by is not None:
                    self._remove_leftovers(left_by)
            _counts[self.path] = _counts.get(self.path, 0) + 1
            self._holds = True

    def give_back(self) -> None:
        with held_back(), _guard:  # nor between the note and the file
            if not self._holds or self.path not in _counts:
                return
            self._holds = False
            _counts[self.path] -= 1
            if _counts[self.path]:
                return
            del _counts[self.path]
            owner = next((one for one in _taken_here if one.path == self.path), None)
            if owner is not None:
                _taken_here.remove(owner)
                owner.remove()

    def remove(self) -> None:
        """The file goes before its lock does, so that nobody can hold a lock on a file that is no longer there."""
        with suppress(OSError):  # its disk is gone, or it is
            self.path.unlink()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._made_folder:
            with suppress(OSError):  # there are files in it, as there should be
                self.path.parent.rmdir()

    def _make_folder(self) -> None:
        folder = self.path.parent
        if self.output.folder and not folder.is_dir():
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise self._refused(error) from error
            self._made_folder = True

    def _open(self) -> Optional[str]:
        """Lock the file. Returns who left it, "" where nobody did, None where the file system has no locks."""
        while True:
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                descriptor = os.open(self.path, flags, 0o666)
            except OSError as error:
                raise self._refused(error) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = _read(descriptor)
                os.close(descriptor)
                raise HeldError(
                    f"{self.output}: {holder or 'another run'} is writing it; wait until it has ended, or choose "
                    "another output"
                ) from error
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    os.close(descriptor)
                    raise self._refused(error) from error
                print(
                    f"warning: the file system of {self.path.parent} has no locks ({error.strerror}): two runs that "
                    "write there at once would not be detected",
                    file=sys.stderr,
                )
                os.close(descriptor)
                return None
            if _is_file(descriptor, self.path):
                break
            os.close(descriptor)  # whoever held it has removed it meanwhile
        self._descriptor = descriptor
        left_by = _read(descriptor)
        try:
            started = datetime.now().astimezone().isoformat(timespec="seconds")
            os.ftruncate(descriptor, 0)
            note = f"process {os.getpid()} on {socket.gethostname()} (since {started})\n"
            os.pwrite(descriptor, note.encode(), 0)
            os.fsync(descriptor)  # a full disk says so here
        except OSError as error:
            self.remove()
            raise self._refused(error) from error
        return left_by

    def _refused(self, error: OSError) -> VmzError:
        kind = VmzError if error.errno in DISK_TROUBLE else UsageError
        return kind(f"{self.output} cannot be written: {error.strerror}; choose a folder that can be written to")

    def _remove_leftovers(self, left_by: str) -> None:
        gone = []
        for entry in sorted(os.scandir(self.path.parent), key=lambda entry: entry.name):
            if not self._temporary.fullmatch(entry.name) or is_being_written(entry.path):
                continue
            try:
                shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
            except OSError:
                continue
            gone.append(printable(entry.name))
        if gone:
            more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
            who = left_by or "a run"
            print(
                f"note: removed {', '.join(gone[:MOST_NAMED])}{more} in {self.path.parent}, left unfinished by {who} "
                "that ended without cleaning up",
                file=sys.stderr,
            )


def _lock_of(output: Output) -> Optional[_Lock]:
    """None for a device or a pipe, which any number of runs may write to. Raises UsageError for what is no output."""
    assert output.path is not None
    if output.folder:
        try:
            os.stat(output.path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise UsageError(f"{output} cannot be written: {error.strerror}; give another folder") from error
        folder = Path(os.path.realpath(output.path))
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{output} is a file; give a folder")
        name = hidden_name(output.name, ".lock") if output.name else FOLDER_LOCK
        return _Lock(output, folder / name, _temporary(re.escape(output.name) + ".*"))
    if output.new:
        real = Path(os.path.realpath(output.path))
        if not real.parent.is_dir():
            raise UsageError(f"{output}: there is no folder {real.parent}; create it, or choose another")
    else:
        check_output(output.path, output.flag)
        kind = OutputKind(output.path)
        if kind.through:
            if kind.descriptor is None and not os.access(output.path, os.W_OK):
                raise UsageError(f"{output} cannot be written: Permission denied; choose another output")
            return None
        real = kind.path
    names = [hidden_name(real.name + ending) for ending in ("", *output.beside)]
    return _Lock(output, real.parent / hidden_name(real.name, ".lock"), _temporary("|".join(map(_bare, names))))


def _bare(name: str) -> str:
    return re.escape(name[1:])


def _temporary(names: str) -> re.Pattern[str]:
    """Of the temporary files of files by these names, a regular expression (see vmz.files)."""
    return re.compile(rf"\.(?:{names})\.[0-9a-f]{{8}}", re.DOTALL)


def _read(descriptor: int) -> str:
    return printable(os.pread(descriptor, 300, 0).decode("utf-8", "replace").strip())


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
