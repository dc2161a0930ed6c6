"""The two dense prediction tools as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.features.test_dense_prediction import clips, write
from tests.goldens.e2e import run_tool


def test_aggregation_and_fusion(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a", clips(0), ".npz", ".pkl"), write(tmp_path / "b", clips(5), ".npz", ".pkl")
    answer = run_tool(
        "dense_prediction_aggregation.py", f"--input_dir={one}", f"--output={tmp_path / 'a.json'}", "--across_files=1"
    )
    assert answer.returncode == 0, answer.stderr
    figures = json.loads((tmp_path / "a.json").read_text())["figures"]
    told = ", ".join(f"{name}: {value}" for name, value in figures.items())
    assert answer.stdout.splitlines()[-1] == told and list(figures) == ["clip@1", "video@1", "video@5"]
    fused = run_tool(
        "dense_prediction_fusion.py", f"--input_dir1={one}", f"--input_dir2={two}", "--file_count=2", "--alpha=1"
    )
    assert fused.returncode == 0, fused.stderr
    first, _, last, original = fused.stdout.splitlines()[1:]
    assert first == f"first: {told}" and last == "fused: " + told.partition(", ")[2]
    assert original == f"Alpha 1.0: top1 {figures['video@1']}, top5 {figures['video@5']}"


def test_the_lines_of_the_original(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", clips(0), ".pkl", ".pkl")
    answer = run_tool("dense_prediction_aggregation.py", f"--input_dir={folder}", f"--output={tmp_path / 'a.json'}")
    assert answer.returncode == 0, answer.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["videos"] == 11 and found["clips"] == 40  # 6 in one file, 5 of them in the other too
    clip, top1, top5 = found["figures"].values()
    lines = answer.stdout.splitlines()
    assert lines[-1] == f"Accuracy: clip {clip}, top1 {top1}, top5 {top5}"
    for number, line in enumerate(lines[:2]):
        assert line.startswith(f"{folder}/features_{number}.pkl has an accuracy of clip 0."), line
        assert [word.split()[0] for word in line.split(" of ")[1].split(", ")] == ["clip", "top1", "top5"]
    assert "5 videos are in more than one file, for example 50" in answer.stderr and "--across_files=1" in answer.stderr
    quiet = run_tool("dense_prediction_aggregation.py", f"--input_dir={folder}", "--output_clip_accuracy=0")
    assert quiet.stdout.splitlines()[-1] == f"Accuracy: clip 0.0, top1 {top1}, top5 {top5}"
    few = write(tmp_path / "few", clips(0, classes=3), ".npz")
    answer = run_tool("dense_prediction_aggregation.py", f"--input_dir={few}")
    assert "top5 of 3 classes is always 1" in answer.stdout
    assert answer.stdout.rstrip().endswith("top5 1.0") and "more than one file" not in answer.stderr


def test_wrong_requests(tmp_path: Path) -> None:
    one = write(tmp_path / "a", clips(0), ".npz")
    assert run_tool("dense_prediction_aggregation.py").returncode == 2
    wrong = run_tool("dense_prediction_fusion.py", f"--input_dir1={one}", f"--input_dir2={one}", "--file_count=10")
    assert wrong.returncode == 2 and "contains 1 feature files, but --file_count=10" in wrong.stderr


def test_no_feature_file_is_written_over(tmp_path: Path) -> None:
    one = write(tmp_path / "a", clips(0), ".npz")
    [file] = one.iterdir()
    before = file.read_bytes()
    for tool, flags in (
        ("dense_prediction_aggregation.py", [f"--input_dir={one}"]),
        ("dense_prediction_fusion.py", [f"--input_dir1={tmp_path / 'a'}", f"--input_dir2={one}"]),
    ):
        answer = run_tool(tool, *flags, f"--output={file}")
        assert answer.returncode == 2 and "is the file that --input_dir" in answer.stderr, answer.stderr
        assert file.read_bytes() == before
