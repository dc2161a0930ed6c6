"""How many CPU cores this process may use, and how many threads its engine computes with."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Optional

OMP, MKL = "OMP_NUM_THREADS", "MKL_NUM_THREADS"
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "QUOTA PERIOD" in microseconds, or "max PERIOD"


def available_cores() -> int:
    """Cores that the system lets this process use: its affinity, and the limit of its container (docker --cpus)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no such limit
        pass
    return cores


def threads_asked(variable: str = OMP) -> Optional[int]:
    """What the environment variable says, None where it says nothing that is a number."""
    first = os.environ.get(variable, "").split(",")[0].strip()  # OpenMP takes a list, one number a level
    return int(first) if first.isdigit() and int(first) > 0 else None


def use_threads(count: Optional[int] = None) -> int:
    """Let the engines compute with `count` threads; by default with what the environment says, or else all cores.

    For programs that start Caffe2 themselves, too: Caffe2 takes one thread where the variables are not set. Call it
    before Caffe2 is imported. Returns the number of threads.
    """
    if count is not None:
        os.environ[OMP] = os.environ[MKL] = str(count)
    threads = threads_asked() or available_cores()
    os.environ.setdefault(OMP, str(threads))
    os.environ.setdefault(MKL, str(threads))
    if count is not None and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    return threads


def caffe2_arguments() -> list[str]:
    """Arguments of Caffe2's GlobalInit, which else computes with one thread wherever a variable is not set."""
    threads = threads_asked() or available_cores()
    return [
        f"--caffe2_omp_num_threads={threads}",
        f"--caffe2_mkl_num_threads={threads_asked(MKL) or threads}",
    ]
