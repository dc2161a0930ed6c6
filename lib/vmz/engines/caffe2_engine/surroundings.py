"""What Caffe2 needs around it before it is imported: our operator library, MKL's fast path. Imports nothing heavy."""

from __future__ import annotations

import os
from pathlib import Path

from vmz.errors import UsageError

OPS_LIBRARY = Path(__file__).resolve().parents[4] / "build" / "ops" / "libvmz_ops.so"


def operator_library() -> Path:
    """The library of VideoInput and lmdb: what VMZ_OPS_LIBRARY names, else the clone's. UsageError: it is not built."""
    path = Path(os.environ.get("VMZ_OPS_LIBRARY", OPS_LIBRARY))
    if not path.is_file():
        raise UsageError(f"no operator library at {path}; ops/build.sh builds it, or VMZ_OPS_LIBRARY names another")
    return path


def choose_mkl_path() -> bool:
    """MKL 2020 takes a slow path on AMD unless it is told otherwise before its first call. Returns whether it was."""
    if not _is_amd() or "MKL_DEBUG_CPU_TYPE" in os.environ:
        return False
    os.environ["MKL_DEBUG_CPU_TYPE"] = "5"
    return True


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
