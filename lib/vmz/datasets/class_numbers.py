"""From names of classes to numbers: by the order that is given, or else alphabetically."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from vmz.errors import UsageError
from vmz.text import counted, quoted


@dataclass(frozen=True)
class Labels:
    """The labels of a row of a list, as numbers or as names; one of the two is empty. line: None for a class folder."""

    line: Optional[int]
    numbers: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Numbered:
    """labels: numbers for each row. classes: the names in the order of the numbers, () where none are known.

    numbering: how names became numbers, "" where there were only numbers.
    """

    labels: list[tuple[int, ...]]
    classes: tuple[str, ...]
    numbering: str


def number_classes(path: str, rows: Sequence[Labels], classes: Sequence[str], classes_from: str) -> Numbered:
    """Numbers in place of names. classes: the names in their order, from `classes_from`; () for alphabetical order.

    Raises UsageError where some rows have numbers and some names, for a class that `classes` lacks, for a number that
    it does not reach, and for names that differ in upper and lower case only.
    """
    named = next((row for row in rows if row.names), None)
    numeric = next((row for row in rows if row.numbers), None)
    if named is not None and numeric is not None:
        raise UsageError(
            f"the labels of {path} are numbers as well as names: {numeric.numbers[0]} on line {numeric.line}, "
            f"{quoted(named.names[0])} on line {named.line}; write all as one or the other"
        )
    if named is None:
        _check_range(path, rows, classes, classes_from)
        return Numbered([row.numbers for row in rows], tuple(classes), "")
    if classes:
        known = {name: number for number, name in enumerate(classes)}
        labels = [tuple(_number(path, row, name, known, classes_from) for name in row.names) for row in rows]
        return Numbered(labels, tuple(classes), f"in the order of {classes_from}")
    _check_case(path, rows)
    found = tuple(sorted({name for row in rows for name in row.names}))
    known = {name: number for number, name in enumerate(found)}
    return Numbered([tuple(known[name] for name in row.names) for row in rows], found, "in alphabetical order")


def first_and_last(classes: Sequence[str]) -> str:
    """The numbers and names of a few classes, or of the first and the last one."""
    shown = dict(enumerate(classes)) if len(classes) < 4 else {0: classes[0], len(classes) - 1: classes[-1]}
    return ", ".join(f"{number} {name}" for number, name in shown.items())


def _number(path: str, row: Labels, name: str, known: dict[str, int], classes_from: str) -> int:
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {quoted(close[0])}?" if close else ""
    where = f"line {row.line} of {path}" if row.line is not None else f"the folder {os.path.join(path, name)}"
    raise UsageError(f"{where} has the class {quoted(name)}, not one of the {len(known)} of {classes_from}{hint}")


def _check_range(path: str, rows: Sequence[Labels], classes: Sequence[str], classes_from: str) -> None:
    for row in rows if classes else ():
        outside = next((number for number in row.numbers if not 0 <= number < len(classes)), None)
        if outside is not None:
            raise UsageError(
                f"line {row.line} of {path} has label {outside}, but {classes_from} names "
                f"{counted(len(classes), 'class')}, 0 to "
                f"{len(classes) - 1}"
            )


def _check_case(path: str, rows: Sequence[Labels]) -> None:
    seen: dict[str, tuple[str, Optional[int]]] = {}
    for row in rows:
        for name in row.names:
            other, line = seen.setdefault(name.casefold(), (name, row.line))
            if other != name:
                one, two = (f" (line {at})" if at is not None else "" for at in (line, row.line))
                raise UsageError(
                    f"the classes {quoted(other)}{one} and {quoted(name)}{two} of {path} differ by case; write one of "
                    "them, or name both in --classes"
                )
