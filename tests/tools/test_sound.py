"""The tools with sound: the golden end-to-end jobs of the audio-visual networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import flags, load_job, run_tool, write_database, write_weights
from tests.goldens.recordings import golden_path

JOBS = ["a_resnet18_logmels_3clip", "av_r3d18_3clip"]
SILENT = "arm_wrestling.mp4"  # the golden video that has no sound


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", JOBS)
def test_golden_job(name: str, engine: str, tmp_path: Path) -> None:
    job = load_job(name, "av/e2e")
    database = write_database(tmp_path / "db", job["videos"], job["labels"])
    weights = write_weights(tmp_path / "weights.pkl", job)
    found, output = tmp_path / "features.npz", tmp_path / "results.json"
    own = [f"--engine={engine}", f"--test_data={database}", f"--load_model_path={weights}"]
    answer = run_tool("test_net.py", *flags(job, num_gpus=0), *own, f"--output={output}")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-2:] == job["printed"]
    silent = [video for video in job["videos"] if video == SILENT]
    assert len(json.loads(output.read_text())["without_sound"]) == len(silent)
    assert ("1 video without sound" in answer.stdout) == bool(silent)

    golden = np.load(golden_path(f"av/e2e/{name}.npz"))
    wanted = [blob for blob in golden if blob != "label"]
    args = {key: value for key, value in job["args"].items() if key not in ("top_k", "aggregation")}
    features = ["--decode_type=1", f"--features={','.join([*wanted, 'label'])}", f"--output_path={found}"]
    answer = run_tool("extract_features.py", *flags({"args": args}, num_gpus=0), *own, *features)
    assert answer.returncode == 0, answer.stderr
    ours = np.load(found)
    assert ours["label"].tolist() == golden["label"].tolist()
    for blob in wanted:
        check_blob(blob, ours[blob], golden[blob].reshape(ours[blob].shape))


def check_blob(blob: str, ours: np.ndarray, golden: np.ndarray) -> None:
    """Log-mels within what ../shared/golden/README.md gives; what is computed of them within 1e-4 of the largest."""
    difference = np.abs(ours - golden)
    if blob == "logmels":
        assert difference.max() < 0.1 and difference.mean() < 5e-3
    else:
        assert difference.max() < 1e-4 * np.abs(golden).max(), blob
