"""The short form of the campaign of runs: each writer killed, stopped, without room and twice at once, a few times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.disturbed.contents import Half, contents, hidden
from tests.engines.real_caffe2 import HAS_OPERATORS

ENGINE = "caffe2" if HAS_OPERATORS else "pytorch"  # each environment has its own
SHORT = ("create_video_db", "dataset_list", "train_net", "extract npz")
WHATS = ("kill", "stop")


@pytest.mark.long
def test_nothing_half_is_left_and_the_next_run_completes() -> None:
    whats = [f"--what={what}" for what in WHATS]
    writers = [f"--writer={writer}" for writer in SHORT]
    command = [sys.executable, "-W", "ignore", "-m", "tests.campaign.runs", "--kills=2", "--seed=5"]
    done = subprocess.run(
        [*command, f"--engine={ENGINE}", *writers, *whats], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split()[-4:-1] for line in done.stdout.splitlines() if line.startswith(SHORT)]
    assert len(rows) == len(SHORT) * len(WHATS)
    tried, equal, faults = zip(*(map(int, row) for row in rows))
    assert sum(tried) >= 2 * len(SHORT) and equal == tried and not any(faults)


def test_a_half_file_and_what_is_hidden_are_seen(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(Half, match=r"page\.html is not whole"):
        contents(tmp_path)
    (tmp_path / "page.html").write_text("<html></html>\n")
    (tmp_path / ".out.npz.0123abcd").write_text("")
    (tmp_path / ".out.npz.lock").write_text("")
    assert list(contents(tmp_path)) == ["page.html"]
    assert hidden(tmp_path) == [".out.npz.0123abcd", ".out.npz.lock"]
