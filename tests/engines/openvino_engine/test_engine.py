"""The OpenVINO engine against the PyTorch engine, blob by blob, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.motion import write_motion_database
from vmz.cli import test_net, train_net
from vmz.engines.registry import check_engine, open_engine, open_trainer, used_device
from vmz.errors import UsageError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build

needs_openvino = pytest.mark.skipif(
    tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 0),
    reason="OpenVINO's converter needs PyTorch 2",
)

NETS: dict[str, dict[str, Any]] = {
    "r2plus1d": {"model_name": "r2plus1d", "model_depth": 10, "channel_multiplier": 0.25},
    "r3d": {"model_name": "r3d", "model_depth": 10, "channel_multiplier": 0.25, "multi_label": True},
    "mc3": {"model_name": "mc3", "model_depth": 10, "channel_multiplier": 0.25},
    "rmc3": {"model_name": "rmc3", "model_depth": 10, "channel_multiplier": 0.25},
    "r2d": {"model_name": "r2d", "model_depth": 10, "channel_multiplier": 0.25},
    "r2df": {"model_name": "r2df", "model_depth": 10, "channel_multiplier": 0.25},
    "ir-csn": {"model_name": "ir-csn", "model_depth": 26, "channel_multiplier": 0.25, "use_dropout": True},
    "ip-csn, convolutional": {
        **{"model_name": "ip-csn", "model_depth": 26, "channel_multiplier": 0.25},
        **{"crop_size": 128, "use_convolutional_pred": True},
    },
    "c3d": {"model_name": "c3d"},
}


def network(name: str) -> Model:
    length = 16 if name == "c3d" else 8
    return build(ModelConfig(clip_length=length, num_labels=5, batch_size=-1, **NETS[name]))


def computed(engine: str, model: Model, blobs: list[str], clips: int = 2, **named: Any) -> dict[str, np.ndarray]:
    random = np.random.RandomState(3)
    with open_engine(engine, **named) as opened:
        opened.load(model.param_init_net, model.net, seed=1, keep=blobs)
        opened.feed("data", random.randn(clips, *model.clip_shape).astype(np.float32))
        labels = random.randint(0, 2, (clips, 5)) if model.config.multi_label else random.randint(0, 5, clips)
        opened.feed("label", labels.astype(np.int32))
        opened.run()
        return {blob: opened.fetch(blob) for blob in blobs}


@needs_openvino
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "r3d" else pytest.mark.long) for name in NETS])
def test_every_blob(name: str) -> None:
    model = network(name)
    blobs = list(dict.fromkeys(op.output[0] for op in model.net.op))
    expected, found = (computed(engine, model, blobs) for engine in ("pytorch", "openvino"))
    assert len(found) >= 20
    for blob, value in expected.items():
        assert found[blob].shape == value.shape and found[blob].dtype == value.dtype, blob
        largest = max(float(np.abs(value).max()), 1e-6)
        assert np.abs(found[blob] - value).max() <= 1e-5 * largest, blob


@needs_openvino
def test_bf16_is_near_and_scores_are_float32() -> None:
    model = network("r2plus1d")
    expected = computed("pytorch", model, [model.prediction])[model.prediction]
    found = computed("openvino", model, [model.prediction], precision="bf16")[model.prediction]
    assert found.dtype == np.float32 and np.abs(found - expected).max() < 0.01


@pytest.mark.long
@needs_openvino
def test_another_blob_another_number_of_clips_and_another_parameter() -> None:
    """What is fetched later, a short last batch, and a fed parameter are computed as the PyTorch engine does."""
    model, random = network("r3d"), np.random.RandomState(0)
    clips = random.randn(3, *model.clip_shape).astype(np.float32)
    found: dict[str, list[np.ndarray]] = {}
    for engine in ("pytorch", "openvino"):
        with open_engine(engine) as opened:
            opened.load(model.param_init_net, model.net, seed=1, keep=[model.prediction])
            values = found.setdefault(engine, [])
            for count in (3, 1, 3):
                opened.feed("data", clips[:count])
                opened.run()
                values.append(opened.fetch(model.prediction))
            values.append(opened.fetch("final_avg"))
            opened.feed("last_out_L5_b", np.arange(5, dtype=np.float32))
            opened.run()
            values.append(opened.fetch(model.prediction))
            values.append(opened.fetch("conv1_w"))
            values.append(opened.fetch("data"))
    for expected, value in zip(found["pytorch"], found["openvino"]):
        np.testing.assert_allclose(value, expected, atol=1e-5 * np.abs(expected).max())
    assert [len(value) for value in found["openvino"][:4]] == [3, 1, 3, 3]


@pytest.mark.long
@needs_openvino
def test_an_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """test_net gives the figures and scores of the PyTorch engine, in both precisions, with a short last batch."""
    data = write_motion_database(tmp_path / "db")
    common = [
        *("--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=8"),
        *(
            "--clip_length_rgb=4",
            "--clip_per_video=3",
            "--batch_size=3",
            "--crop_size=112",
            f"--test_data={data}",
            "--random_weights=1",
        ),
    ]
    scores, figures = {}, {}
    for name, more in (
        ("pytorch", ["--engine=pytorch"]),
        ("openvino", ["--engine=openvino"]),
        ("bf16", ["--engine=openvino", "--precision=bf16"]),
    ):
        output, saved = tmp_path / f"{name}.json", tmp_path / f"{name}.npz"
        assert test_net.main([*common, *more, f"--output={output}", f"--save_scores={saved}"]) == 0
        figures[name] = json.loads(output.read_text())
        with np.load(saved) as arrays:
            scores[name] = {key: arrays[key] for key in arrays}
    key = next(key for key in scores["pytorch"] if scores["pytorch"][key].ndim == 2)
    np.testing.assert_allclose(scores["openvino"][key], scores["pytorch"][key], atol=1e-5)
    np.testing.assert_allclose(scores["bf16"][key], scores["pytorch"][key], atol=0.01)
    assert figures["openvino"]["environment"]["engine"] == "openvino"
    assert figures["openvino"]["environment"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"precision": "fp16"}, "--precision=fp16 needs --engine=pytorch: OpenVINO computes in fp32 or bf16 here"),
        ({"precision": "tf32"}, "--precision=tf32 needs --engine=pytorch"),
        ({"channels_last": 1}, "--channels_last needs --engine=pytorch"),
        ({"device": "cuda"}, "--engine=openvino computes on the CPU, not on cuda; use --device=cpu"),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_one_sentence(given: dict[str, object], says: str) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(UsageError) as raised:
        open_engine("openvino", **given)  # type: ignore[arg-type]
    assert says in str(raised.value)


def test_training_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--engine=openvino only tests networks"):
        open_trainer("openvino")
    data = write_motion_database(tmp_path / "db")
    status = train_net.main([f"--train_data={data}", "--engine=openvino", f"--file_store_path={tmp_path / 'run'}"])
    assert status == 2 and not (tmp_path / "run").exists()
    assert (
        capsys.readouterr()
        .err.strip()
        .splitlines()[-1]
        .endswith("--engine=openvino only tests networks; train with --engine=pytorch or --engine=caffe2")
    )


@needs_openvino
def test_a_net_that_trains_is_refused() -> None:
    model = build(ModelConfig(model_depth=10, clip_length=8), is_test=False)
    with open_engine("openvino") as opened, pytest.raises(UsageError, match="runs nets that test; this one trains"):
        opened.load(model.param_init_net, model.net)


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UsageError, match=r'^--engine=openvino needs OpenVINO.*: pip install "vmz\[openvino\]"$'):
        open_engine("openvino")
    monkeypatch.delitem(sys.modules, "openvino")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'^--engine=openvino needs OpenVINO: pip install "vmz\[openvino\]"$'):
        check_engine("openvino")


def test_its_device_is_the_cpu() -> None:
    assert used_device("openvino", "auto") == "cpu"
