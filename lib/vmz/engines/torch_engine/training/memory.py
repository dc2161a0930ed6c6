"""The memory of a training step on a CPU: what one step frees, the next one uses again."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any, Optional

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # mallopt's numbers, from glibc's malloc.h


def keep_freed_memory() -> bool:
    """Have the C library keep what the process frees, from now on. False where it is not glibc.

    It would ask the system for each tensor of 32 MB or more, and give it back: the system then clears it page by page,
    again in each layer of each step. That took 0.2 to 1.4 s of steps of 1.3 to 4.1 s: see
    docs/internals/training_speed.md. The peak of the process's memory grows by what lies free between tensors.
    """
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(MMAP_MAX, 0)) and bool(library.mallopt(TRIM_THRESHOLD, -1))


def give_back_freed_memory() -> None:
    """Give the system what is free now, as when a training has ended. Nothing where the library is not glibc."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@functools.cache
def _glibc() -> Optional[Any]:
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  AttributeError for another library
        library.mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
        library.malloc_trim.argtypes = [ctypes.c_size_t]
    except (AttributeError, OSError):
        return None
    return library
