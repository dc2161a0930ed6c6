"""A command in this process: a run of a small network then takes a tenth of a second, not seconds."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path


def tool(name: str) -> Callable[[Sequence[str]], int]:
    """What tools/`name` does (or ../data/...), with arguments. It raises the errors that the tool prints."""
    path = Path(name)
    module = importlib.import_module(f"vmz.cli.{'data.' if path.parent.name == 'data' else ''}{path.stem}")
    work: Callable[[Sequence[str]], int] = module.work
    return work
