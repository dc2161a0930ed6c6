"""A file appears whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmz.checkpoints.files import load
from vmz.errors import UsageError, VmzError
from vmz.files import NOT_REGULAR, atomic_write, open_regular, read_text, write_json
from vmz.video.database import VideoDatabase
from vmz.workflows.contents import file_content
from vmz.workflows.label_names import read_names
from vmz.workflows.named_videos import find_videos
from vmz.workflows.video_lists import read_paths


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


READERS: dict[str, Callable[[str], Any]] = {
    "a text": lambda path: read_text(Path(path), "it"),
    "a list": read_paths,
    "names of classes": lambda path: read_names(path, "the file"),
    "a database": VideoDatabase,
    "a checkpoint": lambda path: load(path),
    "a pickle": lambda path: load(path, "pickle"),
    "an .mdl": lambda path: load(path, "minidb"),
    "a video": file_content,
    "--videos": lambda path: find_videos([path]),
}


@pytest.mark.parametrize("what", READERS)
def test_pipes_and_devices_are_refused_and_not_waited_for(what: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        with pytest.raises((UsageError, VmzError, OSError), match=NOT_REGULAR):
            READERS[what](str(path))


def test_what_open_regular_refuses(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in (tmp_path, tmp_path / "socket", "/dev/null", tmp_path / "none"):
            with pytest.raises(OSError, match=f"{NOT_REGULAR}|No such"):
                open_regular(path)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "link") as stream:
        assert stream.read() == b"content"
