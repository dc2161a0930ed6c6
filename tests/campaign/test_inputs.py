"""The campaign's files for the C++ tools: the same for the same seed, of every kind good and bad ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.inputs import MAKERS
from tests.ops.helpers.operator import LIBRARY

MATROSKA = b"matroska"
TOOLS = {"lmdb": "read_lmdb_tool", "records": "read_record_tool", "sound": "hear_clips_tool"}


def made(folder: Path, seed: int) -> dict[str, list[bytes]]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.campaign.inputs", str(folder), "--count=8"]
    subprocess.run([*command, f"--seed={seed}"], check=True)
    return {name: [file.read_bytes() for file in sorted((folder / name).iterdir())] for name in MAKERS}


def test_the_seed_says_what_they_are(tmp_path: Path) -> None:
    first, again, other = made(tmp_path / "1", 1), made(tmp_path / "1_again", 1), made(tmp_path / "2", 2)
    assert {name: len(files) for name, files in first.items()} == {name: len(files) for name, files in other.items()}
    for name in ("images", "lmdb"):
        assert first[name] == again[name] != other[name]
    assert first["records"] != other["records"]
    pairs = list(zip(first["records"], again["records"]))
    drawn = [one == two for one, two in pairs if MATROSKA not in one]  # whose writer draws an id of its own each time
    assert len(drawn) > len(pairs) / 2 and all(drawn)


@pytest.mark.parametrize("surface", MAKERS)
def test_the_tools_read_some_and_refuse_some(surface: str, tmp_path: Path) -> None:
    tool = LIBRARY.parent / TOOLS.get(surface, "read_clips_tool")
    if not tool.exists():
        pytest.skip(f"there is no {tool}; `make ops` builds it")
    folder = tmp_path / "inputs"
    made(folder, 3)
    files = [str(file) for file in sorted((folder / surface).iterdir())]
    ran = subprocess.run([str(tool), *files], capture_output=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr[-2000:]
    lines = ran.stdout.decode(errors="replace").splitlines()
    if surface == "lmdb":
        read = sum(" records, " in line for line in lines)
        assert 0 < read < len(lines) == len(files)
    else:
        counts = [int(word) for word in lines[-1].split() if word.isdigit()]
        read, refused = sum(counts[:-1]), counts[-1]
        assert read and refused and read + refused >= len(files)
