"""docs/reference/engines.md: the text about the engines, and the tables made from the rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.matrix.cells import ALL, Cannot, OneProcess, Outcome, Row, Works
from tests.matrix.rows import FEATURES, LOOKING, TESTING, TRAINING
from tests.matrix.rows_of_models import MODELS

PATH = Path(__file__).resolve().parents[2] / "docs" / "reference" / "engines.md"
BEGIN, END = "<!-- made by python -m tests.matrix; do not edit below -->", "<!-- end of what is made -->"
SECTIONS = {
    "Training": TRAINING,
    "Testing": TESTING,
    "Features": FEATURES,
    "Models": MODELS,
    "Inspection": LOOKING,
}


def tables() -> str:
    """All that is made of the rows."""
    sections = "\n\n".join(f"### {title}\n\n{_table(rows)}" for title, rows in SECTIONS.items())
    return f"{sections}\n\n## Unsupported combinations\n\n{_refusals()}\n\n## What the tests assert\n\n{_checks()}"


def with_tables(text: str) -> str:
    """The page with the tables as they are now. ValueError where it lacks the marks around them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PATH} lacks {BEGIN if not begin else END}")
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def _table(rows: list[Row]) -> str:
    lines = [
        "| tool | feature | PyTorch | PyTorch, 2 processes | Caffe2 | Caffe2, 2 processes |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        words = " | ".join(_word(row.outcome(cell)) for cell in ALL)
        lines.append(f"| {row.tool} | {row.feature} | {words} |")
    return "\n".join(lines)


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Works):
        return "yes"
    return "\u2013" if isinstance(outcome, OneProcess) else "no"


def _cannots() -> Iterator[tuple[Row, str, Cannot]]:
    names = {"pytorch": "PyTorch", "caffe2": "Caffe2"}
    for rows in SECTIONS.values():
        for row in rows:
            for cell in ALL:
                outcome = row.outcome(cell)
                if isinstance(outcome, Cannot):
                    where = names[cell.engine] + (", 2 processes" if cell.processes > 1 else "")
                    yield row, where, outcome


def _refusals() -> str:
    """A line for each sentence, with where it is said."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    features: dict[tuple[str, str], dict[str, None]] = {}
    for row, where, outcome in _cannots():
        key = row.tool, outcome.says
        found.setdefault(key, {})[where] = None
        features.setdefault(key, {})[row.feature] = None
    lines = ["| tool | feature | not supported on | error |", "|---|---|---|---|"]
    for (tool, says), places in found.items():
        own = list(features[tool, says])
        feature = own[0] if len(own) == 1 else "all of training"
        lines.append(f"| {tool} | {feature} | {'; '.join(places)} | {says} |")
    return "\n".join(lines)


def _checks() -> str:
    lines = ["| tools and features | assertion |", "|---|---|"]
    features: dict[str, list[str]] = {}
    for rows in SECTIONS.values():
        for row in (one for one in rows if any(isinstance(one.outcome(cell), Works) for cell in ALL)):
            words = (row.check.__doc__ or "").strip().splitlines()[0]
            features.setdefault(words, []).append(f"{row.tool}: {row.feature}")
    lines += [f"| {'; '.join(names)} | {words} |" for words, names in features.items()]
    return "\n".join(lines)
