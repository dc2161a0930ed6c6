"""Whether this Python has Caffe2, and where else there is one: the environment of `make setup-caffe2` in the clone."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from vmz.errors import UsageError

CLONE = Path(__file__).resolve().parents[4]
CAFFE2_PYTHON = CLONE / ".venv-caffe2" / "bin" / "python"


class NoCaffe2Error(UsageError):
    """This Python has no Caffe2."""

    def __init__(self, reason: str) -> None:
        self.what = (
            f"engine caffe2 is not available in Python {sys.version_info[0]}.{sys.version_info[1]} here ({reason})"
        )
        super().__init__(f"{self.what}; {self._way_out()}")

    def for_command(self, command: Sequence[str]) -> str:
        """The sentence with `command`, a script and its arguments, as it works in the environment that has Caffe2."""
        if not CAFFE2_PYTHON.exists():
            return str(self)
        python = os.path.relpath(CAFFE2_PYTHON) if Path.cwd() == CLONE else str(CAFFE2_PYTHON)
        by_flag = any(word.startswith("--e") and "--engine".startswith(word.split("=")[0]) for word in command)
        return f"{self.what}; run: {shlex.join([python, *command, *([] if by_flag else ['--engine=caffe2'])])}"

    def _way_out(self) -> str:
        return f"{where_caffe2_is()}; or use --engine=pytorch"


def where_caffe2_is() -> str:
    """The Python that has it, or how to get one."""
    if CAFFE2_PYTHON.exists():
        return f"{CAFFE2_PYTHON} has it"
    return f"`make setup-caffe2` in {CLONE} creates .venv-caffe2, which has it"


def check_caffe2() -> None:
    """Raise NoCaffe2Error where no Caffe2 can be found, before it is imported, which takes a while."""
    if importlib.util.find_spec("caffe2") is None:
        raise NoCaffe2Error("no module named caffe2")
