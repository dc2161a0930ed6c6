"""Outputs that a long run can do without: where one cannot be written the run goes on, and says so."""

from __future__ import annotations

import sys
from typing import Callable

from vmz.errors import VmzError
from vmz.files import REFUSED, disk_reason
from vmz.text import cut, printable


class SideOutputs:
    """failed: {flag=path: why} of those that are not there in whole."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        self._told: set[str] = set()

    def write(self, name: str, write: Callable[[], object]) -> bool:
        """Call `write`, which writes the output called `name`; whether it did. The first failure of each is told."""
        try:
            write()
        except BrokenPipeError:
            raise
        except Exception as error:
            self.failed[name] = _reason(error)
            if name not in self._told:
                self._told.add(name)
                print(
                    f"warning: {name}: {self.failed[name]}; the run continues without it", file=sys.stderr, flush=True
                )
            return False
        self.failed.pop(name, None)  # room has come
        return True

    def lines(self) -> list[str]:
        """A sentence for each that has failed, for the end of the run."""
        return [f"{name} is not complete: {why}" for name, why in self.failed.items()]


def _reason(error: Exception) -> str:
    if isinstance(error, VmzError):
        return str(error)
    return disk_reason(error, REFUSED) or cut(printable(f"{type(error).__name__}: {error}"))
