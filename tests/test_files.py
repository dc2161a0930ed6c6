"""A file appears whole or not at all."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from vmz.errors import VmzError
from vmz.files import atomic_write, write_json


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("before")
    with (
        pytest.raises(VmzError, match=r"cannot write .*state: No space left on device"),
        atomic_write(path, "w") as file,
    ):
        file.write("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_another_failure_passes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "new", "w"):
        (tmp_path / "nowhere").read_text()
    assert not list(tmp_path.iterdir())


def test_json_that_every_reader_takes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"mAUC": float("nan"), "each": [1.5, (float("inf"), "NaN")], "videos": 3})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert found == {"mAUC": None, "each": [1.5, [None, "NaN"]], "videos": 3}
