"""Names of classes from a file: one a line, a CSV, or JSON."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from vmz.errors import UsageError
from vmz.file_formats.json_files import parse_json
from vmz.file_formats.tables import check_columns, named_fields, split_rows, text_lines
from vmz.files import read_text
from vmz.text import counted, quoted

_LABEL_COLUMNS = ("label", "id", "index", "class", "class_id", "label_id", "number")
_NAME_COLUMNS = ("name", "class_name", "label_name", "text", "category")


def read_label_names(path: Union[str, Path], num_labels: int) -> list[str]:
    """The name of each label from 0 to num_labels - 1, as `read_names`. UsageError for too few and too many."""
    names = read_names(path, "--label_names")
    if len(names) != num_labels:
        raise UsageError(
            f"--label_names={path} names {counted(len(names), 'class')}, but --num_labels={num_labels}; "
            "give the classes of this network"
        )
    return names


def read_names(path: Union[str, Path], flag: str) -> list[str]:
    """The names of the classes in the order of their labels, from the file that `flag` names.

    Text: a name a line, also with numbers before them (from 0 or 1 on). .csv: a label and a name a row, under column
    names or without, or names alone. JSON: a list of names, or of {name, id}, {name: label} or {label: name}. Raises
    UsageError for a file that cannot be read or that does not name each label once.
    """
    path = Path(path)
    what = f"{flag}={path}"
    text = read_text(path, what)
    if path.suffix.lower() == ".json" or _is_json(text):
        names = _from_json(what, text)
    else:
        names = (_from_csv if path.suffix.lower() == ".csv" else _from_lines)(what, text)
    if not names:
        raise UsageError(f"{what} names 0 classes; give one a line, in the order of the labels")
    return names


def read_class_order(path: Union[str, Path], flag: str) -> list[str]:
    """As `read_names`, for names that are to become numbers. UsageError for one that is there twice, too."""
    names = read_names(path, flag)
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{flag}={path} names the class {quoted(doubled)} twice; name each class once")
    return names


def _is_json(text: str) -> bool:
    try:
        return text.lstrip()[:1] in ("[", "{") and isinstance(parse_json(text, ""), (list, dict))
    except UsageError:
        return False


def _from_lines(what: str, text: str) -> list[str]:
    lines = [line.strip() for line in text_lines(text) if line.strip()]
    numbered = [re.fullmatch(r"([0-9]{1,9})[\s,:]\s*(\S.*)", line) for line in lines]
    found = [(int(match[1]), match[2]) for match in numbered if match is not None]
    if len(found) == len(lines) > 1:
        first = min(number for number, _ in found)
        if first in (0, 1) and sorted(number - first for number, _ in found) == list(range(len(found))):
            return [name for _, name in sorted(found)]
    return lines


def _from_json(what: str, text: str) -> list[str]:
    found: Any = parse_json(text, what)
    if isinstance(found, Mapping) and len(found) == 1 and isinstance(next(iter(found.values())), (list, dict)):
        found = next(iter(found.values()))  # {"classes": [...]}
    if isinstance(found, list) and all(isinstance(entry, str) for entry in found):
        return list(found)
    if isinstance(found, list) and found and all(isinstance(entry, Mapping) for entry in found):
        label = next((key for key in _LABEL_COLUMNS if all(key in entry for entry in found)), None)
        name = next((key for key in (*_NAME_COLUMNS, "label") if all(key in entry for entry in found)), None)
        if name is not None and (label is None or label == name):
            return [str(entry[name]) for entry in found]
        if name is not None:
            return _in_order(what, {_label(entry[label]): str(entry[name]) for entry in found}, len(found))
    if isinstance(found, Mapping):
        by_label = {_label(label): str(name).strip('"') for name, label in found.items()}
        if None in by_label or len(by_label) < len(found):
            by_label = {_label(label): str(name) for label, name in found.items()}
        return _in_order(what, by_label, len(found))
    raise UsageError(f"{what} must contain a list of names, {{name: label}} or {{label: name}}")


def _from_csv(what: str, text: str) -> list[str]:
    lines = list(split_rows(what, text_lines(text)))
    if not lines:
        return []
    label, name, rows = _columns(what, lines)
    _check_widths(what, lines)
    if any(len(row) <= max(name, label or 0) for row in rows):
        raise UsageError(f"{what} has a row with too few columns")
    if label is None:
        return [row[name] for row in rows]
    return _in_order(what, {_label(row[label]): row[name] for row in rows}, len(rows))


def _columns(what: str, lines: Sequence[tuple[int, list[str]]]) -> tuple[Optional[int], int, list[list[str]]]:
    """(column of labels or None, column of names, the rows without column names) of numbered lines."""
    number, first = lines[0]
    columns = [cell.lower() for cell in first]
    rows = [row for _, row in lines]
    name = _first_of(_NAME_COLUMNS, columns)
    if name is not None:
        check_columns(what, number, columns)
        deque(named_fields(what, columns, lines[1:]), maxlen=0)  # refuses rows of more fields
        return _first_of(_LABEL_COLUMNS, columns), name, rows[1:]
    label, name = _guess_columns(rows)
    if label is not None and _label(first[label]) is None:
        return label, name, rows[1:]  # column names that we do not know
    return label, name, rows


def _first_of(names: Sequence[str], columns: Sequence[str]) -> Optional[int]:
    """The place of the first of the names that is a column's."""
    return next((columns.index(name) for name in names if name in columns), None)


def _check_widths(what: str, numbered: Sequence[tuple[int, Sequence[str]]]) -> None:
    """UsageError for a row with more fields than the first, which would lose the end of a name."""
    width = len(numbered[0][1])
    longer = next(((line, row) for line, row in numbered if any(row[width:])), None)
    if longer is not None:
        line, row = longer
        raise UsageError(
            f"line {line} of {what} has {len(row)} fields, but its first {width}; commas in names need quotes"
        )


def _guess_columns(rows: Sequence[Sequence[str]]) -> tuple[Optional[int], int]:
    """(column of labels or None, column of names) of a table without column names."""
    width = min(len(row) for row in rows)
    for column in range(width if width > 1 else 0):
        if all(_label(row[column]) is not None for row in rows[1:] or rows):
            return column, 1 - column if column < 2 else 0
    return None, 0


def _in_order(what: str, by_label: Mapping[Optional[int], str], rows: int) -> list[str]:
    if len(by_label) != rows or set(by_label) != set(range(rows)):
        raise UsageError(f"{what} must name each label from 0 to {rows - 1} once")
    return [by_label[label] for label in range(rows)]


def _label(text: Any) -> Optional[int]:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None
