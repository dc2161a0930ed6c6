from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vmz.errors import VmzError
from vmz.files import remove_temporaries
from vmz.temporary import temporary_folder

HOLDS = """
import sys, time
from vmz.temporary import temporary_folder
with temporary_folder("kept") as folder:
    (folder / "data").mkdir()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_folder_goes_with_its_block_however_that_ends(tmp_path: Path) -> None:
    for error in (None, ValueError, KeyboardInterrupt):
        try:
            with temporary_folder("kept") as folder:
                assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
                (folder / "file").write_text("x")
                if error:
                    raise error
        except BaseException as raised:
            assert type(raised) is error
        assert os.listdir(tmp_path) == []
    with temporary_folder("kept"):
        remove_temporaries()  # what a tool does after a signal
        assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_goes_with_the_next_and_what_is_in_use_stays(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    old = time.time() - 3600
    os.utime(left, (old, old))
    with temporary_folder("kept"):
        assert left.is_dir()  # it is locked
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (tmp_path / ".kept.other").mkdir()
    with temporary_folder("another"):
        assert left.is_dir()
    with temporary_folder("kept"):
        assert not left.exists() and (tmp_path / ".kept.other").is_dir()


def test_a_new_folder_without_a_lock_stays_for_a_while(tmp_path: Path) -> None:
    (tmp_path / ".kept.0123abcd").mkdir()
    with temporary_folder("kept"):
        assert (tmp_path / ".kept.0123abcd").is_dir()


def test_no_place_for_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    says = "cannot make a temporary folder: No such file or directory; set TMPDIR"
    with pytest.raises(VmzError, match=says), temporary_folder("kept"):
        pass
