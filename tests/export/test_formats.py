"""A model in the forms of other programs: what ONNX Runtime, torch.export and real Caffe2 compute of the files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vmz
from tests.engines.real_caffe2 import needs_caffe2
from vmz.checkpoints.loading import save
from vmz.checkpoints.seeded import seeded_weights
from vmz.cli.export import work
from vmz.errors import UsageError, VmzError
from vmz.export import formats
from vmz.export.formats import export
from vmz.model.module import VideoModel
from vmz.models.config import ModelConfig
from vmz.models.registry import build

CLIP: dict[str, Any] = {"clip_length": 8, "num_labels": 5}
FAMILIES: dict[str, dict[str, Any]] = {
    "r2plus1d": {"model_name": "r2plus1d", "model_depth": 10, "channel_multiplier": 0.25, **CLIP},
    "multi-label": {"model_name": "r3d", "model_depth": 10, "multi_label": True, "channel_multiplier": 0.25, **CLIP},
    "convolutional": {"model_name": "mc3", "model_depth": 10, "use_convolutional_pred": True, "crop_size": 128,
                      "channel_multiplier": 0.25, **CLIP},
    "convolutional multi-label": {"model_name": "r3d", "model_depth": 10, "use_convolutional_pred": True,
                                  "crop_size": 128, "multi_label": True, "channel_multiplier": 0.25, **CLIP},
    "ip-csn": {"model_name": "ip-csn", "model_depth": 26, **CLIP},
    "ir-csn": {"model_name": "ir-csn", "model_depth": 26, **CLIP},
    "rmc3": {"model_name": "rmc3", "model_depth": 10, "channel_multiplier": 0.25, **CLIP},
    "r2d": {"model_name": "r2d", "model_depth": 10, "channel_multiplier": 0.25, **CLIP},
    "c3d": {"model_name": "c3d", "model_depth": 16, "clip_length": 16, "num_labels": 5},
}  # fmt: skip


def model_of(**arguments: Any) -> VideoModel:
    config = ModelConfig(**arguments)
    net = build(config, scope="")
    return VideoModel(config, seeded_weights([*net.params, *net.computed_params], seed=2))


def clips_and_scores(model: VideoModel, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    clips = torch.randn(count, *model.clip_shape, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        return clips.numpy(), model.probabilities(clips).numpy()


@pytest.mark.skipif(not hasattr(torch.onnx, "ONNXProgram"), reason="PyTorch before 2.6 writes no such ONNX")
@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_runtime(family: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = model_of(**FAMILIES[family])
    done = export(model, tmp_path / "net.onnx", verify=False)
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["clips"]
    assert [one.name for one in session.get_outputs()] == ["logits", "scores"]
    for count in (1, 3):
        clips, expected = clips_and_scores(model, count)
        _, scores = session.run(None, {"clips": clips})
        assert np.abs(scores - expected).max() < 1e-5
    assert (
        done.difference is None
        and "not verified" in done.line()
        and list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]
    )


@pytest.mark.skipif(not hasattr(getattr(torch, "export", None), "Dim"), reason="PyTorch before 2.2 has no torch.export")
@pytest.mark.parametrize("family", ["r2plus1d", "convolutional multi-label", "c3d"])
def test_torch_export(family: str, tmp_path: Path) -> None:
    model = model_of(**FAMILIES[family])
    done = export(model, tmp_path / "net.pt2")
    assert done.difference is not None and done.difference < 1e-6
    clips, expected = clips_and_scores(model, 4)
    with torch.no_grad():
        _, scores = torch.export.load(tmp_path / "net.pt2").module()(torch.from_numpy(clips))
    assert np.abs(scores.numpy() - expected).max() < 1e-6


@needs_caffe2
@pytest.mark.parametrize("form", ["predict_net.pb", "net.pbtxt", "net.mdl"])
@pytest.mark.parametrize("family", FAMILIES)
def test_real_caffe2_runs_the_nets(family: str, form: str, tmp_path: Path) -> None:
    if form == "net.pbtxt" and family in ("c3d", "ip-csn", "ir-csn"):
        pytest.skip("text of many millions of numbers")
    from caffe2.python import workspace

    model = model_of(**FAMILIES[family])
    done = export(model, tmp_path / form)
    assert done.difference is not None and done.difference < 1e-6
    clips, expected = clips_and_scores(model)
    workspace.ResetWorkspace()
    if form == "net.mdl":
        from caffe2.python.predictor import predictor_exporter

        net = predictor_exporter.prepare_prediction_net(str(tmp_path / form), "minidb")
        workspace.FeedBlob("data", clips)
        workspace.RunNet(net)
    else:
        from caffe2.proto import caffe2_pb2
        from google.protobuf import text_format

        for path in reversed(done.paths):  # the init net first
            net = caffe2_pb2.NetDef()
            if form.endswith(".pb"):
                net.ParseFromString(path.read_bytes())
            else:
                text_format.Parse(path.read_text(), net)
            if path == done.paths[0]:
                workspace.FeedBlob("data", clips)
            workspace.RunNetOnce(net)
    scores = workspace.FetchBlob(next(iter(done.outputs))).reshape(3, -1)
    scale = expected.sum(1, keepdims=True) / scores.sum(1, keepdims=True)
    assert np.abs(scores * (1 if model.config.multi_label else scale) - expected).max() < 1e-5


def test_a_file_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(**FAMILIES["r2plus1d"])
    right = formats._expected
    monkeypatch.setattr(formats, "_expected", lambda model, clips: right(model, clips) + 0.01)
    with pytest.raises(VmzError, match=r"net.pb gives other scores than the model: the largest difference is 1.0e-02"):
        export(model, tmp_path / "net.pb")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "no output is given; name the files to write, as in: vmz export"),
        (["--output=net.tflite"], "unknown extension '.tflite' of net.tflite; choose from: .onnx, .pt2, .pb"),
        (["--output=net"], "net has no extension; choose from: .onnx"),
        (["--output", "net.pb", "net.pb", "--random_weights=1"], "are the same output"),
        (["--output=net.pb"], "no weights are given; name a published model with --zoo"),
        (["--output=nowhere/net.pb", "--random_weights=1"], "nowhere"),
    ],
)
def test_requests(argv: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=sentence):
        work([*argv, "--model_name=r3d", "--model_depth=10", "--channel_multiplier=0.1"] if argv else [])


def test_without_a_classifier(tmp_path: Path) -> None:
    config = ModelConfig(**FAMILIES["r2plus1d"])
    model = VideoModel(config, features_only=True)
    with pytest.raises(UsageError, match="the model has no classifier"):
        model.export(tmp_path / "net.pb")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model_name=r3d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=4"]
    assert (
        work([*arguments, "--random_weights=1", "--output", str(tmp_path / "a.mdl"), str(tmp_path / "predict_net.pb")])
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        f"{tmp_path / 'a.mdl'}: Caffe2 predictor export, data (N, 3, 16, 112, 112) -> softmax (N, 4)"
    )
    assert lines[1].startswith(f"{tmp_path / 'predict_net.pb'} and {tmp_path / 'init_net.pb'}: Caffe2 nets, ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mdl", "init_net.pb", "predict_net.pb"]


@pytest.mark.parametrize("output", ["net.pkl", "net.mdl", "net.safetensors", "net/"])
def test_models_for_our_own_tools(output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if output in ("net.safetensors", "net/"):
        pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    own = model_of(model_name="r3d", model_depth=10, channel_multiplier=0.1, **CLIP)
    saved = {"settings": {"clip_length_rgb": 8, "crop_per_clip": 3, "num_labels": 5}}
    save(tmp_path / "own.pkl", own.weights(), about={"saved": saved})
    assert work(["--load_model_path=own.pkl", "--scale_w=200", f"--output={output}"]) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model: Any = vmz.load_model(output, device="cpu")
    assert (
        model.settings.scale_w == 200
        and model.settings.crop_per_clip == 3
        and model.clip_shape == (3, 8, 112, 112)
        and model.config.num_labels == 5
    )
