"""A tool's main() in this process: a run of a small network then takes a tenth of a second, not seconds."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

from tests.goldens.e2e import TOOLS


def tool(name: str) -> Callable[[Sequence[str]], int]:
    """The main of tools/`name`. It raises the errors that the tool prints."""
    spec = importlib.util.spec_from_file_location(f"tools_{name[:-3]}", TOOLS / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[[Sequence[str]], int] = module.main
    return main
