from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import HAS_CAFFE2, needs_caffe2
from tests.goldens.e2e import run_tool
from vmz.inspection.compare_engines import Job, blobs_to_compare, differences, read_job, write_job
from vmz.models.config import ModelConfig
from vmz.models.registry import MODEL_NAMES, build
from vmz.report.comparison import page
from vmz.results.comparison import Comparison


def test_the_first_blob_beyond_the_tolerance_is_found() -> None:
    model = build(ModelConfig("r2d", 10, clip_length=4), scope="")
    left = {blob: np.full(3, 2.0) for blob in blobs_to_compare(model.net)}
    right = {blob: array + (1e-3 if blob == "comp_1_conv_1" else 1e-9) for blob, array in left.items()}
    found = differences(model.net, left, right)
    comparison = Comparison("r2d", found, 1e-4, {"caffe2": 1.0, "pytorch": 0.5})
    first = comparison.first_beyond()
    assert first is not None and (first.blob, first.kind) == ("comp_1_conv_1", "Conv")
    assert first.relative == pytest.approx(5e-4)
    last = comparison.lines()[-1]
    assert last == f"different: 1 of {len(found)} blobs beyond 0.0001, the first is comp_1_conv_1 (Conv)"
    agreed = replace(comparison, tolerance=1e-2)
    assert agreed.first_beyond() is None and agreed.lines()[-2] == "caffe2 1.0 s, pytorch 0.5 s"
    assert agreed.lines()[-1] == f"equal: all {len(found)} blobs within 0.01; largest 5.00e-04 at comp_1_conv_1"
    html = page(comparison)
    assert "the first is comp_1_conv_1" in html and html.count('class="gauge') == len(found)
    right["conv1"] = np.array([np.nan, 0, 0])
    damaged = replace(agreed, blobs=differences(model.net, left, right)).first_beyond()
    assert damaged is not None and damaged.blob == "conv1"


def test_a_job_goes_through_files(tmp_path: Path) -> None:
    model = build(ModelConfig("r2d", 10, clip_length=4))
    job = Job(
        model.param_init_net, model.net, {"gpu_0/conv1_w": np.ones(3)}, {"gpu_0/data": np.zeros(2)}, ("a", "b"), 7
    )
    write_job(tmp_path, job)
    again = read_job(tmp_path)
    assert again.net.SerializeToString() == model.net.SerializeToString()
    assert again.weights["gpu_0/conv1_w"].tolist() == [1, 1, 1] and list(again.inputs) == ["gpu_0/data"]
    assert (again.blobs, again.seed) == (("a", "b"), 7)


@pytest.mark.skipif(HAS_CAFFE2, reason="this Python has Caffe2")
def test_without_any_caffe2_one_sentence_says_so() -> None:
    answer = run_tool("compare_engines.py", "--clip_length_rgb=8", "--caffe2_python=/nowhere/python")
    assert answer.returncode == 2 and "make setup-caffe2" in answer.stderr and len(answer.stderr.splitlines()) == 1


def compare(name: str, depth: int, tmp_path: Path, length: int = 8) -> None:
    output = tmp_path / "differences.json"
    answer = run_tool(
        "compare_engines.py", f"--model_name={name}", f"--model_depth={depth}", f"--clip_length_rgb={length}",
        f"--output={output}", f"--html={tmp_path / 'page.html'}",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout[-500:] + answer.stderr
    blobs = json.loads(output.read_text())["blobs"]
    assert len(blobs) > 20 and max(blob["relative"] for blob in blobs) <= 1e-4
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


@needs_caffe2
@pytest.mark.parametrize("name", ["r2plus1d", "ip-csn"])
def test_small_networks_agree_blob_by_blob(name: str, tmp_path: Path) -> None:
    compare(name, 10, tmp_path)


@needs_caffe2
@pytest.mark.slow
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_network_agrees_blob_by_blob(name: str, tmp_path: Path) -> None:
    compare(name, 50 if name.endswith("csn") else 18, tmp_path, length=16 if name == "c3d" else 8)
