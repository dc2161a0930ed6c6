"""Which files are the program's own: mends of its source text reach no further."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from typing import Any, Optional

from vmz.mends.callers import is_below, is_library, is_of_python
from vmz.mends.hooks import put_in_front


class Program:
    """The script at `path`, with what lies beside it and below it.

    Its own are the files in the script's folder and below; those in folders of PYTHONPATH that lie beside the script's
    folder (tools/ and lib/ of one project); those in folders that the program itself puts on sys.path. Never Python's
    library, an environment's packages, or VMZ.
    """

    def __init__(self, path: str) -> None:
        self.folder = os.path.dirname(os.path.realpath(path))
        self._project = os.path.dirname(self.folder)
        self._first_path = {os.path.realpath(entry) for entry in sys.path}
        given = (os.path.realpath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry)
        self._beside = [entry for entry in given if is_below(entry, self._project)]

    def owns(self, path: Optional[str]) -> bool:
        """Whether a source file is the program's own."""
        if not path or not path.endswith(".py"):
            return False
        real = os.path.realpath(path)
        if is_library(real) or is_of_python(real):
            return False
        added = {os.path.realpath(entry) for entry in sys.path} - self._first_path
        return any(is_below(real, folder) for folder in [self.folder, *self._beside, *added])


def load_own_modules(program: Program, loader: type[importlib.machinery.SourceFileLoader]) -> None:
    """Have `loader` load the modules that the program imports from now on and that are its own."""
    put_in_front(_Finder(program, loader))


class _Finder:
    def __init__(self, program: Program, loader: type[importlib.machinery.SourceFileLoader]) -> None:
        self._program, self._loader = program, loader

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        if not self._program.owns(spec.origin):
            return None
        spec.loader = self._loader(name, str(spec.origin))
        return spec
