"""The two dense prediction tools as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e import run_tool
from tests.workflows.test_dense import clips, write


def test_aggregation_and_fusion(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a", clips(0), ".npz", ".pkl"), write(tmp_path / "b", clips(5), ".npz", ".pkl")
    answer = run_tool("dense_prediction_aggregation.py", f"--input_dir={one}", f"--output={tmp_path / 'a.json'}")
    assert answer.returncode == 0, answer.stderr
    figures = json.loads((tmp_path / "a.json").read_text())["figures"]
    told = ", ".join(f"{name}: {value}" for name, value in figures.items())
    assert answer.stdout.splitlines()[-1] == told and list(figures) == ["clip@1", "video@1", "video@5"]
    fused = run_tool(
        "dense_prediction_fusion.py", f"--input_dir1={one}", f"--input_dir2={two}", "--file_count=2", "--alpha=1"
    )
    assert fused.returncode == 0, fused.stderr
    first, _, last = fused.stdout.splitlines()[1:]
    assert first == f"first: {told}" and last == "fused: " + told.partition(", ")[2]


def test_wrong_requests(tmp_path: Path) -> None:
    one = write(tmp_path / "a", clips(0), ".npz")
    assert run_tool("dense_prediction_aggregation.py").returncode == 2
    wrong = run_tool("dense_prediction_fusion.py", f"--input_dir1={one}", f"--input_dir2={one}", "--file_count=10")
    assert wrong.returncode == 2 and "holds 1 feature files, but --file_count=10" in wrong.stderr
