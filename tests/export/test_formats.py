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
from tests.export.families import FAMILIES, InCaffe2, InOnnxRuntime, clips_and_scores, model_of
from vmz.checkpoints.loading import save
from vmz.cli.export import work
from vmz.errors import UsageError, VmzError
from vmz.export import formats
from vmz.export.formats import export
from vmz.model.module import VideoModel
from vmz.model.nets import Nets
from vmz.models.config import ModelConfig

QUICK = ("r2plus1d", "r3d, convolutional, multi-label")  # the others take CI's time, most of them as slow tests
IN_CI = (
    *("c3d", "ir-csn", "ip-csn, convolutional", "mc3", "rmc4", "r2d", "r2plus1d, optical flow"),
    *("a_resnet", "av_resnet-r2plus1d", "av_resnet-r3d, convolutional"),
)


def families(*quick: str) -> list[Any]:
    marks = {**{name: [pytest.mark.long] for name in IN_CI}, **{name: [] for name in quick}}
    return [pytest.param(name, marks=marks.get(name, [pytest.mark.slow])) for name in FAMILIES]


def test_every_architecture_is_here() -> None:
    assert {arguments["model_name"] for arguments in FAMILIES.values()} == set(vmz.list_architectures())


def _names(model: VideoModel) -> list[str]:
    return ["clips", "logmels"][: len(model.input_shapes)]


@pytest.mark.long
@pytest.mark.skipif(not hasattr(torch.onnx, "ONNXProgram"), reason="PyTorch before 2.6 writes no such ONNX")
@pytest.mark.parametrize("family", families(*QUICK))
def test_onnx_runtime(family: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = model_of(family)
    done = export(model, tmp_path / "net.onnx", verify=False)
    session = InOnnxRuntime(tmp_path / "net.onnx")
    assert session.inputs == _names(model) and session.outputs == ["logits", "scores"]
    for count in (1, 3):
        given, expected = clips_and_scores(model, count)
        logits, scores = session(given)
        assert scores.shape == logits.shape == (count, 5) and np.abs(scores - expected).max() < 1e-5
        plain = model(*map(torch.from_numpy, given)).detach().numpy()
        assert np.abs(logits - plain).max() < 1e-4 * max(1, np.abs(plain).max())
    assert done.difference is None and "not verified" in done.line()
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]


@pytest.mark.long
@pytest.mark.skipif(not hasattr(getattr(torch, "export", None), "Dim"), reason="PyTorch before 2.2 has no torch.export")
@pytest.mark.parametrize("family", families(*QUICK))
def test_torch_export(family: str, tmp_path: Path) -> None:
    model = model_of(family)
    done = export(model, tmp_path / "net.pt2")
    assert done.difference is not None and done.difference < 1e-6
    program = torch.export.load(tmp_path / "net.pt2").module()
    for count in (1, 3):
        given, expected = clips_and_scores(model, count)
        with torch.no_grad():
            logits, scores = program(*map(torch.from_numpy, given))
        assert logits.shape == (count, 5) and np.abs(scores.numpy() - expected).max() < 1e-6


@needs_caffe2
@pytest.mark.parametrize("family", families(*(name for name in FAMILIES if "c3d" not in name and "224" not in name)))
def test_real_caffe2_runs_the_nets(family: str, tmp_path: Path) -> None:
    runs_in_caffe2(model_of(family), tmp_path / "predict_net.pb")


@needs_caffe2
@pytest.mark.parametrize("family", [*QUICK, "mc3, convolutional"])
@pytest.mark.parametrize("form", ["net.pbtxt", "net.mdl"])
def test_real_caffe2_runs_the_other_forms(family: str, form: str, tmp_path: Path) -> None:
    runs_in_caffe2(model_of(family), tmp_path / form)


def runs_in_caffe2(model: VideoModel, path: Path) -> None:
    done = export(model, path)
    assert done.difference is not None and done.difference < 1e-6
    (output,) = done.outputs
    assert output == ("prob" if model.config.multi_label else "softmax") and list(done.inputs) == list(
        model.input_shapes
    )
    net = InCaffe2(done.paths, output, list(done.inputs))
    for count in (1, 3):
        given, expected = clips_and_scores(model, count)
        assert np.abs(net(given, Nets.of(model.config).scale) - expected).max() < 1e-5


def test_a_file_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("r2plus1d")
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
    own = VideoModel(ModelConfig("r3d", 10, 5, clip_length=8, channel_multiplier=0.1))
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
