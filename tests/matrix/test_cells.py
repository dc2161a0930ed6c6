"""Each cell of the table as it is declared: the feature works, or the tool says in one sentence that it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engines.real_caffe2 import HAS_OPERATORS
from tests.matrix.cells import ALL, Cannot, Cell, OneProcess, Row
from tests.matrix.checks import BETWEEN_ENGINES
from tests.matrix.laboratory import Laboratory, is_here
from tests.matrix.rows import ROWS
from tests.matrix.running import Call, run

pytestmark = pytest.mark.long  # every feature has tests of its own; CI runs the whole table


def parameters() -> list[Any]:
    found = []
    for row in ROWS:
        for cell in ALL:
            outcome = row.outcome(cell)
            if isinstance(outcome, OneProcess):
                continue
            slow = outcome.slow or (HAS_OPERATORS and is_tested_elsewhere(row, cell))
            marks = [pytest.mark.slow] if slow else []
            if (cell.engine == "caffe2" or row.both) and not HAS_OPERATORS:
                marks.append(pytest.mark.skip(reason="no Caffe2 in this Python: make setup-caffe2"))
            if not is_here(row.needs):
                marks.append(pytest.mark.skip(reason=f"no {row.needs} in this Python"))
            name = f"{row.name}-{cell.engine}" + ("-2" if cell.processes > 1 else "")
            found.append(pytest.param(row, cell, id=name, marks=marks))
    return found


def is_tested_elsewhere(row: Row, cell: Cell) -> bool:
    """Whether `make test` may leave a cell of PyTorch to the environment without Caffe2."""
    compared = row.both or (row.check in BETWEEN_ENGINES and cell.processes == 1)
    return cell.engine == "pytorch" and not compared


@pytest.fixture(scope="session")
def laboratory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    wanted: list[Any] = [
        (item.callspec.params["row"], item.callspec.params["cell"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.originalname == test_a_cell.__name__
        and not item.get_closest_marker("skip")
    ]
    folder = tmp_path_factory.mktemp("matrix")
    worker = getattr(
        request.config, "workerinput", None
    )  # a process of pytest-xdist, whose folder lies in a common one
    shared = tmp_path_factory.getbasetemp().parent if worker else folder
    return Laboratory(folder, Path(shared), wanted)


@pytest.mark.parametrize(("row", "cell"), parameters())
def test_a_cell(row: Row, cell: Cell, laboratory: Laboratory) -> None:
    outcome = row.outcome(cell)
    result = laboratory.result(row, cell)
    if isinstance(outcome, Cannot):
        first = result.answers[0]
        assert first.status == 2 and outcome.says in first.errors
        assert not [path for path in result.folder.rglob("*") if path.is_file() and path.name != "answers.json"]
        assert sum(line.startswith("error: ") for line in first.errors.splitlines()) == 1
        return
    for command, answer in zip(row.commands, result.answers):
        assert answer.status == command.status, answer.errors
    row.check(laboratory, row, cell)


def test_help_says_what_cannot_be() -> None:
    for row in ROWS:
        for outcome in row.outcomes.values():
            if isinstance(outcome, Cannot):
                shown = run(Call(row.commands[0].tool, ("--help",))).output
                text = " ".join(shown.partition(f"\n  --{outcome.flag} ")[2].split("\n  --")[0].split())
                assert outcome.help in text, (row.name, outcome.flag, text)


def test_each_name_stands_once() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
