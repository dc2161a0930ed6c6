"""model.save: of every form the same model comes back, to the bit, on both engines and in the tools."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vmz
from tests.model.saved_models import (
    CLIPS,
    ENGINES,
    LABELS,
    NETWORK,
    needs_safetensors,
    own_checkpoint,
    private_zoo,
    weights_of,
)
from vmz.cli.test_net import configuration
from vmz.errors import UsageError, VmzError
from vmz.model.module import VideoModel
from vmz.model.saving import FLAGS
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.settings.network import model_config
from vmz.training.config import TrainConfig

FORMS = [
    "own.pkl", "own.mdl", "own.pth", pytest.param("own.safetensors", marks=needs_safetensors),
    pytest.param("folder", marks=needs_safetensors),
]  # fmt: skip
CHANGED: dict[str, Any] = {"clip_per_video": 2, "crop_per_clip": 3, "aggregation": 1, "autorotate": 1}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return own_checkpoint(tmp_path_factory.mktemp("own") / "trained.pkl")


def loaded(path: Any, engine: str = "pytorch", **arguments: Any) -> Any:
    """Without a word: nothing differs."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return vmz.load_model(path, engine=engine, device="cpu", **arguments)


def changed(path: str, engine: str) -> Any:
    with pytest.warns(UserWarning, match="--crop_per_clip=3 instead of 1"):
        return vmz.load_model(path, engine=engine, device="cpu", **CHANGED)


def assert_same(found: Any, model: Any) -> None:
    before, after = model.weights(), found.weights()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[blob], after[blob]) for blob in before)
    assert found.config == model.config and found.labels == model.labels
    assert found.features_only == model.features_only
    flags, same = model.settings.flags(), found.settings.flags()
    assert {name: same[name] for name in FLAGS} == {name: flags[name] for name in FLAGS}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_it_comes_back(form: str, engine: str, checkpoint: str, tmp_path: Path) -> None:
    model = changed(checkpoint, engine)
    model.save(tmp_path / form)
    again = loaded(tmp_path / form, engine)
    assert_same(again, model)
    clips = np.random.RandomState(0).randn(1, *model.clip_shape).astype(np.float32)
    assert np.array_equal(model.score(clips), again.score(clips))

    test = configuration([f"--load_model_path={tmp_path / form}", "--test_data=none"])
    assert {name: test.flags()[name] for name in FLAGS} == {
        name: value for name, value in model.settings.flags().items() if name in FLAGS
    }
    assert test.labels == tuple(LABELS) and test.resolution is not None and not test.resolution.differences
    again.save(tmp_path / form)  # over itself
    assert_same(loaded(tmp_path / form, engine), model)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("engine", ENGINES)
def test_without_a_classifier_and_with_a_new_one(engine: str, checkpoint: str, tmp_path: Path) -> None:
    none = loaded(checkpoint, engine, num_classes=0)
    none.save(tmp_path / "none.pkl")
    again = loaded(tmp_path / "none.pkl", engine)
    assert_same(again, none)
    assert again.features_only and not [blob for blob in again.weights() if blob.startswith("last_out")]
    clips = np.random.RandomState(0).randn(1, *none.clip_shape).astype(np.float32)
    given: Any = torch.from_numpy(clips) if engine == "pytorch" else clips
    assert tuple(none(given).shape) == tuple(again(given).shape) == (1, 51)
    assert np.array_equal(np.asarray(none(given).tolist()), np.asarray(again(given).tolist()))
    with pytest.raises(UsageError, match="the model has no classifier"):
        again.predict(np.zeros((40, 128, 171, 3), np.uint8))
    test = configuration([f"--load_model_path={tmp_path / 'none.pkl'}"])
    with pytest.raises(VmzError, match=r"none.pkl was saved without a classifier \(num_classes=0\)"):
        test.fitted_weights(build(model_config(test)))

    five = loaded(tmp_path / "none.pkl", engine, num_classes=5)
    five.save(tmp_path / "five.mdl")
    again = loaded(tmp_path / "five.mdl", engine)
    assert_same(again, five)
    assert again.config.num_labels == 5 and again.labels is None


