"""Install the mends: for a program that imports vmz.legacy, or before one is run."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vmz.mends import (
    caffe2,
    first_release,
    gpu,
    libraries,
    old_names,
    original_imports,
    pickles,
    table,
    text,
)
from vmz.mends.program import Program
from vmz.mends.python2 import builtins_of_python2
from vmz.mends.running import show_only_own_frames

PARTS = (
    builtins_of_python2,
    caffe2,
    gpu,
    libraries,
    old_names,
    original_imports,
    first_release,
    pickles,
    text,
)  # importing them fills the table


def start(without: Iterable[str] = ()) -> None:
    """All mends but those in `without` and in VMZ_LEGACY_WITHOUT. Raises UsageError for a name that is no mend."""
    table.install([*without, *table.left_out_by_environment()])


def start_for_running_program() -> None:
    """`import vmz.legacy` in a program that runs already: `start`, and what its own source needs."""
    start()
    former = sys.excepthook

    def shown(kind: Any, error: BaseException, trace: Any) -> None:
        show_only_own_frames(error)
        former(kind, error, error.__traceback__)

    sys.excepthook = shown
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if main is not None and file and Path(file).is_file():
        builtins_of_python2.supply_builtins(main, Path(file).read_text(errors="replace"), file)
        builtins_of_python2.watch(Program(file))
