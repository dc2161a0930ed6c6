"""aggregate_scores.py as a user runs it, on the scores that test_net.py kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.goldens.e2e import run_tool
from tests.support.small_videos import database

SMALL = [
    "--model_name=r2d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--clip_length_rgb=4",
    "--clip_per_video=3", "--num_decode_threads=1", "--random_weights=1", "--top_k=2", "--num_gpus=0", "--check_data=0",
    "--print_per_class_metrics=1",
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("multi_label", [0, 1])
def test_the_same_lines_and_figures_as_the_run(multi_label: int, tmp_path: Path) -> None:
    scores, output = tmp_path / "scores.npz", tmp_path / "run.json"
    data = database(tmp_path, 7)
    run = run_tool(
        "test_net.py", *SMALL, f"--test_data={data}", f"--multi_label={multi_label}", "--aggregation=1",
        f"--save_scores={scores}", f"--output={output}",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    again = tmp_path / "again.json"
    answer = run_tool(
        "aggregate_scores.py", str(scores), "--top_k=2", "--print_per_class_metrics=1", f"--output={again}"
    )
    assert answer.returncode == 0, answer.stderr
    told = [line for line in run.stdout.splitlines() if "clips each" not in line and not line.startswith("FLOPs")]
    assert [line for line in answer.stdout.splitlines() if "clips each" not in line] == told
    one, other = json.loads(output.read_text()), json.loads(again.read_text())
    for name in ("figures", "intervals", "per_class", "videos", "clips_per_video"):
        assert other[name] == one[name], name
    assert other["options"] == {"aggregation": 1, "top_k": 2} and other["files"] == [str(scores)]


def test_errors_are_one_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "no.npz", softmax=np.zeros((2, 3), np.float32))
    for arguments, status, named in (
        (["nowhere.npz"], 2, "there is no file nowhere.npz"),
        ([str(tmp_path / "no.npz")], 1, "lacks array 'label'"),
        ([], 2, "FILE"),
        (["x", "--output=/nowhere/x.json"], 2, "there is no folder /nowhere"),
        (["x", "--aggregation=2"], 2, "--aggregation"),
    ):
        answer = run_tool("aggregate_scores.py", *arguments)
        assert answer.returncode == status and named in answer.stderr and len(answer.stderr.splitlines()) == 1
