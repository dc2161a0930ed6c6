"""`vmz COMMAND ...` and `python -m vmz COMMAND ...`: the scripts of tools/, by name."""

from __future__ import annotations

import ast
import difflib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from vmz.installed import places_of

TOOLS = next((place for place in places_of("tools") if place.is_dir()), places_of("tools")[0])


def commands() -> dict[str, Path]:
    """{command: script}, as test-net: tools/test_net.py."""
    return {path.stem.replace("_", "-"): path for path in sorted(TOOLS.glob("[!_]*.py"))}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a command as its script would; the exit status: 2 for a command that is not there."""
    name, *rest = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    known = commands()
    if name in ("-h", "--help"):
        print("usage: vmz COMMAND [--flag=value ...]; vmz COMMAND --help says more\n")
        for command, path in known.items():
            print(f"  {command:<30} {(ast.get_docstring(ast.parse(path.read_text())) or '').splitlines()[0]}")
        return 0
    script = known.get(name.replace("_", "-"))
    if script is None:
        close = difflib.get_close_matches(name, known, 1)
        if known:
            hint = f"did you mean {close[0]}? " if close else ""
            text = f"unknown command {name!r}; {hint}choose from: {', '.join(known)}"
        else:
            folders = " or ".join(map(str, places_of("tools")))
            text = f"no command {name!r}: its scripts are not in {folders}; install VMZ again"
        print(f"error: {text}", file=sys.stderr)
        return 2
    sys.argv = [str(script), *rest]
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
