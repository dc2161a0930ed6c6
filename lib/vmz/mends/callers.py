"""Whose a file is: the program's, an environment's package's, Python's own; and which of them is asking."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

VMZ = os.path.realpath(Path(__file__).resolve().parents[2])
ENVIRONMENT = ("site-packages", "dist-packages")
MENDS = os.path.dirname(__file__) + os.sep
IMPORTING = ("<frozen importlib", os.path.join(os.path.dirname(os.__file__), "importlib") + os.sep)


def is_below(path: str, folder: str) -> bool:
    """Whether `path` is the folder or in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def is_library(path: str) -> bool:
    """Whether a file belongs to a package of the environment, or to VMZ."""
    return any(part in ENVIRONMENT for part in path.split(os.sep)) or is_below(os.path.realpath(path), VMZ)


@cache
def is_of_python(path: str) -> bool:
    """Whether a file is of Python's own library."""
    real = os.path.realpath(path)
    return any(is_below(real, os.path.realpath(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib"))


def a_library_asks() -> bool:
    """Whether a package of the environment, or Python's own library, is behind the caller's caller: not the program.

    It looks past the machinery of imports, and past the mends.
    """
    frame: Any = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(IMPORTING) and not path.startswith(MENDS):
            return is_library(path) or is_of_python(path)
        frame = frame.f_back
    return False
