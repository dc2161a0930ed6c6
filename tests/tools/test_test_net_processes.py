"""test_net.py by torchrun: the same figures as one process, and the same end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.support.processes import run_processes
from tests.support.small_videos import database

SMALL = [
    "--model_name=r2d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--clip_length_rgb=4",
    "--clip_per_video=2", "--batch_size=2", "--crop_size=112", "--scale_h=112", "--scale_w=120", "--random_weights=1",
    "--num_decode_threads=1", "--top_k=2", "--print_per_class_metrics=1", "--num_gpus=0",
]  # fmt: skip


def run_test_net(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The tool, on its own (0 processes) or by torchrun."""
    return run_processes(processes, "test_net.py", *SMALL, *arguments)


def results(processes: int, folder: Path, *arguments: str) -> tuple[dict[str, Any], dict[str, np.ndarray], list[str]]:
    """--output without what may differ, --save_scores, and what was printed without the line with the seconds."""
    output, scores = folder / f"{processes}.json", folder / f"{processes}.npz"
    answer = run_test_net(processes, *arguments, f"--output={output}", f"--save_scores={scores}")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(output.read_text())
    assert found["environment"].pop("processes") == str(processes or 1)
    for name in ("output", "save_scores"):
        del found["options"][name]
    del found["seconds"]
    lines = answer.stdout.splitlines()
    assert sum("clips each" in line for line in lines) == 1  # one process prints
    return found, dict(np.load(scores)), [line for line in lines if "clips each" not in line]


def compare(folder: Path, processes: int, *arguments: str) -> dict[str, Any]:
    """One process against several; what the one found."""
    alone, together = results(0, folder, *arguments), results(processes, folder, *arguments)
    assert together[0] == alone[0] and together[2] == alone[2]
    for name, array in alone[1].items():
        assert array.dtype == together[1][name].dtype and np.array_equal(array, together[1][name]), name
    return alone[0]


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_the_figures_of_two_processes_are_those_of_one(engine: str, tmp_path: Path) -> None:
    path = database(tmp_path, 7)
    found = compare(tmp_path, 2, f"--test_data={path}", f"--engine={engine}")
    assert found["videos"] == 7 and found["skipped"] == []


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_the_figures_do_not_depend_on_the_number_of_processes(processes: int, tmp_path: Path) -> None:
    path = database(tmp_path, 11)
    assert compare(tmp_path, processes, f"--test_data={path}")["videos"] == 11
    assert compare(tmp_path, processes, f"--test_data={path}", "--num_iter=4")["videos"] == 8


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_slices_of_two_processes_are_those_of_one(engine: str, tmp_path: Path) -> None:
    path = database(tmp_path, 7)
    found = compare(tmp_path, 2, f"--test_data={path}", f"--engine={engine}", "--crop_per_inference=3")
    assert found["videos"] == 7


@pytest.mark.slow
def test_what_several_processes_left_out_is_listed_in_order(tmp_path: Path) -> None:
    path = database(tmp_path, 9, 1, 2, 6)
    found = compare(tmp_path, 3, f"--test_data={path}", "--on_bad_video=skip")
    assert found["videos"] == 6 and [bad["key"] for bad in found["skipped"]] == ["01", "02", "06"]


@pytest.mark.slow
def test_fewer_videos_than_processes_and_several_labels(tmp_path: Path) -> None:
    path = database(tmp_path, 3)
    assert "mAP" in compare(tmp_path, 3, f"--test_data={path}", "--multi_label=1")["figures"]


@pytest.mark.long
def test_a_bad_video_of_one_process_ends_all_with_its_sentence(tmp_path: Path) -> None:
    path = database(tmp_path, 6, 5)
    answer = run_test_net(3, f"--test_data={path}")
    assert answer.returncode == 1 and answer.stdout == ""
    told = [line for line in answer.stderr.splitlines() if "error: " in line and not line.startswith("  ")]
    assert len(told) == 1 and told[0].startswith(f"error: record 05 of {path}: not a video"), answer.stderr
