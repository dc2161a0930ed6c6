"""Text that a user gives, and files written so that nothing half-written is ever seen."""

from __future__ import annotations

import codecs
import errno
import fcntl
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Callable, Optional, Union

from vmz.errors import UsageError, VmzError

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NOT_REGULAR = "it is not a regular file"
DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
REFUSED = (*DISK_TROUBLE, errno.EROFS, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENXIO)
_CLOSED_IN_CHILDREN = getattr(os, "O_CLOEXEC", 0)


class NotRegularError(OSError):
    """A folder, a pipe, a socket or a device, where a file is read."""


def open_regular(path: Union[str, Path], pipes: bool = False) -> IO[bytes]:
    """Open a file to read its bytes. OSError where it cannot be, NotRegularError where it is no file.

    Those have no end, or keep whoever reads them waiting. ValueError for a path with a null byte.
    """

    def opened(name: str, _: int) -> int:
        descriptor = os.open(
            name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _CLOSED_IN_CHILDREN
        )  # waits for no writer
        try:
            kind = os.fstat(descriptor).st_mode
            if pipes and stat.S_ISFIFO(kind):
                os.set_blocking(descriptor, True)
            elif not stat.S_ISREG(kind):
                raise NotRegularError(errno.EINVAL, NOT_REGULAR, str(path))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    return open(path, "rb", opener=opened)  # the stream owns the descriptor: a signal finds no moment without an owner


def open_input(path: Union[str, Path], name: str, pipes: bool = False) -> IO[bytes]:
    """`open_regular` of a file that a user gave; `name` is what the UsageError calls it.

    pipes: one may be read all the same, as `<(command)` is.
    """
    try:
        return open_regular(path, pipes)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error


def read_text(path: Path, name: str) -> str:
    """A user's text, UTF-8 or, with a byte order mark, UTF-16. UsageError, about `name`, where it cannot be read."""
    try:
        with open_input(path, name, pipes=True) as stream:
            content = stream.read()
        return content.decode("utf-16" if content.startswith(UTF16_MARKS) else "utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not text: {error}") from error


