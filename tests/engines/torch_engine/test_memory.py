"""Memory that layers free is there for the next one: no page is taken from the system, cleared, again and again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vmz.engines.torch_engine import memory

PROGRAM = """
import resource
import torch
from vmz.engines.torch_engine.memory import give_back, keep_freed_memory

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(12 << 20)  # 48 MB, more than glibc keeps
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1])

faults(2)
plain = faults(4)
assert keep_freed_memory() and keep_freed_memory()
faults(2)
kept, held = faults(4), resident()
give_back()
print(plain, kept, held - resident())
"""


@pytest.mark.skipif(memory._glibc() is None, reason="a C library without mallopt")
def test_freed_memory_is_used_again_and_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    plain, kept, returned = map(int, done.stdout.split())
    assert kept * 50 < plain or plain < 1000, (plain, kept)  # huge pages: few faults either way
    assert returned > 10_000 or plain < 1000  # pages of 4 KB: the 48 MB


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    assert memory.keep_freed_memory.__wrapped__() is False
    memory.give_back()
