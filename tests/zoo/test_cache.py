"""The cache as tools/zoo.py and the library use it: addresses in their order, what came first, no network."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.disks import disk
from tests.zoo.server import dripping, serving, whole
from vmz import zoo
from vmz.errors import UsageError, VmzError
from vmz.zoo import cache

TOOL = Path(__file__).resolve().parents[2] / "tools" / "zoo.py"
ROW = next(row for row in zoo.rows() if row.file)
CONTENT = b"weights" * 1000


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VMZ_CACHE": str(folder), **variables}
    return subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, env=environment)


def test_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VMZ_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert str(cache.folder()) == "/home/me/.cache/vmz"
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert str(cache.folder()) == "/cache/vmz"
    monkeypatch.setenv("VMZ_CACHE", "/mine")
    assert str(cache.folder()) == "/mine"


@pytest.mark.long
def test_fetched_once_and_held_against_what_came_first(tmp_path: Path) -> None:
    assert ROW.file is not None
    folder = tmp_path / "new" / "cache"
    with serving({f"/files/{ROW.file}": whole(CONTENT)}) as (address, seen):
        mirror = {"VMZ_MIRROR": f"{address}/files/"}
        first = run(folder, "fetch", ROW.name, **mirror)
        again = run(folder, "fetch", ROW.file, **mirror)
    path = folder / ROW.file
    assert first.stdout == again.stdout == f"{path}\n" and first.returncode == again.returncode == 0, first.stderr
    assert path.read_bytes() == CONTENT and len(seen) == 1
    assert sorted(entry.name for entry in folder.iterdir()) == sorted([ROW.file, "fetched.json"])
    verified = run(folder, "verify")
    assert verified.returncode == 0 and hashlib.sha256(CONTENT).hexdigest() in verified.stdout

    path.write_bytes(CONTENT[:-1] + b"?")
    damaged = run(folder, "verify", ROW.name)
    assert damaged.returncode == 1 and "is not the file downloaded from" in damaged.stderr and damaged.stdout == ""
    path.unlink()
    with serving({f"/{ROW.file}": whole(CONTENT[::-1])}) as (address, _):
        other = run(folder, "fetch", ROW.name, VMZ_MIRROR=address, https_proxy="http://127.0.0.1:9")
        assert other.returncode == 1 and "gives another file: its SHA-256 is" in other.stderr and not path.exists()
        trusted = run(folder, "fetch", "--again", ROW.name, VMZ_MIRROR=address)
    assert trusted.returncode == 0 and path.read_bytes() == CONTENT[::-1]
    assert run(folder, "verify", ROW.name).returncode == 0


def test_no_network_is_asked_where_it_is_forbidden(tmp_path: Path) -> None:
    assert ROW.file is not None
    done = run(tmp_path, "fetch", ROW.name, VMZ_OFFLINE="1")
    assert done.returncode == 2 and f"{ROW.file} is not in {tmp_path}, and VMZ_OFFLINE forbids" in done.stderr
    (tmp_path / ROW.file).write_bytes(CONTENT)
    assert run(tmp_path, "fetch", ROW.name, VMZ_OFFLINE="1").stdout == f"{tmp_path / ROW.file}\n"
    assert run(tmp_path, "verify").returncode == 0


def test_two_processes_fetch_at_once(tmp_path: Path) -> None:
    """One file is asked for once, and the other process waits; two files come beside each other."""
    other = next(row for row in zoo.rows() if row.file and row is not ROW)
    slow = dripping(CONTENT, 0.1, len(CONTENT) // 20)
    with serving({f"/{ROW.file}": slow, f"/{other.file}": slow}) as (address, seen):
        environment = {**os.environ, "VMZ_CACHE": str(tmp_path), "VMZ_MIRROR": address}
        command = [sys.executable, str(TOOL), "fetch"]
        started = [
            subprocess.Popen(
                [*command, name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for name in (ROW.name, ROW.name, other.name)
        ]
        answers = [process.communicate(timeout=200) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], answers
    assert [out for out, _ in answers] == [f"{tmp_path / str(row.file)}\n" for row in (ROW, ROW, other)]
    assert sorted(path for path, _ in seen) == sorted([f"/{ROW.file}", f"/{other.file}"])
    assert (tmp_path / str(ROW.file)).read_bytes() == CONTENT and set(cache_record(tmp_path)) == {ROW.file, other.file}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(
        [str(ROW.file), str(other.file), "fetched.json"]
    )


def cache_record(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "fetched.json").read_text())
    return found


@pytest.mark.parametrize("place", ["/sys/kernel", "/sys/kernel/vmz"])
def test_a_cache_that_cannot_be_written(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system lets nobody write, not even root."""
    if not os.path.isdir("/sys/kernel"):
        pytest.skip("there is no /sys/kernel")
    monkeypatch.setenv("VMZ_CACHE", place)
    monkeypatch.setenv("VMZ_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(
        UsageError, match=r"(cannot be written|cannot create the cache).*(Permission denied|not permitted)"
    ):
        zoo.fetch(ROW)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        disk(tmp_path / "small", "size=300k") as folder,
        serving({f"/{ROW.file}": whole(bytes(1 << 20))}) as (address, _),
    ):
        monkeypatch.setenv("VMZ_CACHE", str(folder))
        monkeypatch.setenv("VMZ_MIRROR", address)
        with pytest.raises(
            VmzError, match=rf"^cannot write {folder}/{ROW.file}: No space left on device; nothing of it"
        ):
            zoo.fetch(ROW, quiet=True)
        assert list(folder.iterdir()) == []


def test_what_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path))
    unreleased = next(row for row in zoo.rows() if row.file is None)
    with pytest.raises(UsageError, match="its weights were never released"):
        zoo.fetch(unreleased)
    with pytest.raises(UsageError, match=r"is not in .*zoo\.py fetch"):
        zoo.verify(ROW)
    (tmp_path / "fetched.json").write_text("{]")
    with pytest.raises(VmzError, match=r"fetched\.json is not JSON"):
        zoo.fetch(ROW)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"cannot create the cache .*: File exists"):
        zoo.fetch(ROW)
