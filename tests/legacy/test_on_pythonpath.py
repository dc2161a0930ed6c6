"""Whole programs, as they are, with the original's imports on PYTHONPATH, against what the original's own printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2, needs_operators
from tests.goldens.e2e import load_job, write_database, write_weights
from tests.legacy.original import ORIGINAL, SMALL, cnn_model, parameters, workspace_of_its_own
from vmz.checkpoints.pickles import save_pickle

pytestmark = [needs_caffe2, needs_operators]

SCORE = Path(__file__).with_name("programs") / "score_clips.py"
LIB = ORIGINAL.parents[2]


@pytest.mark.parametrize("name", ["r2plus1d10_multilabel", pytest.param("r2d18_8x112_10clip", marks=pytest.mark.slow)])
def test_the_lines_of_the_original(tmp_path: Path, name: str) -> None:
    """To the last digit; the weights come from a pickle, the clips from an LMDB."""
    job = load_job(name)
    given = job["args"]
    several = given.get("multi_label", 0)
    network = {
        "model_name": given["model_name"], "model_depth": given["model_depth"], "num_labels": given["num_labels"],
        "num_channels": 3, "crop_size": 112, "clip_length": given["clip_length_rgb"], "multi_label": several,
    }  # fmt: skip
    reading = {
        "batch_size": 1, "clip_per_video": given["clip_per_video"], "decode_type": 1, "scale_h": 128, "scale_w": 171,
        "length_rgb": given["clip_length_rgb"], "crop_size": 112, "random_mirror": False, "random_crop": False,
        "do_multi_label": several, "num_of_class": given["num_labels"], "num_decode_threads": 1,
    }  # fmt: skip
    database = write_database(tmp_path / "lmdb", job["videos"], job["labels"])
    weights = write_weights(tmp_path / "weights.pkl", job)
    command = [sys.executable, str(SCORE), json.dumps(network), json.dumps(reading), str(database), str(weights)]
    environment = {**os.environ, "PYTHONPATH": f"{LIB}:{ORIGINAL}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.partition("score_clips:")[2] for line in done.stderr.splitlines() if "score_clips:" in line]
    assert lines == job["printed"]
    assert "INFO:model_loader:copying conv1_middle_w" in done.stderr or name.startswith("r2d")


def test_two_cpu_devices_learn_alike(tmp_path: Path) -> None:
    """Under data_parallel_model: weights from a pickle to one device, from it to the other, and two steps."""
    from caffe2.python import data_parallel_model
    from models import model_builder
    from utils import model_loader

    model = cnn_model("training")

    def forward(model: Any, loss_scale: float) -> Any:
        return model_builder.build_model(
            model, "mc3", 10, batch_size=2, loss_scale=loss_scale, **{**SMALL, "clip_length": 2, "crop_size": 112}
        )

    def update(model: Any) -> None:
        rate = model.param_init_net.ConstantFill([], "LR", shape=[1], value=-0.1)
        one = model.param_init_net.ConstantFill([], "ONE", shape=[1], value=1.0)
        for param in model.GetParams():
            model.WeightedSum([param, one, model.param_to_grad[param], rate], param)

    with workspace_of_its_own() as workspace:
        random = np.random.RandomState(0)
        for number in (0, 1):
            workspace.FeedBlob(f"cpu_{number}/data", random.randn(2, 3, 2, 112, 112).astype(np.float32))
            workspace.FeedBlob(f"cpu_{number}/label", np.array([number, 3], np.int32))
        data_parallel_model.Parallelize_CPU(model, lambda model: None, forward, update, devices=[0, 1])
        workspace.RunNetOnce(model.param_init_net)
        workspace.CreateNet(model.net)
        names = [blob for blob, _ in parameters(model)["params"] if blob.startswith("cpu_0/")]
        shapes = {model_loader.unscope_name(blob): workspace.FetchBlob(blob).shape for blob in names}
        blobs = {name: 0.1 * random.randn(*shape).astype(np.float32) for name, shape in shapes.items()}
        save_pickle(tmp_path / "w.pkl", blobs)
        model_loader.LoadModelFromPickleFile(model, str(tmp_path / "w.pkl"), root_gpu_id=0)
        data_parallel_model.FinalizeAfterCheckpoint(model)
        for name, array in blobs.items():
            np.testing.assert_array_equal(workspace.FetchBlob(f"cpu_1/{name}"), array)
        losses = []
        for _ in range(2):
            workspace.RunNet(model.net.Proto().name)
            losses.append([float(workspace.FetchBlob(f"cpu_{number}/loss")) for number in (0, 1)])
        assert np.isfinite(losses).all() and losses[0][0] != losses[0][1]
        for name, array in blobs.items():
            mine, other = (workspace.FetchBlob(f"cpu_{number}/{name}") for number in (0, 1))
            np.testing.assert_array_equal(mine, other)
            assert not np.array_equal(mine, array), name
