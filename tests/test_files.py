"""A file appears whole or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmz import files
from vmz.checkpoints.loading import load
from vmz.datasets.inventory import file_content
from vmz.datasets.named_videos import find_videos
from vmz.datasets.video_lists import read_paths
from vmz.errors import UsageError, VmzError
from vmz.file_formats.class_names import read_names
from vmz.files import (
    NOT_REGULAR,
    NotRegularError,
    atomic_write,
    check_output,
    open_input,
    open_regular,
    read_text,
    write_json,
)
from vmz.video.database.lmdb_database import DatabaseWriter, VideoDatabase
from vmz.video.database.records import Record


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


def test_a_signal_while_a_file_is_opened_is_that_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor is closed once: a second close would be an error of its own, or close another thread's file."""
    (tmp_path / "file").write_bytes(b"content")

    def interrupted(*arguments: Any, **keywords: Any) -> None:
        open(*arguments, **keywords).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "open", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        open_regular(tmp_path / "file")


def test_what_open_regular_refuses(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in (tmp_path, tmp_path / "socket", "/dev/null", tmp_path / "none"):
            with pytest.raises(OSError, match=f"{NOT_REGULAR}|No such") as caught:
                open_regular(path)
            assert isinstance(caught.value, NotRegularError) == (NOT_REGULAR in str(caught.value))
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "link") as stream:
        assert stream.read() == b"content"


def write(path: object, text: str = "new") -> None:
    with atomic_write(str(path), "w") as file:
        file.write(text)


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "file"
    target.write_text("before")
    link, dangling = tmp_path / "link", tmp_path / "dangling"
    link.symlink_to("there/file")
    dangling.symlink_to(tmp_path / "there" / "made")
    write(link)
    write(dangling)
    assert link.is_symlink() and dangling.is_symlink()
    assert target.read_text() == (tmp_path / "there" / "made").read_text() == "new"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["file", "made"]


def test_a_device_is_written_through_and_never_replaced(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    for path in ("/dev/null", link):
        write(path)
        assert stat.S_ISCHR(os.stat(path).st_mode)
    assert link.is_symlink()
    with pytest.raises(VmzError, match=r"cannot write /dev/full: No space left on device"):
        write("/dev/full")


def test_a_pipe_gets_the_whole_content_at_the_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    with atomic_write(pipe, "w+b") as file:
        np.savez(file, a=np.arange(3))
    reader.join(10)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert np.load(io.BytesIO(found[0]))["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("redirected", [False, True])
def test_stdout_by_its_name(tmp_path: Path, redirected: bool) -> None:
    """Of a shell's `> file` too: what is printed before and after stays, in its order."""
    code = (
        "from vmz.files import atomic_write\nprint('one')\n"
        "with atomic_write('/dev/stdout', 'w') as file: file.write('two\\n')\nprint('three')"
    )
    output = tmp_path / "out"
    with output.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=stream if redirected else subprocess.PIPE, check=True
        )
    assert (output.read_bytes() if redirected else done.stdout) == b"one\ntwo\nthree\n"


def test_what_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "to_folder").symlink_to("folder")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, why in (
            ("folder", "it is a folder"),
            ("to_folder", "it is a folder"),
            ("socket", "it is a socket"),
            ("new/", "it is the name of a folder"),
            ("loop", "Too many levels of symbolic links"),
        ):
            with pytest.raises(UsageError, match=rf"cannot write .*{name}: {why}; give the name of a file"):
                write(f"{tmp_path}/{name}")
            with pytest.raises(UsageError, match=rf"^--output=.*{name}: {why}"):
                check_output(f"{tmp_path}/{name}", "--output")
    with pytest.raises(UsageError, match=r"--output=.*: there is no folder .*nowhere"):
        check_output(tmp_path / "nowhere" / "a", "--output")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "loop", "socket", "to_folder"]


def test_permissions_without_touching_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    umask = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask is the whole process's"))
        write(tmp_path / "new")
        (tmp_path / "secret").write_text("before")
        (tmp_path / "secret").chmod(0o600)
        write(tmp_path / "secret")
        with DatabaseWriter(tmp_path / "db") as writer:
            writer.write(Record(b"0", b"video", (0,), None, None))
    finally:
        monkeypatch.undo()
        os.umask(umask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"new": 0o640, "secret": 0o600, "db": 0o750}


def test_names_as_long_as_a_name_can_be(tmp_path: Path) -> None:
    write(tmp_path / ("n" * 255))
    write(tmp_path / ("ü" * 127))
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_user_gives_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"cannot read the list: {NOT_REGULAR}"):
        open_input(tmp_path, "the list")
    with pytest.raises(UsageError, match=r"cannot read the list: .*null"):
        open_input("a\0b", "the list")


TEXTS: dict[str, Callable[[str], Any]] = {
    "a text": lambda path: read_text(Path(path), "it"),
    "a list": read_paths,
    "names of classes": lambda path: read_names(path, "the file"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_devices_are_no_texts(what: str) -> None:
    with pytest.raises(UsageError, match=NOT_REGULAR):
        TEXTS[what]("/dev/zero")


def test_texts_come_through_pipes() -> None:
    code = "import sys, pathlib, vmz.files; print(vmz.files.read_text(pathlib.Path(sys.argv[1]), 'it'))"
    command = f'exec {sys.executable} -c "$0" <(sleep 0.2; echo a,1)'
    done = subprocess.run(["bash", "-c", command, code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "a,1"
