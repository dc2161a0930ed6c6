from __future__ import annotations

import subprocess
import sys

import pytest

from vmz.engines.torch_engine.training import memory

PROGRAM = """
import resource, sys, numpy as np
from vmz.engines.torch_engine.training.memory import give_back_freed_memory, keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.empty(1 << 26, np.uint8)[::4096] = 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

first = faults()
assert keep_freed_memory()
faults()
kept, before = faults(), resident()
give_back_freed_memory()
print(first, kept, before - resident())
"""


def test_what_is_freed_is_used_again_until_it_is_given_back() -> None:
    if memory._glibc() is None:
        pytest.skip("the C library is not glibc")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    first, kept, given_back = (int(word) for word in done.stdout.split())
    assert kept < first / 10, "64 MB are asked for anew each time"
    assert given_back > 60e6


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    assert not memory.keep_freed_memory()
    memory.give_back_freed_memory()
