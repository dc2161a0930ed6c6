"""Where mends take hold: on the import of a module, on a name that a module lacks, on a module that does not exist."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Mapping, Sequence, Set
from types import ModuleType
from typing import Any, Callable, Optional

from vmz.mends.callers import a_library_asks
from vmz.mends.table import report

Then = Callable[[ModuleType], None]


class _OnImport:
    """A finder that lets the others find, and has functions called once such a module has been executed."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Then]] = {}

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        if name not in self.waiting:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        loader: Any = spec.loader
        if hasattr(loader, "exec_module"):
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                loader.exec_module = execute  # a later reload is the loader's own again
                execute(module)
                for then in self.waiting.pop(name, ()):
                    then(module)

            loader.exec_module = exec_module
        return spec


_on_import = _OnImport()


def when_imported(name: str, then: Then) -> None:
    """Call `then(module)` once the module has been imported: now, if it has been."""
    module = sys.modules.get(name)
    if module is not None:
        then(module)
        return
    _on_import.waiting.setdefault(name, []).append(then)
    put_in_front(_on_import)


def put_in_front(finder: Any) -> None:
    """Ask this finder before the others, but behind the one that `when_imported` waits with: that one asks them all."""
    first = [_on_import] if _on_import.waiting else []
    sys.meta_path[:] = [*first, *([] if finder is _on_import else [finder]), *_others(sys.meta_path, finder)]


def _others(finders: Sequence[Any], finder: Any) -> list[Any]:
    return [each for each in finders if each is not finder and each is not _on_import]


def supply(
    module: ModuleType, names: Mapping[str, Callable[[], Any]], mend: str, only_program: Set[str] = frozenset()
) -> None:
    """Names that the module no longer has: {name: what makes its value}. What it has, or supplies itself, stays.

    only_program: those that packages of the environment do not get. By them they tell that this is Python 2.
    """
    former = module.__dict__.get("__getattr__")

    def __getattr__(name: str) -> Any:
        if former is not None:
            try:
                return former(name)
            except AttributeError:
                if name not in names:
                    raise
        if name not in names or (name in only_program and a_library_asks()):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        report(mend, f"{module.__name__}.{name} no longer exists: supplied")
        value = names[name]()
        if name not in only_program:
            setattr(module, name, value)
        return value

    module.__getattr__ = __getattr__  # type: ignore[method-assign]


class _StandIns:
    """The last finder: modules that no longer exist, by the name that they had.

    For the program alone: packages of the environment try such names to tell whether this is Python 2.
    """

    def __init__(self) -> None:
        self.makers: dict[str, tuple[Callable[[], ModuleType], str]] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self.makers or a_library_asks():
            return None
        return importlib.machinery.ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        make, mend = self.makers[module.__name__]
        report(mend, f"module {module.__name__} no longer exists: its successor stands in")
        sys.modules[module.__name__] = make()


_stand_ins = _StandIns()


def stand_in(name: str, make: Callable[[], ModuleType], mend: str) -> None:
    """Where nobody finds a module of this name, `make()` is imported in its place, by the program."""
    _stand_ins.makers[name] = make, mend
    if _stand_ins not in sys.meta_path:
        sys.meta_path.append(_stand_ins)  # type: ignore[arg-type]


def renamed(new: str) -> Callable[[], ModuleType]:
    """For `stand_in`: the module of the new name itself."""
    return lambda: importlib.import_module(new)
