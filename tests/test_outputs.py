"""One run at a time writes an output; what dead ones left goes; what cannot be written is found before the work."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.disks import disk
from vmz import stopping
from vmz.errors import UsageError, VmzError
from vmz.files import atomic_write
from vmz.outputs import Output, give_back_all, in_progress

HOLD = """
import sys, time
from pathlib import Path
from vmz.files import temporary_beside, temporary_folder_beside
from vmz.outputs import Output, give_back_all, in_progress
path = Path(sys.argv[1])
with in_progress(Output("--output", path, beside=(".json",))):
    temporary_folder_beside(path)
    temporary_beside(Path(f"{path}.json"))
    print("holding", flush=True)
    time.sleep(60)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """A process that holds an output and has half of it written."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "holding\n"
    return process


def test_a_second_run_is_refused_and_a_dead_ones_leftovers_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, link = tmp_path / "out.npz", tmp_path / "link"
    link.symlink_to("out.npz")
    other = tmp_path / ".out.npz.old.1234abcd"  # not of this output
    other.write_text("kept")
    process = holder(path)
    try:
        for name in (path, link, tmp_path / "." / "out.npz"):
            with (
                pytest.raises(
                    UsageError, match=rf"process {process.pid} on {socket.gethostname()} \(since 2\S+\) is writing it"
                ),
                in_progress(Output("--output", name)),
            ):
                raise AssertionError("it was held")
        with in_progress(Output("--output", tmp_path / "another")):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(list(tmp_path.iterdir())) == 5  # the link, the other, the lock, a folder and a file
    with in_progress(Output("--output", path, beside=(".json",))):
        assert sorted(file.name for file in tmp_path.iterdir()) == [".out.npz.lock", other.name, "link"]
    errors = capsys.readouterr().err
    assert f"left unfinished by process {process.pid} on" in errors and errors.count("\n") == 1
    assert ".out.npz." in errors and ".out.npz.json." in errors
    assert sorted(file.name for file in tmp_path.iterdir()) == [other.name, "link"]


def test_temporary_files_of_the_living_stay(tmp_path: Path) -> None:
    """Of a program that writes without holding the output."""
    with atomic_write(tmp_path / "a") as stream:
        with in_progress(Output("--output", tmp_path / "a")):
            pass
        stream.write(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_blocks_may_be_nested_and_outputs_must_differ(tmp_path: Path) -> None:
    with in_progress(Output("--output", tmp_path / "a")):
        with in_progress(Output("database", tmp_path / "a")):
            assert (tmp_path / ".a.lock").exists()
        assert (tmp_path / ".a.lock").exists()
    (tmp_path / "b").symlink_to("a")
    with (
        pytest.raises(UsageError, match=r"--output=\S+/a and --report=\S+/b are the same output"),
        in_progress(Output("--output", tmp_path / "a"), Output("--report", tmp_path / "b")),
    ):
        raise AssertionError
    assert [file.name for file in tmp_path.iterdir()] == ["b"]


def test_a_folder_is_held_in_whole_or_for_one_name(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "runs"
    with (
        in_progress(Output("--store", folder, folder=True, name="a")),
        in_progress(Output("--store", folder, folder=True, name="b")),
    ):
        assert sorted(file.name for file in folder.iterdir()) == [".a.lock", ".b.lock"]
    assert not folder.exists()  # nothing was put there
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="is a file; give a folder"),
        in_progress(Output("--store", tmp_path / "file", folder=True)),
    ):
        raise AssertionError


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    with in_progress(Output("--output", path)), atomic_write(path, "w") as stream:
        stream.write("whole")
    assert path.read_text() == "whole" and len(list(tmp_path.iterdir())) == 1


def test_devices_and_pipes_are_not_held(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for _ in range(2):
        with in_progress(
            Output("--a", "/dev/null"), Output("--b", tmp_path / "pipe"), Output("--c", None), Output("--d", "")
        ):
            assert [file.name for file in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_read_only_and_a_full_disk_are_found_before_the_work(folder: bool, tmp_path: Path) -> None:
    with disk(tmp_path / "ro", "ro") as read_only:
        where = read_only / "new" / "folder" if folder else read_only / "out"
        with (
            pytest.raises(UsageError, match=r"--output=\S+ cannot be written: Read-only file system; choose"),
            in_progress(Output("--output", where, folder=folder)),
        ):
            raise AssertionError
    with disk(tmp_path / "full", "size=16k") as full:
        (full / "all").write_bytes(bytes(16384))
        with (
            pytest.raises(VmzError, match="cannot be written: No space left on device; choose") as caught,
            in_progress(Output("--output", full / "out" if not folder else full, folder=folder)),
        ):
            raise AssertionError
        assert caught.value.exit_status == 1 and [file.name for file in full.iterdir()] == ["all"]


def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What such a one answers, as NFS does where its lock daemon is missing."""

    def refuse(*arguments: object) -> None:
        raise OSError(37, "No locks available")

    leftover = tmp_path / ".out.00000000"
    leftover.write_text("perhaps somebody writes it")
    monkeypatch.setattr("fcntl.flock", refuse)
    with in_progress(Output("--output", tmp_path / "out")):
        pass
    assert "has no locks (No locks available)" in capsys.readouterr().err
    assert leftover.exists()


