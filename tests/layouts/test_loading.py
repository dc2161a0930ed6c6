"""Files of other libraries where VMZ takes weights: load_checkpoint, load_model, the tools on both engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vmz
from tests.engines.real_caffe2 import needs_caffe2
from tests.layouts.modules import VideoResNet, factorised, full, randomised
from tests.layouts.test_conversion import CLASSES, clip, random_weights
from tests.support.in_process import tool
from vmz.checkpoints.loading import save
from vmz.errors import UsageError, VmzError
from vmz.layouts.loading import load
from vmz.model.module import VideoModel
from vmz.models.config import ModelConfig

ENGINES = ["pytorch", pytest.param("caffe2", marks=needs_caffe2)]
ABOUT = {"labels": [f"class {label}" for label in range(CLASSES)]}


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    return randomised(VideoResNet(factorised, 18, CLASSES))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("old", [False, True])
def test_load_model_takes_the_file_as_it_is(tmp_path: Path, module: Any, engine: str, old: bool) -> None:
    path = tmp_path / "r2plus1d_18.pth"
    content = {"epoch": 3, "model": {f"module.{key}": value for key, value in module.state_dict().items()}}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    model: Any = vmz.load_model(str(path), clip_length=8, engine=engine, device="cpu")
    assert (model.config.model_name, model.config.model_depth, model.config.num_labels) == ("r2plus1d", 18, CLASSES)
    clips = clip(8).float()
    with torch.no_grad():
        expected = torch.softmax(module(clips), 1).numpy()
        assert np.abs(model.score(clips.numpy()) - expected).max() < 1e-5


def test_the_epsilon_reaches_load_model(tmp_path: Path) -> None:
    module = randomised(VideoResNet(full, 18, CLASSES), eps=1e-5)
    path = tmp_path / "r3d_18.pth"
    torch.save(module.state_dict(), path)
    with pytest.raises(UsageError, match=r"r3d_18\.pth is r3d-18 in .* torchvision, but does not say.*--eps="):
        vmz.load_model(str(path), device="cpu")
    model: Any = vmz.load_model(str(path), clip_length=8, device="cpu", eps=1e-5)
    with torch.no_grad():
        expected, found = module(clip(8).float()), model(clip(8).float())
    assert float((expected - found).abs().max() / expected.abs().max()) < 1e-4
    assert tool("print_net.py")([f"--load_model_path={path}", "--eps=1e-5"]) == 0


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_converted_file_says_its_epsilon_and_keeps_the_labels(tmp_path: Path, suffix: str) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    blobs = random_weights("r3d", 18)
    save(tmp_path / "ours.pkl", blobs, about=ABOUT)
    path = tmp_path / f"theirs{suffix}"
    vmz.convert(tmp_path / "ours.pkl", "torchvision", eps=1e-5).save(path)
    found = load(path)
    assert found.about == ABOUT and sorted(found.blobs) == sorted(blobs)
    for name, array in blobs.items():
        np.testing.assert_allclose(found.blobs[name], array, rtol=1e-6)
    with pytest.raises(UsageError, match=r"would be a pickle, which has blob names; name .* \*\.pth"):
        vmz.convert(tmp_path / "ours.pkl", "torchvision").save(tmp_path / "x.pkl")


def test_pytorch_loads_what_is_converted(tmp_path: Path, module: Any) -> None:
    blobs = vmz.convert_from(module.state_dict()).tensors
    vmz.convert(blobs, "ig65m").save(tmp_path / "a.pth")
    state = torch.load(tmp_path / "a.pth")
    fresh = VideoResNet(factorised, 18, CLASSES)
    fresh.load_state_dict(state)
    assert '"eps": 0.001' in state._metadata[""]["vmz"]
    for key, value in fresh.state_dict().items():
        assert key.endswith("num_batches_tracked") or torch.equal(value, module.state_dict()[key])


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_our_own_state_dict(tmp_path: Path, suffix: str) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    model = VideoModel(ModelConfig("r3d", 10, num_labels=CLASSES, clip_length=8, channel_multiplier=0.1))
    save(tmp_path / f"a{suffix}", model.weights(), about=ABOUT)
    again: Any = vmz.load_model(str(tmp_path / f"a{suffix}"), clip_length=8, device="cpu")
    assert again.labels == tuple(ABOUT["labels"])
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    if suffix != ".safetensors":
        torch.save({f"module.{key}": value for key, value in model.state_dict().items()}, tmp_path / f"a{suffix}")
        assert sorted(vmz.load_checkpoint(str(tmp_path / f"a{suffix}")).blobs) == sorted(model.state_dict())


def test_values_are_checked_under_their_names_here(tmp_path: Path, module: Any) -> None:
    state = dict(module.state_dict())
    state["layer1.0.conv1.1.running_var"] = -torch.ones(64)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(VmzError, match=r"comp_0_spatbn_1_riv \(64 negative, as a variance, of 64 values\)"):
        load(tmp_path / "a.pth")
