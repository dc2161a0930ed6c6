"""Memory of a net that runs again and again: the next layer has what the last one freed.

glibc returns every block above 32 MB to the system when it is freed, and takes it anew, cleared page by page, for the
next layer: of ir-CSN-152 on 32 frames that is a tenth of the time. PyTorch has no pool for the CPU.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of <malloc.h>
_MOST = (1 << 31) - 1  # bytes, of an int


@functools.cache
def keep_freed_memory() -> bool:
    """Have the process keep what it frees, until `give_back`. Returns whether this C library can: glibc alone."""
    library = _glibc()
    if library is None:
        return False
    wanted = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _MOST), (_TOP_PAD, 64 << 20))
    return all([bool(library.mallopt(option, value)) for option, value in wanted])


def give_back() -> None:
    """Return to the system what is free, where it was kept."""
    library = _glibc()
    if library is not None and keep_freed_memory.cache_info().currsize:
        library.malloc_trim(0)


@functools.cache
def _glibc() -> Any:
    try:
        library: Any = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "gnu_get_libc_version") else None
