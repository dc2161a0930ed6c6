"""`models.*` and `utils.*` of the original, for a program that brings none of its own."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from pathlib import Path
from typing import Any, Optional

from vmz.mends.callers import ENVIRONMENT
from vmz.mends.hooks import put_in_front
from vmz.mends.table import mend, report

ORIGINAL = Path(__file__).resolve().parents[1] / "legacy" / "original"


class _Finder:
    """Stands in front, for an environment's stray package `utils` must not hide the original's, as PYTHONPATH had it.

    What the program has on sys.path, whenever it put it there, goes first: this looks there each time. A folder
    `models` that holds no Python file (checkpoints, say) is no package.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        self.names = {path.name for path in found if (path / "__init__.py").is_file()}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self.names:
            return None
        if _is_the_programs(importlib.machinery.PathFinder.find_spec(name)):
            return None
        report("imports", f"`import {name}`: VMZ's own, under the original's names; the program has none")
        return importlib.machinery.PathFinder.find_spec(name, [self._folder])


def _is_the_programs(spec: Optional[importlib.machinery.ModuleSpec]) -> bool:
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    if any(part in ENVIRONMENT for place in places for part in str(place).split(os.sep)):
        return False
    return bool(spec.origin) or any(next(Path(place).rglob("*.py"), None) is not None for place in places)


@mend("imports", "the original's packages models and utils, where the program does not bring them")
def install() -> None:
    finder = _Finder(ORIGINAL)
    if finder.names:
        put_in_front(finder)
