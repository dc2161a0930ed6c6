"""One whole run of the smallest, with the operators where they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ops.helpers.operator import WHY_NOT
from tests.support.sound_videos import Tone, sound_video

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "reader_sound.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FILE), "--busy", "--rounds=1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_what_hearing_costs(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(sound_video([Tone()]))
    answer = run(f"--videos={tmp_path}", f"--output={tmp_path / 'out.json'}")
    assert answer.returncode == 0, answer.stderr
    uniform, random = json.loads((tmp_path / "out.json").read_text())["tables"]
    readers = ["Python"] if WHY_NOT else ["Python", "C++"]
    names = [f"{reader}, {what}" for reader in readers for what in ("pictures", "sound", "pictures and sound")]
    assert [row["name"] for row in uniform["rows"]] == [row["name"] for row in random["rows"]] == names
    assert all(row["median_ms"] > 0 for table in (uniform, random) for row in table["rows"])
    assert ("without the C++ reader" in answer.stdout) == bool(WHY_NOT)


@pytest.mark.long
def test_videos_without_sound_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(sound_video([]))
    answer = run(f"--videos={tmp_path}")
    assert answer.returncode == 1 and "it has no audio stream; give videos with sound" in answer.stderr
