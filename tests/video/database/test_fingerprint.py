"""A copy keeps it, another database has another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lmdb
import pytest

from vmz.errors import UsageError
from vmz.video.database import fingerprint as module
from vmz.video.database.fingerprint import fingerprint
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

SIZE = 5000


def make(path: Path, contents: list[bytes], labels: list[int]) -> Path:
    with DatabaseWriter(path) as writer:
        for number, (content, label) in enumerate(zip(contents, labels)):
            writer.write(Record(b"%d" % number, content, (label,), None, None))
    return path


def test_what_changes_it(tmp_path: Path) -> None:
    contents, labels = [bytes([number]) * SIZE for number in range(6)], [0, 1, 2, 3, 4, 5]
    first = make(tmp_path / "first", contents, labels)
    wanted = fingerprint(first)
    assert wanted.startswith("6 records, sha256 ")
    copy = shutil.copytree(first, tmp_path / "copy", copy_function=shutil.copyfile)  # with times of its own
    os.utime(copy / "data.mdb", (0, 0))
    with lmdb.open(str(first)) as database:  # which leaves out empty pages, and has another size
        (tmp_path / "compact").mkdir()
        database.copy(str(tmp_path / "compact"), compact=True)
    again = make(tmp_path / "again", contents, labels)
    assert {fingerprint(path) for path in (copy, tmp_path / "compact", again)} == {wanted}
    changed = [
        make(tmp_path / "labels", contents, [0, 1, 2, 3, 5, 4]),
        make(tmp_path / "order", [contents[1], contents[0], *contents[2:]], labels),
        make(tmp_path / "fewer", contents[:5], labels),
        make(tmp_path / "longer", [*contents[:5], contents[5] + b"5"], labels),
        make(tmp_path / "end", [*contents[:5], contents[5][:-1] + b"x"], labels),
    ]
    assert len({wanted, *map(fingerprint, changed)}) == 6


def test_of_large_databases_some_records_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LOOKED_INTO", 3)
    contents = [bytes([number]) * SIZE for number in range(9)]
    one = make(tmp_path / "one", contents, [0] * 9)
    last = make(tmp_path / "last", [*contents[:8], b"x" * SIZE], [0] * 9)
    longer = make(tmp_path / "longer", [contents[0], b"x" * (SIZE + 1), *contents[2:]], [0] * 9)
    assert len({fingerprint(one), fingerprint(last), fingerprint(longer)}) == 3  # all sizes count, and the ends of some


def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such database"):
        fingerprint(tmp_path / "none")
