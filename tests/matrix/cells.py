"""What the table of engines is made of: a row is a tool and a feature, with an outcome for each engine.

Rows declare the outcomes, the tests of test_cells.py assert them, and page.py writes
them into docs/reference/engines.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Union

ENGINES = ("pytorch", "caffe2")
PROCESSES = (1, 2)


class Cell(NamedTuple):
    """Where a row is run."""

    engine: str
    processes: int


@dataclass(frozen=True)
class Cannot:
    """The tool refuses with exit status 2 and a sentence that has `says`; --help of `flag` has `help`."""

    flag: str
    says: str
    help: str
    slow: bool = False


@dataclass(frozen=True)
class Works:
    """The row's check holds. slow: only `make test-all` and CI run it."""

    slow: bool = False


@dataclass(frozen=True)
class OneProcess:
    """The tool does its work in one process: there is nothing to run."""


Outcome = Union[Works, Cannot, OneProcess]
YES, SLOW, ALONE = Works(), Works(slow=True), OneProcess()
ALL = [Cell(engine, processes) for engine in ENGINES for processes in PROCESSES]


@dataclass(frozen=True)
class Command:
    """A command line. `{names}` in the flags are files of the laboratory; `{out}` is the folder of the run.

    stop_after: the iteration after which the process gets SIGTERM. status: the exit status it should have.
    as_gpus: the CPU stands for each of two GPUs.
    """

    tool: str
    flags: tuple[str, ...]
    stop_after: int = 0
    status: int = 0
    as_gpus: bool = False


@dataclass(frozen=True)
class Row:
    """tool, feature: in the words of the page. check: called with (laboratory, row, cell) after the commands.

    needs: a package without which the row is skipped. both: needs real Caffe2 on either engine.
    """

    name: str
    tool: str
    feature: str
    commands: tuple[Command, ...]
    check: Callable[..., None]
    outcomes: Mapping[Cell, Outcome] = field(default_factory=dict)
    needs: str = ""
    both: bool = False

    def outcome(self, cell: Cell) -> Outcome:
        return self.outcomes.get(cell, YES)


def outcomes(**given: Any) -> dict[Cell, Outcome]:
    """{cell: outcome} of pytorch=, pytorch_2=, caffe2=, caffe2_2=."""
    return {Cell(*_parsed(name)): outcome for name, outcome in given.items()}


def _parsed(name: str) -> tuple[str, int]:
    engine, _, processes = name.partition("_")
    return engine, int(processes or 1)
