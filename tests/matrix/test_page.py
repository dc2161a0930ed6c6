"""docs/reference/engines.md says what the rows declare, which test_cells.py asserts."""

from __future__ import annotations

import pytest

from tests.matrix.page import BEGIN, PATH, with_tables


def test_the_page_is_that_of_the_rows() -> None:
    text = PATH.read_text(encoding="utf-8")
    assert with_tables(text) == text, "write it anew: python -m tests.matrix"


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks <!-- made"):
        with_tables("# Engines")
    with pytest.raises(ValueError, match="lacks <!-- end"):
        with_tables(f"# Engines\n{BEGIN}\n")