@pytest.mark.parametrize("engine", ENGINES)
def test_the_published_protocol_and_the_head_that_trains(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMZ_ZOO", str(private_zoo(tmp_path / "zoo")))
    model = loaded("our_r3d", engine)
    assert model.config.use_convolutional_pred and model.settings.crop_per_clip == 3 and model.settings.aggregation == 1
    model.save(tmp_path / "saved.pkl")
    monkeypatch.delenv("VMZ_ZOO")
    again = loaded(tmp_path / "saved.pkl", engine)
    assert_same(again, model)
    assert again.clip_shape == (3, 8, 128, 128)

    plain = loaded(tmp_path / "saved.pkl", engine, head="plain")
    assert plain.clip_shape == (3, 8, 112, 112) and plain.settings.crop_per_clip == 1
    assert np.array_equal(plain.weights()["last_out_L4_w"], weights_of()["last_out_L4_w"])
    new = loaded(tmp_path / "saved.pkl", engine, num_classes=7)
    assert new.config.num_labels == 7 and new.clip_shape == (3, 8, 112, 112)
    fast = configuration([f"--load_model_path={tmp_path / 'saved.pkl'}", "--protocol=fast"])
    assert (fast.crop_size, fast.use_convolutional_pred, fast.crop_per_clip) == (112, 0, 1)
    train = TrainConfig.resolved(load_model_path=str(tmp_path / "saved.pkl"))
    assert (train.crop_size, train.use_convolutional_pred, train.model_depth) == (112, 0, 10)


def test_one_that_was_made_by_hand(tmp_path: Path) -> None:
    config = ModelConfig(**NETWORK, clip_length=8, multi_label=True)
    model = VideoModel(config, seed=3)
    model.save(tmp_path / "made.mdl")
    again = loaded(tmp_path / "made.mdl")
    assert again.config == model.config and again.labels is None
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_figures_stay_with_the_weights_that_they_are_of(checkpoint: str, tmp_path: Path) -> None:
    model = loaded(checkpoint)
    model.save(tmp_path / "same.pkl")
    with torch.no_grad():
        next(model.parameters()).add_(1)
    model.save(tmp_path / "trained_on.pkl")
    same, other = (vmz.load_checkpoint(tmp_path / name).about for name in ("same.pkl", "trained_on.pkl"))
    assert same["metrics"]["figures"] == {"video@1": 0.75} and "metrics" not in other
    assert same["saved"]["source"] == other["saved"]["source"] == "trained.pkl"


@needs_safetensors
def test_the_folder(checkpoint: str, tmp_path: Path) -> None:
    model = changed(checkpoint, "pytorch")
    folder = tmp_path / "mine"
    model.save(folder)
    assert sorted(os.listdir(folder)) == [
        "README.md", "config.json", "labels.json", "model.safetensors", "preprocessor_config.json",
    ]  # fmt: skip
    config, clips, labels = (
        json.loads((folder / name).read_text()) for name in ("config.json", "preprocessor_config.json", "labels.json")
    )
    assert config["network"]["model_name"] == "r3d" and config["network"]["channel_multiplier"] == 0.1
    assert labels == LABELS and clips["mean"] == [110.201, 100.64, 95.9966]
    wanted = {"clip_length_rgb": 8, "scale_w": CLIPS["scale_w"], "sampling_rate_rgb": 2, "crop_size": 112, **CHANGED}
    assert {name: clips["clips"][name] for name in wanted} == wanted
    card = (folder / "README.md").read_text()
    assert f'vmz.load_model("{folder}")' in card and "video@1 | 0.7500" in card and "back, forth, left, right" in card

    (folder / "README.md").write_text(card.replace("## Use", "## How we use it"))
    with pytest.warns(UserWarning, match="README.md is not the text that VMZ wrote; it is kept"):
        model.save(folder)
    assert "How we use it" in (folder / "README.md").read_text()
    shutil.copytree(folder, tmp_path / "moved")
    assert_same(loaded(f"local-dir:{tmp_path / 'moved'}"), model)
    assert_same(loaded(folder / "model.safetensors"), model)  # the file says all about itself, too


def test_refused_in_a_sentence(checkpoint: str, tmp_path: Path) -> None:
    model = loaded(checkpoint)
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").write_text("")
    (tmp_path / "file").write_text("")
    for target, sentence in (
        ("own.onnx", r"cannot save a model as .*own.onnx: the extension must be .pkl, .mdl"),
        ("films", "films is not a folder of a model, and it is not empty: it contains a.mp4"),
        ("file", "file is a file; give a folder"),
        ("file/", "file/ is a file; give a folder"),
    ):
        with pytest.raises(UsageError, match=sentence):
            model.save(f"{tmp_path}/{target}")
    with pytest.raises((UsageError, VmzError), match="nowhere"):
        model.save(tmp_path / "nowhere" / "own.pkl")
    with pytest.raises((UsageError, VmzError), match=r"nowhere|safetensors"):
        model.save(tmp_path / "nowhere" / "folder")
    assert sorted(os.listdir(tmp_path)) == ["file", "films"]


@pytest.mark.skipif(bool(needs_safetensors.args[0]) is False, reason="the package safetensors is here")
def test_without_the_package(checkpoint: str, tmp_path: Path) -> None:
    model = loaded(checkpoint)
    for name in ("own.safetensors", "folder"):
        with pytest.raises(UsageError, match=r"needs the package safetensors: pip install 'vmz\[hub\]'"):
            model.save(tmp_path / name)
    assert not os.listdir(tmp_path)
