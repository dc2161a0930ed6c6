"""Names of classes from a file: one a line, a CSV, or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from vmz.errors import UsageError
from vmz.files import read_text

_LABEL_COLUMNS = ("label", "id", "index", "class", "class_id", "label_id", "number")
_NAME_COLUMNS = ("name", "class_name", "label_name", "text", "category")


def read_label_names(path: Union[str, Path], num_labels: int) -> list[str]:
    """The name of each label from 0 to num_labels - 1.

    Text: a name a line, in the order of the labels. .csv: a label and a name a row, under column names or without, or
    names alone. .json: a list of names, {name: label} or {label: name}. Raises UsageError for a file that cannot be
    read and for too few, too many or doubled names.
    """
    path = Path(path)
    text = read_text(path, f"--label_names={path}")
    readers = {".csv": _from_csv, ".json": _from_json}
    names = readers.get(path.suffix.lower(), _from_lines)(path, text)
    if len(names) != num_labels:
        raise UsageError(
            f"--label_names={path} names {len(names)} classes, but --num_labels={num_labels}; are they of this network?"
        )
    return names


def _from_lines(path: Path, text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _from_json(path: Path, text: str) -> list[str]:
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--label_names={path} is not JSON: {error}") from error
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return list(found)
    if isinstance(found, Mapping):
        by_label = {_label(label): str(name).strip('"') for name, label in found.items()}
        if None in by_label or len(by_label) < len(found):
            by_label = {_label(label): str(name) for label, name in found.items()}
        return _in_order(path, by_label, len(found))
    raise UsageError(f"--label_names={path} must hold a list of names, {{name: label}} or {{label: name}}")


def _from_csv(path: Path, text: str) -> list[str]:
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), skipinitialspace=True) if row]
    except csv.Error as error:
        raise UsageError(f"--label_names={path} is not a CSV: {error}") from error
    if not rows:
        return []
    columns = [cell.lower() for cell in rows[0]]
    label = next((columns.index(name) for name in _LABEL_COLUMNS if name in columns), None)
    name = next((columns.index(name) for name in _NAME_COLUMNS if name in columns), None)
    if name is not None:
        rows = rows[1:]
    else:
        label, name = _guess_columns(rows)
        if label is not None and _label(rows[0][label]) is None:
            rows = rows[1:]  # column names that we do not know
    try:
        if label is None:
            return [row[name] for row in rows]
        return _in_order(path, {_label(row[label]): row[name] for row in rows}, len(rows))
    except IndexError:
        raise UsageError(f"--label_names={path} has a row with too few columns") from None


def _guess_columns(rows: Sequence[Sequence[str]]) -> tuple[Optional[int], int]:
    """(column of labels or None, column of names) of a table without column names."""
    width = min(len(row) for row in rows)
    for column in range(width if width > 1 else 0):
        if all(_label(row[column]) is not None for row in rows[1:] or rows):
            return column, 1 - column if column < 2 else 0
    return None, 0


def _in_order(path: Path, by_label: Mapping[Optional[int], str], rows: int) -> list[str]:
    if len(by_label) != rows or set(by_label) != set(range(rows)):
        raise UsageError(f"--label_names={path} must name each label from 0 to {rows - 1} once")
    return [by_label[label] for label in range(rows)]


def _label(text: Any) -> Optional[int]:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None
