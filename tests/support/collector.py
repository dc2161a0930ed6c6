"""Python's collector put off, to see what is freed without it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """What is unreachable now is collected before; within, what waits for the collector stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
