"""The table of mends: a name, what it mends, and the function that puts it in place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Callable

from vmz.errors import UsageError

QUIET, WITHOUT = "VMZ_LEGACY_QUIET", "VMZ_LEGACY_WITHOUT"
Install = Callable[[], None]


@dataclass(frozen=True)
class Mend:
    """A row. `install` arranges that the mend acts where a program needs it; most act much later, or never."""

    name: str
    what: str
    install: Install


MENDS: dict[str, Mend] = {}
_installed: set[str] = set()
_reported: set[str] = set()


def mend(name: str, what: str) -> Callable[[Install], Install]:
    """Decorator: enter a function into the table. ValueError for a name that is there."""

    def enter(install: Install) -> Install:
        if name in MENDS:
            raise ValueError(f"there is a mend {name} already")
        MENDS[name] = Mend(name, what, install)
        return install

    return enter


def report(name: str, what_happened: str) -> None:
    """Say on stderr, once in a process, that a mend took effect. VMZ_LEGACY_QUIET=1 silences it."""
    if name not in _reported and os.environ.get(QUIET, "0") in ("", "0"):
        print(f"vmz.legacy: [{name}] {what_happened}", file=sys.stderr, flush=True)
    _reported.add(name)


def install(without: Iterable[str] = ()) -> None:
    """Install each mend of the table that is not named in `without` and not installed yet. UsageError: unknown name."""
    left_out = names(without)
    for row in MENDS.values():
        if row.name not in left_out and row.name not in _installed:
            _installed.add(row.name)
            row.install()


def names(given: Iterable[str]) -> set[str]:
    """The names in lists such as "a,b", checked. Raises UsageError for one that is no mend."""
    found = {name for text in given for name in text.split(",") if name}
    unknown = sorted(found - set(MENDS))
    if unknown:
        raise UsageError(f"there is no mend {unknown[0]!r} to leave out; choose from: {', '.join(MENDS)}")
    return found


def left_out_by_environment() -> list[str]:
    """What VMZ_LEGACY_WITHOUT names."""
    return [os.environ.get(WITHOUT, "")]
