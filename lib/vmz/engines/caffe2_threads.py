"""How many threads Caffe2 computes with. It must be settled before Caffe2 is imported."""

from __future__ import annotations

import os
from typing import Optional

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def set_threads(count: Optional[int] = None) -> int:
    """Have OpenMP and MKL start with `count` threads, by default one a core that this process may use.

    What the environment says already stays. Returns the number for OpenMP.
    """
    cores = count or len(os.sched_getaffinity(0))
    given = next((os.environ[name] for name in VARIABLES if os.environ.get(name)), str(cores))
    for name in VARIABLES:
        os.environ.setdefault(name, given)
    first = os.environ["OMP_NUM_THREADS"].split(",")[0]
    return int(first) if first.isdigit() else cores
