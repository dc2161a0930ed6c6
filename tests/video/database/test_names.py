"""names.csv beside a database: written with it, ignored with a warning where it does not fit it, absent in old ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmz.video.database import names
from vmz.video.database.lmdb_database import DatabaseWriter, VideoDatabase
from vmz.video.database.names import NAMES
from vmz.video.database.records import Record
from vmz.video.faults import Origin

ORIGINS = {"0": Origin("b, c.mp4", 3, "list.csv"), "1": Origin("ü\udcff\n.mp4", 2, "list.csv")}


@pytest.fixture(autouse=True)
def not_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_warned", set())


def write(path: Path, contents: list[bytes], named: bool = True) -> Path:
    with DatabaseWriter(path) as writer:
        for number, content in enumerate(contents):
            writer.write(Record(b"%d" % number, content, (1,)), ORIGINS[str(number)] if named else None)
    return path


def test_names_are_kept_beside_the_records(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "db", [b"x" * 10, b"y" * 300])
    plain = write(tmp_path / "plain", [b"x" * 10, b"y" * 300], named=False)
    with VideoDatabase(path) as database, VideoDatabase(plain) as other:
        assert database.names == ORIGINS and other.names == {}
        assert [database.value(index) for index in range(2)] == [other.value(index) for index in range(2)]
        assert database.describe("0") == f"record 0 of {path} (b, c.mp4, line 3 of list.csv)"
        assert database.describe("1") == f"record 1 of {path} (ü\\xff\\x0a.mp4, line 2 of list.csv)"
        assert other.describe("1") == f"record 1 of {plain}"
        assert database.paths(["1", "0"], use_local_file=False) == ["ü\\xff\\x0a.mp4", "b, c.mp4"]
        assert database.paths(["0"], use_local_file=True) == ["x" * 10]
    assert not (plain / NAMES).exists() and capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("line", "row", 1), "its columns are not"),
        (lambda text: text.rsplit("\n1,", 1)[0] + "\n", "does not fit the database (first at record 1)"),
        (lambda text: text.replace("\n0,", "\n00,"), "does not fit the database (first at record 0)"),
        (lambda text: text.replace(",3,", ",three,"), "it is damaged"),
        (lambda text: "", "its columns are not"),
    ],
)
def test_a_file_that_does_not_fit_is_ignored_with_one_warning(
    change: object, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "db", [b"x" * 10, b"y" * 300])
    text = (path / NAMES).read_text(errors="surrogateescape")
    (path / NAMES).write_text(change(text), errors="surrogateescape")  # type: ignore[operator]
    for _ in range(2):
        with VideoDatabase(path) as database:
            assert database.names == {}
    warning = capfd.readouterr().err
    assert warning.startswith(f"warning: {path / NAMES} is ignored, ") and says in warning and warning.count("\n") == 1


def test_a_database_made_again_is_told_by_its_records(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    old = write(tmp_path / "db", [b"x" * 10, b"y" * 300])
    new = write(tmp_path / "new", [b"x" * 10, b"y" * 301], named=False)
    (old / NAMES).rename(new / NAMES)
    with VideoDatabase(new) as database:
        assert database.names == {}
    assert "first at record 1" in capfd.readouterr().err


def test_a_database_that_fails_leaves_no_names(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), DatabaseWriter(tmp_path / "db") as writer:
        writer.write(Record(b"0", b"x", (1,)), ORIGINS["0"])
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