def test_many_at_once_one_at_a_time(tmp_path: Path) -> None:
    """Holding and giving back is no gap in which two hold one."""
    program = """
import sys, time
from vmz.errors import UsageError
from vmz.outputs import Output, give_back_all, in_progress
end = time.monotonic() + 2
while time.monotonic() < end:
    try:
        with in_progress(Output("--output", sys.argv[1])):
            with open(sys.argv[1] + ".held", "x"):
                pass
            __import__("os").unlink(sys.argv[1] + ".held")
    except UsageError:
        pass
"""
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "out")]) for _ in range(4)]
    assert [one.wait(timeout=60) for one in running] == [0] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_an_output_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink = Path.unlink
    sent: list[str] = []

    def interrupted(path: Path, *arguments: bool) -> None:
        if not sent:
            sent.append(path.name)
            os.kill(os.getpid(), signal.SIGTERM)
        unlink(path, *arguments)

    monkeypatch.setattr(Path, "unlink", interrupted)
    with (
        stopping.handled(lambda: None),
        pytest.raises(stopping.Terminated),
        in_progress(Output("--a", tmp_path / "a"), Output("--b", tmp_path / "b")),
    ):
        pass
    give_back_all()
    assert sent == [".b.lock"] and list(tmp_path.iterdir()) == []


def test_an_output_must_not_be_what_the_run_reads(tmp_path: Path) -> None:
    weights, database, listed = tmp_path / "a.pkl", tmp_path / "db", tmp_path / "list.csv"
    weights.write_bytes(b"weights")
    listed.write_text("a.mp4")
    database.mkdir()
    (database / "data.mdb").write_bytes(b"records")
    (tmp_path / "link").symlink_to(weights)
    os.link(listed, tmp_path / "hard")
    options = argparse.Namespace(
        load_model_path=str(weights), test_data=str(database), list=None, videos=[str(tmp_path), str(listed)], seed=0
    )
    for path, says in (
        (weights, "is the file that --load_model_path reads"),
        (tmp_path / "link", "is the file that --load_model_path reads"),
        (tmp_path / "hard", "is the file that --videos reads"),
        (database / "data.mdb", "is in the database that --test_data reads"),
        (database / "scores.json", "is in the database that --test_data reads"),
    ):
        with (
            pytest.raises(UsageError, match=f"^--output={path} {says}; choose another output"),
            in_progress(Output("--output", path), options=options),
        ):
            pass
    for output, says in (
        (Output("--output", database, folder=True), "is the database that --test_data reads"),
        (
            Output("--output", tmp_path, folder=True, files=frozenset(["a.pkl"])),
            f"is the folder of {weights}, the file that --load_model_path reads",
        ),
    ):
        with pytest.raises(UsageError, match=f"{says}; choose another"), in_progress(output, options=options):
            pass
    with in_progress(Output("--output", tmp_path, folder=True, files=frozenset(["b.pkl"])), options=options):
        pass  # a folder that videos are read from takes files of other names
    with in_progress(Output("--output", tmp_path / "new"), Output("--report", "/dev/null"), options=options):
        pass
    assert weights.read_bytes() == b"weights" and listed.read_text() == "a.mp4"
    assert sorted(entry.name for entry in database.iterdir()) == ["data.mdb"]
