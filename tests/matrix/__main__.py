"""python -m tests.matrix: write the tables of docs/reference/engines.md, from the rows that the tests run."""

from __future__ import annotations

from tests.matrix.page import PATH, with_tables

PATH.write_text(with_tables(PATH.read_text(encoding="utf-8")), encoding="utf-8")
print(f"wrote {PATH}")
