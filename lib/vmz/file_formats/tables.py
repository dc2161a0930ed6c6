"""Tables in text files that people write: CSV and its kin, row by row with line numbers, nothing lost in silence."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Optional

from vmz.errors import UsageError
from vmz.text import counted

Fields = list[str]
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons"}  # what several labels or a path may hold


def text_lines(text: str) -> list[str]:
    """The lines of a text, whatever ends them (LF, CRLF, CR); line N is entry N - 1."""
    return io.StringIO(text, newline=None).read().split("\n")


def split_rows(name: str, lines: Sequence[str], delimiter: str = ",", first: int = 1) -> Iterator[tuple[int, Fields]]:
    """(line, fields without outer spaces) of the rows that are not empty; a quoted field may hold the delimiter.

    first: the number of the first line. Raises UsageError, about `name`, for quotes that do not match.
    """
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, skipinitialspace=True, strict=True)
    begun = first
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields):
                yield begun, fields
            begun = first + reader.line_num
    except csv.Error as error:
        raise UsageError(
            f"line {begun} of {name} is not a row of a CSV ({error}); check that its quotes are closed"
        ) from error


def check_columns(name: str, line: int, columns: Sequence[str]) -> None:
    """UsageError, about line `line` of `name`, where a column is named twice."""
    doubled = next((column for column in columns if column and columns.count(column) > 1), None)
    if doubled is not None:
        raise UsageError(f"line {line} of {name} names the column {doubled} twice; rename or remove one of them")


def named_fields(
    name: str, columns: Sequence[str], rows: Iterable[tuple[int, Fields]], delimiter: str = ","
) -> Iterator[tuple[int, dict[str, Optional[str]]]]:
    """(line, {column: field, None where the row is too short}). UsageError for a row of more fields than columns."""
    for line, fields in rows:
        if any(fields[len(columns) :]):
            advice = (
                "separate the columns with commas"
                if delimiter == " "
                else f"{_NAMES[delimiter]} in a field need quotes"
            )
            raise UsageError(
                f"line {line} of {name} has {len(fields)} fields, but there are {counted(len(columns), 'column')} "
                f"({', '.join(columns)}); {advice}"
            )
        yield line, dict(zip(columns, [*fields, *[None] * len(columns)]))
