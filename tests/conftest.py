"""What every run of the tests begins and ends with.

It begins where scripts find their own modules, and without the settings of the person who runs it. It ends with how
many of the original's recordings it was held against.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.goldens import recordings
from vmz.cores import MKL, OMP
from vmz.engines.caffe2_engine.surroundings import choose_mkl_path

_KEY = "goldens"
# On any machine: sums on more threads, or on one, are of another order, and so at another distance from a recording.
THREADS = "2"

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))  # where a script of tools/ looks first
os.environ.pop("VMZ_ENGINE", None)
os.environ.pop(MKL, None)
os.environ[OMP] = THREADS  # before PyTorch and Caffe2 are loaded
choose_mkl_path()  # before the first product of matrices: else this process and those it starts differ in last bits
if not os.path.exists("/dev/nvidiactl"):  # before anything imports triton: tests of GPU kernels run in its interpreter
    os.environ["TRITON_INTERPRET"] = "1"


def pytest_make_parametrize_id(val: object, argname: str) -> Optional[str]:
    """Contents of files name no tests: pytest-xdist wants one name in all processes, and archives hold the time."""
    return argname if isinstance(val, bytes) and len(val) > 40 else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The default run of a person is short: it leaves out what is marked long, unless it is asked for by name."""
    asked = os.environ.get("CI") or config.option.markexpr != "not slow" or any("::" in name for name in config.args)
    left_out = [] if asked else [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    if hasattr(os, "sched_getscheduler"):  # a library that changes it would starve the machine, and all later tests
        assert os.sched_getscheduler(0) == os.SCHED_OTHER, "the test made its process a real-time one"


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # a process of pytest-xdist
    if output is not None:
        output[_KEY] = sorted(recordings.used)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    recordings.used.update(getattr(node, "workeroutput", {}).get(_KEY, []))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if recordings.used:
        counts = Counter(name.partition("/")[0] for name in recordings.used)
        what = ", ".join(f"{count} of {folder}/" for folder, count in sorted(counts.items()))
        where = (
            f"and {recordings.GOLDEN}" if recordings.GOLDEN.is_dir() else f"(no more of them at {recordings.GOLDEN})"
        )
        terminalreporter.write_line(f"recordings of the original read: {what}; from tests/goldens {where}")