class OutputKind:
    """What a path to write to is. through: a device or a pipe, which is written to and never replaced."""

    def __init__(self, path: Union[str, Path]) -> None:
        """Raises UsageError for what cannot be written to at all: a folder, a socket, links in a circle."""
        self.descriptor: Optional[int] = None
        self.through = False
        self.mode: Optional[int] = None
        try:
            self.path = Path(os.path.realpath(path))  # a link is followed: its target is what is written
            self.descriptor = _own_descriptor(Path(path))
            self.through = self.descriptor is not None
            status = os.stat(path)
        except FileNotFoundError:
            if Path(path).name and not str(path).endswith("/"):
                return
            raise UsageError(f"cannot write {path}: it is the name of a folder; give the name of a file") from None
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}; give the name of a file") from error
        except ValueError as error:
            raise UsageError(f"cannot write {path!r}: {error}; give the name of a file") from error
        if stat.S_ISDIR(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a socket"
            raise UsageError(f"cannot write {path}: it is {what}; give the name of a file")
        self.mode = stat.S_IMODE(status.st_mode)
        self.through = self.through or not stat.S_ISREG(status.st_mode)


def _own_descriptor(path: Path) -> Optional[int]:
    """The number of the open file of this process that /dev/stdout, /dev/fd/N and the like stand for."""
    for _ in range(40):  # as many links as the system follows
        found = re.fullmatch(rf"/proc/(?:self|thread-self|{os.getpid()})(?:/task/\d+)?/fd/(\d+)", str(_in_place(path)))
        if found:
            return int(found[1])
        if not path.is_symlink():
            return None
        path = path.parent / os.readlink(path)
    return None


def _in_place(path: Path) -> Path:
    """The path with its folder's links followed, but not its own."""
    return Path(os.path.realpath(path.parent)) / path.name


@contextmanager
def atomic_write(path: Union[str, Path], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on success fsync and rename it there, on failure remove it.

    A link is followed: its target is written, and the link stays. A file keeps its permissions. A device or a pipe is
    never replaced: it gets the whole content at the end, so that nothing half-made goes there either. `mode` is "w",
    "wb" or "w+b". Raises UsageError for a folder or a socket, VmzError when the folder cannot be written.
    """
    kind = OutputKind(path)
    with _through(path, kind, mode) if kind.through else _beside(path, kind, mode) as stream:
        yield stream


@contextmanager
def _beside(path: Union[str, Path], kind: OutputKind, mode: str) -> Iterator[IO[Any]]:
    try:
        descriptor, name = temporary_beside(kind.path)
    except OSError as error:
        raise VmzError(f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable") from error
    try:
        with os.fdopen(descriptor, mode, encoding=_encoding(mode)) as stream:
            yield stream
            stream.flush()
            if kind.mode is not None:
                os.fchmod(stream.fileno(), kind.mode)
            os.fsync(stream.fileno())
        os.replace(name, kind.path)
        _temporaries.discard(name)
    except BaseException as error:
        remove_temporary(name)
        if (reason := disk_reason(error)) is not None:
            raise VmzError(f"cannot write {path}: {reason}; the previous content is unchanged") from error
        raise


@contextmanager
def _through(path: Union[str, Path], kind: OutputKind, mode: str) -> Iterator[IO[Any]]:
    wanted = mode if "+" in mode else f"{mode}+"
    with disk_trouble(path), tempfile.TemporaryFile(wanted, encoding=_encoding(mode)) as stream:
        yield stream
        stream.flush()
        os.lseek(stream.fileno(), 0, os.SEEK_SET)
        for printed in (sys.stdout, sys.stderr):
            printed.flush()  # what was printed before comes before
        try:
            own = os.dup(kind.descriptor) if kind.descriptor is not None else os.open(path, os.O_WRONLY | os.O_NOCTTY)
            with open(own, "wb") as output, open(stream.fileno(), "rb", closefd=False) as whole:
                shutil.copyfileobj(whole, output)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise VmzError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def disk_trouble(path: Union[str, Path]) -> Iterator[None]:
    """Raise VmzError, naming `path`, for what the disk that it is on refuses within the block."""
    try:
        yield
    except Exception as error:
        if isinstance(error, VmzError) or (reason := disk_reason(error, REFUSED)) is None:
            raise
        raise VmzError(f"cannot write {path}: {reason}") from error


def disk_reason(error: Optional[BaseException], numbers: tuple[int, ...] = DISK_TROUBLE) -> Optional[str]:
    """What a disk refused, where that is what `error` comes from: libraries wrap it, or fail at cleaning up after it.

    numbers: errors of the system that count.
    """
    seen: list[Optional[BaseException]] = [None]
    while error not in seen:
        assert error is not None
        if isinstance(error, VmzError):  # it has its sentence
            return None
        if isinstance(error, OSError) and error.errno in numbers:
            return error.strerror or os.strerror(error.errno)
        for number in numbers:  # HDF5, LMDB, PyTorch and C++ have it in words only
            if os.strerror(number) in str(error) or re.search(rf"errno\s*=?\s*{number}\b", str(error), re.IGNORECASE):
                return os.strerror(number)
        seen.append(error)
        error = error.__cause__ or error.__context__
    return None


_temporaries: set[str] = set()  # of this process


def temporary_beside(path: Path) -> tuple[int, str]:
    """(descriptor, name) of a new file for reading and writing in the folder of `path`, with a hidden name.

    It has the permissions that open() gives a file, by the process's umask, which is not touched. It is locked until
    the descriptor is closed: one that is not is of a process that has died (see vmz.outputs). Raises OSError.
    """

    def make(name: str) -> int:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOSED_IN_CHILDREN, 0o666)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor

    return _named_beside(path, make)


def temporary_folder_beside(path: Path, mode: int = 0o777) -> str:
    """The same for a folder: its name. Whoever makes one holds the output, as vmz.outputs has it."""
    return _named_beside(path, lambda name: os.mkdir(name, mode))[1]


@contextmanager
def private_folder(name: str) -> Iterator[str]:
    """A new folder where the system keeps temporary files, which this user alone can open; gone after the block.

    Also of a process that a signal ends. Raises VmzError where there is no place for it.
    """
    try:
        folder = tempfile.mkdtemp(prefix=f"{name}-")
    except OSError as error:
        raise VmzError(f"cannot make a folder in {tempfile.gettempdir()}: {error.strerror}") from error
    _temporaries.add(folder)
    try:
        yield folder
    finally:
        remove_temporary(folder)


def _named_beside(path: Path, make: Callable[[str], Any]) -> tuple[Any, str]:
    while True:
        name = os.path.join(os.path.abspath(path.parent), f"{hidden_name(path.name)}.{secrets.token_hex(4)}")
        _temporaries.add(name)  # before it is there: a signal may come between
        try:
            return make(name), name
        except FileExistsError:
            _temporaries.discard(name)
        except OSError:
            _temporaries.discard(name)
            raise


def hidden_name(name: str, ending: str = "") -> str:
    """The beginning of the names of hidden files that belong to the file `name`, short enough for any file system."""
    return f".{os.fsencode(name)[:200].decode('utf-8', 'ignore')}{ending}"


def remove_temporary(name: str) -> None:
    """Remove a temporary file or folder of this process, which may be gone already."""
    with suppress(OSError):
        shutil.rmtree(name) if os.path.isdir(name) and not os.path.islink(name) else os.unlink(name)
    _temporaries.discard(name)


def remove_temporaries() -> None:
    """Remove all of this process: it ends."""
    for name in list(_temporaries):
        remove_temporary(name)


def published(name: str) -> None:
    """A temporary folder has got its real name."""
    _temporaries.discard(name)


def is_being_written(name: Union[str, Path]) -> bool:
    """Whether a temporary file is locked by the process that writes it, or cannot be looked at."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | _CLOSED_IN_CHILDREN)
    except OSError:
        return False  # a link, or gone
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no locks on folders (NFS): who holds the output decides
        return False
    finally:
        os.close(descriptor)
    return False


def _encoding(mode: str) -> Optional[str]:
    return None if "b" in mode else "utf-8"


def check_output(path: Union[str, Path], what: str) -> None:
    """Raise UsageError, before the work, where `path` could not be written after it. what: the flag, as --output."""
    try:
        kind = OutputKind(path)
    except UsageError as error:
        raise UsageError(f"{what}={path}: {str(error).partition(': ')[2]}") from error
    folder = kind.path.parent
    if not kind.through and not folder.is_dir():
        raise UsageError(f"{what}={path}: there is no folder {folder}; create it, or choose another")


def check_outputs(options: Any, flags: Sequence[str]) -> None:
    """`check_output` for each of a tool's flags that name a file to write, where it is given."""
    for flag in flags:
        path = getattr(options, flag, None)
        if path:
            check_output(path, f"--{flag}")


def write_json(path: Union[str, Path], value: Any) -> None:
    """Write `value` as JSON that every reader takes: a NaN or an infinity, which JSON has not, is null."""
    with atomic_write(path, "w") as stream:
        json.dump(_finite(value), stream, indent=1, allow_nan=False)
        stream.write("\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
