"""The import hook of --py2: the program's own modules are translated as they are imported, the files stay."""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import sys
import warnings
from types import CodeType, ModuleType
from typing import Any

from vmz.mends import text
from vmz.mends.program import Program, load_own_modules
from vmz.mends.python2 import runtime
from vmz.mends.python2.meaning import RUNTIME, future_features, keep_meaning
from vmz.mends.python2.source import decode, parse
from vmz.mends.table import report


def translate(content: bytes, path: str) -> tuple[CodeType, set[str]]:
    """(the code of a Python 2 source, what it imports from __future__). Raises CannotTranslate."""
    tree = parse(decode(content, path), path)
    features = future_features(tree)
    return compile(keep_meaning(tree, path), path, "exec", dont_inherit=True), features


def prepare(module: ModuleType, content: bytes, path: str) -> CodeType:
    """The code of a module of the program; the module is given Python 2's builtins."""
    report("py2", f"{path} and the program's other files are translated from Python 2 in memory")
    code, features = translate(content, path)
    find = builtins.__import__ if "absolute_import" in features else _import_beside
    vars(module)["__builtins__"] = {**runtime.python2_builtins(find), RUNTIME: runtime}
    return code


def watch(program: Program) -> None:
    """Translate the modules that the program imports from now on; what it stored as text it reads as text."""
    text.READ_AS_TEXT = True
    if not sys.warnoptions:
        warnings.simplefilter("ignore", DeprecationWarning)  # as Python 2.7 did
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape")  # bytes that are no UTF-8 pass through
    load_own_modules(program, _Loader)


def _import_beside(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """Python 2's import: inside a package its own modules come first."""
    package = (globals or {}).get("__package__")
    if level == 0 and package and _is_there(f"{package}.{name.partition('.')[0]}"):
        return builtins.__import__(name, globals, locals, fromlist or (), 1)
    return builtins.__import__(name, globals, locals, fromlist or (), level)


def _is_there(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        with open(self.path, "rb") as stream:
            code = prepare(module, stream.read(), self.path)
        exec(code, vars(module))
