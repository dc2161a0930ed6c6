"""`vmz COMMAND ...` and `python -m vmz COMMAND ...`: the commands of vmz.cli, whose scripts are in tools/ and data/."""

from __future__ import annotations

import ast
import difflib
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from vmz import cli, stopping
from vmz.cli import data


def commands() -> dict[str, str]:
    """{command: module}, as test-net: vmz.cli.test_net."""
    found = {
        part.name.replace("_", "-"): f"{package.__name__}.{part.name}"
        for package in (cli, data)
        for part in pkgutil.iter_modules(package.__path__)
        if not part.ispkg
    }
    return dict(sorted(found.items()))


def summary(module: str) -> str:
    """The first line of what a command says of itself. Nothing of it is imported."""
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    return (ast.get_docstring(ast.parse(Path(spec.origin).read_text())) or "").splitlines()[0]


def print_help(_: Sequence[str]) -> int:
    """The commands, each with what it does."""
    print("usage: vmz COMMAND [--flag=value ...]; vmz COMMAND --help says more\n")
    for command, module in commands().items():
        print(f"  {command:<30} {summary(module)}")
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command as its script would; the exit status: 2 for a command that is not there."""
    name, *rest = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        from vmz.cli.shared.running import run_tool  # `vmz --help | head` ends as a tool's does

        return run_tool(print_help, [])
    known = commands()
    chosen = name.replace("_", "-")
    if chosen not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        print(f"error: unknown command {name!r}; {hint}choose from: {', '.join(known)}", file=sys.stderr)
        return 2
    sys.argv = [f"vmz {chosen}", *rest]
    stopping.end_at_once()  # while the command, and PyTorch with it, is imported
    status: int = importlib.import_module(known[chosen]).main()
    return status


if __name__ == "__main__":
    sys.exit(main())
