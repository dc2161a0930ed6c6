"""Text that a user gives, and files written so that nothing half-written is ever seen."""

from __future__ import annotations

import codecs
import errno
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Union

from vmz.errors import UsageError, VmzError

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NOT_REGULAR = "it is not a regular file"
DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


def open_regular(path: Union[str, Path]) -> IO[bytes]:
    """Open a file to read its bytes. OSError where it cannot be, or is a folder, a pipe, a socket or a device.

    Those have no end, or keep whoever reads them waiting. ValueError for a path with a null byte.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe must not make us wait for ever
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, NOT_REGULAR, str(path))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: Path, name: str) -> str:
    """A user's text, UTF-8 or, with a byte order mark, UTF-16. UsageError, about `name`, where it cannot be read."""
    try:
        with open_regular(path) as stream:
            content = stream.read()
        return content.decode("utf-16" if content.startswith(UTF16_MARKS) else "utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not text: {error}") from error


@contextmanager
def atomic_write(path: Union[str, Path], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on success fsync and rename it there, on failure remove it.

    `mode` is "w" or "wb". Raises VmzError when the folder cannot be written.
    """
    path = Path(path)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise VmzError(f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable") from error
    try:
        with os.fdopen(descriptor, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes the file private
        os.replace(name, path)
    except BaseException as error:
        if os.path.exists(name):
            os.unlink(name)
        if isinstance(error, OSError) and error.errno in DISK_TROUBLE:
            raise VmzError(f"cannot write {path}: {error.strerror}; what was there before is as it was") from error
        raise


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
