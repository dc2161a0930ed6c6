"""A checkpoint of training becomes a pickle, and test_net gives the same figures for both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.goldens.e2e import run_tool, write_database
from vmz.checkpoints.loading import load
from vmz.checkpoints.mdl import save_mdl
from vmz.checkpoints.seeded import seeded_weights
from vmz.models.config import ModelConfig
from vmz.models.registry import build

SMALL = ["--model_name=r2d", "--model_depth=10", "--clip_length_rgb=4", "--num_labels=7", "--clip_per_video=2"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    model = build(ModelConfig("r2d", 10, num_labels=7, clip_length=4))
    weights = seeded_weights([*model.params, *model.computed_params])
    momenta = {f"{blob[6:]}_momentum": np.zeros(shape, np.float32) for blob, shape in model.params}
    state = {**weights, **momenta, "optimizer_iteration": np.array([7], np.int64)}
    save_mdl(tmp_path / "r2d_3.mdl", state, model.net, inputs=["gpu_0/data"], outputs=[model.prediction])
    return tmp_path / "r2d_3.mdl"


def convert(source: Path, target: Path, *flags: str) -> tuple[int, str, str]:
    arguments = [f"--load_model_path={source}", f"--save_model_path={target}", *flags]
    answer = run_tool("minidb_to_pickle.py", *arguments)
    return answer.returncode, answer.stdout.strip(), answer.stderr.strip()


@pytest.mark.long
def test_there_and_back(checkpoint: Path, tmp_path: Path) -> None:
    pickled, again = tmp_path / "r2d.pkl", tmp_path / "again.mdl"
    count = sum(not name.endswith("_momentum") for name in load(checkpoint).blobs) - 1
    left_out = len(load(checkpoint).blobs) - count
    assert convert(checkpoint, pickled) == (
        0,
        f"{pickled}: {count} blobs; {left_out} blobs of training state left out",
        "",
    )
    assert convert(pickled, again, "--db_type=pickle") == (0, f"{again}: {count} blobs", "")
    for path in (pickled, again):
        for name, array in load(path).blobs.items():
            np.testing.assert_array_equal(array, load(checkpoint).blobs[name])


@pytest.mark.long
def test_test_net_takes_either(checkpoint: Path, tmp_path: Path) -> None:
    database = write_database(tmp_path / "db", ["five_frames.mp4", "portrait.mp4"], [[0], [1]])
    pickled = tmp_path / "r2d.pkl"
    assert convert(checkpoint, pickled)[0] == 0
    scores, unused = [], []
    for path in (checkpoint, pickled):
        written, output = path.with_suffix(".npz"), path.with_suffix(".json")
        answer = run_tool(
            "test_net.py", *SMALL, f"--test_data={database}", f"--load_model_path={path}", f"--save_scores={written}",
            f"--output={output}", "--num_gpus=0",
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        assert ("of training state" in answer.stdout) == (path == checkpoint)
        scores.append(np.load(written)["softmax"])
        unused += json.loads(output.read_text())["checkpoint"]["unused"]
    np.testing.assert_array_equal(*scores)
    assert not unused


def test_what_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    assert run_tool("minidb_to_pickle.py").returncode == 2
    status, _, error = convert(tmp_path / "none.mdl", tmp_path / "a.pkl")
    assert status == 2 and "none.mdl: No such file" in error
    status, _, error = convert(checkpoint, tmp_path / "a.pkl", "--db_type=leveldb")
    assert status == 2 and "--db_type" in error
    status, _, error = convert(checkpoint, tmp_path / "a.mdl")
    assert status == 2 and "name it *.pkl" in error
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    status, _, error = convert(checkpoint, tmp_path / "a.pkl")
    assert status == 1 and "truncated" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "a.pkl").exists()
