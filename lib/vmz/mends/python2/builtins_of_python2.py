"""Python 2's builtin names in a program that has been given Python 3's syntax but not all of its names."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.machinery
import sys
from types import CodeType, ModuleType
from typing import Any, Optional

from vmz.mends.program import Program, load_own_modules
from vmz.mends.table import mend, report

BUILTINS: dict[str, Any] = {
    "apply": lambda function, arguments=(), keywords=None: function(*arguments, **(keywords or {})),
    "basestring": str,
    "buffer": memoryview,
    "cmp": lambda first, second: (first > second) - (first < second),
    "file": open,
    "intern": sys.intern,
    "long": int,
    "raw_input": input,
    "reduce": functools.reduce,
    "reload": lambda module: module if module is sys else importlib.reload(module),
    "StandardError": Exception,
    "unichr": chr,
    "unicode": str,
    "xrange": range,
}


@mend(
    "builtins", "builtin names that Python 3 lacks, in the program's own files: xrange, unicode, raw_input, reduce ..."
)
def install() -> None:
    """The program's modules are watched once `watch` knows the program."""
    global _is_on
    _is_on = True


_is_on = False


def supply_builtins(module: ModuleType, source: str, file: str) -> None:
    """Give a module of the program, before it is executed, those of the names that its source reads and never makes."""
    if not _is_on:
        return
    wanted = sorted(missing_builtins(source) - set(vars(module)))
    if wanted:
        report("builtins", f"{', '.join(wanted)} in {file}: Python 3 has no such name, so it is supplied")
        vars(module).update({name: BUILTINS[name] for name in wanted})


def missing_builtins(source: str) -> set[str]:
    """Those of the names that the source reads, and neither assigns anywhere nor tries out under `except NameError`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    read, own = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else own).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.alias):
            own.add(node.asname or node.name)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.Try) and any(_is_name_error(handler.type) for handler in node.handlers):
            own |= {each.id for part in node.body for each in ast.walk(part) if isinstance(each, ast.Name)}
    return read & set(BUILTINS) - own


def _is_name_error(node: Optional[ast.expr]) -> bool:
    return node is None or any(isinstance(each, ast.Name) and each.id == "NameError" for each in ast.walk(node))


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        supply_builtins(module, self.get_source(module.__name__) or "", self.path)
        super().exec_module(module)


def watch(program: Program) -> None:
    """Supply the modules that the program imports from now on."""
    if _is_on:
        load_own_modules(program, _Loader)


def compiled(source: bytes, path: str) -> CodeType:
    """The script's code, as Python compiles it: its own __future__ imports and no others."""
    return compile(source, path, "exec", dont_inherit=True)
