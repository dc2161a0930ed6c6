from __future__ import annotations

import pytest

from vmz.errors import UsageError
from vmz.file_formats.tables import check_columns, named_fields, split_rows, text_lines


def test_lines_end_in_any_way_and_are_numbered_as_editors_do() -> None:
    assert text_lines("a\r\nb\rc\nd") == ["a", "b", "c", "d"]
    assert text_lines("a\x0bb\x85c\u2028d\n") == ["a\x0bb\x85c\u2028d", ""]  # these end no line in a file


def test_rows_keep_their_lines() -> None:
    lines = text_lines('a, b\n\n"c, d" ,e\n"f\ng",h\ni,\n'.replace('" ,', '",'))
    assert list(split_rows("t", lines)) == [
        (1, ["a", "b"]), (3, ["c, d", "e"]), (4, ["f\ng", "h"]), (6, ["i", ""]),
    ]  # fmt: skip
    assert list(split_rows("t", ["a;b"], ";", first=7)) == [(7, ["a", "b"])]


def test_fields_by_column() -> None:
    rows = [(2, ["a", "b"]), (3, ["c"]), (4, ["d", "e", "", ""])]
    found = list(named_fields("t", ["x", "y"], rows))
    assert found == [(2, {"x": "a", "y": "b"}), (3, {"x": "c", "y": None}), (4, {"x": "d", "y": "e"})]


@pytest.mark.parametrize(
    ("columns", "row", "message"),
    [
        (["x", "x"], "a,b", "line 1 of t names the column x twice"),
        (["x", "y"], "a,b,c", "line 2 of t has 3 fields, but there are 2 columns"),
        (["x", "y"], '"a,b', "line 2 of t is not a row of a CSV"),
    ],
)
def test_nothing_is_lost_in_silence(columns: list[str], row: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_columns("t", 1, columns)
        list(named_fields("t", columns, split_rows("t", [row], first=2)))
    check_columns("t", 1, ["", "", "x"])  # an index without a name
