"""VideoModel: a network of the zoo as a module of PyTorch, held against the engine and against PyTorch's habits."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from vmz.checkpoints.seeded import seeded_weights
from vmz.engines.registry import open_engine
from vmz.errors import UsageError, VmzError
from vmz.model.module import VideoModel
from vmz.models.config import ModelConfig
from vmz.models.registry import build

SMALL: dict[str, Any] = {"clip_length": 8, "num_labels": 5, "channel_multiplier": 0.25}
CONVOLUTIONAL: dict[str, Any] = {"use_convolutional_pred": True, "crop_size": 128}
NETWORKS: tuple[dict[str, Any], ...] = (
    {"model_name": "r2plus1d", "model_depth": 10, **SMALL},
    {"model_name": "mc3", "model_depth": 18, **SMALL},
    {"model_name": "ip-csn", "model_depth": 26, "channel_multiplier": 1.0, "num_labels": 5, "clip_length": 8},
    {"model_name": "r3d", "model_depth": 10, "multi_label": True, **SMALL},
    {"model_name": "r2plus1d", "model_depth": 10, "use_convolutional_pred": True, "crop_size": 128, **SMALL},
    {
        "model_name": "r3d",
        "model_depth": 10,
        "use_convolutional_pred": True,
        "crop_size": 128,
        "multi_label": True,
        **SMALL,
    },
)


def weights_of(config: ModelConfig) -> dict[str, np.ndarray]:
    model = build(config, scope="")
    return seeded_weights([*model.params, *model.computed_params], seed=3)


def clips_of(model: VideoModel, count: int = 2) -> torch.Tensor:
    return torch.randn(count, *model.clip_shape, generator=torch.Generator().manual_seed(1))


def small(**changes: Any) -> VideoModel:
    config = ModelConfig(**{**NETWORKS[0], **changes})
    return VideoModel(config, weights_of(config))


@pytest.mark.parametrize("arguments", NETWORKS, ids=lambda arguments: "-".join(map(str, arguments.values())))
def test_it_scores_as_the_engine_does(arguments: dict[str, Any]) -> None:
    config = ModelConfig(**arguments)
    weights = weights_of(config)
    model = VideoModel(config, weights)
    clips = clips_of(model)
    net = build(ModelConfig(**{**arguments, "batch_size": -1}))
    with open_engine("pytorch", "cpu") as engine:
        engine.load(net.param_init_net, net.net, weights)
        engine.feed("data", clips.numpy())
        if not (config.multi_label and config.use_convolutional_pred):
            engine.feed("label", np.zeros((2, 5) if config.multi_label else (2,), np.int32))
        engine.run()
        expected = engine.fetch(net.prediction).reshape(2, -1)
        final = engine.fetch("final_avg")
    with torch.no_grad():
        found = model.probabilities(clips).numpy()
        assert np.abs(model.features(clips)["final_avg"].numpy() - final).max() < 1e-5 * np.abs(final).max()
        logits = model(clips)
    scale = 1 if config.multi_label else found.sum(1, keepdims=True) / expected.sum(1, keepdims=True)
    assert np.abs(found - expected * scale).max() < 1e-6
    assert config.multi_label or np.allclose(found.sum(1), 1, atol=1e-5)
    assert logits.shape == (2, 5) and torch.isfinite(logits).all()
    if not config.use_convolutional_pred and not config.multi_label:
        assert np.allclose(torch.softmax(logits, 1).numpy(), expected, atol=1e-6)


def test_its_state_dict_is_by_blob_name() -> None:
    model = small()
    net = build(model.config, scope="")
    assert sorted(model.state_dict()) == sorted(net.all_params)
    assert {name for name, _ in model.named_parameters()} == {name for name, _ in net.params}
    other = VideoModel(model.config, seed=9)
    clips = clips_of(model)
    assert not torch.allclose(model(clips), other(clips))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(clips), other(clips))


def test_train_and_eval() -> None:
    model, clips = small(), clips_of(small(), 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    still = model(clips)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    trained = model.train()(clips)
    moved = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert moved and all(name.endswith(("_rm", "_riv")) for name in moved) and not torch.allclose(still, trained)
    trained.sum().backward()
    assert all(value.grad is not None for value in model.parameters())
    with pytest.raises(
        UsageError, match="the fully convolutional head is for testing only; load the model with head='plain'"
    ):
        small(use_convolutional_pred=True, crop_size=128).train()


def test_copies_and_pickles_are_the_same_and_apart() -> None:
    model = small()
    clips = clips_of(model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(model(clips), other(clips))
        with torch.no_grad():
            next(other.parameters()).zero_()
        assert not torch.equal(model(clips), other(clips))


def test_autocast_and_compile() -> None:
    model = small()
    clips = clips_of(model)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(clips)
    plain = model(clips).detach()
    assert half.dtype == torch.bfloat16 and (half.float() - plain).abs().max() < 0.05 * plain.abs().max()
    if not hasattr(torch, "compile"):
        return
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(clips), plain, atol=1e-5)
    trained = compiled.train()(clips)
    assert torch.allclose(trained, copy.deepcopy(model).train()(clips), atol=1e-4)


def test_blobs() -> None:
    model = small()
    clips = clips_of(model)
    found = model.blobs(clips, ["conv1", "softmax", "final_avg"])
    assert found["conv1"].shape[0] == 2 and torch.allclose(found["softmax"], model.probabilities(clips), atol=1e-6)
    with pytest.raises(VmzError, match="no blob nothing in the net"):
        model.blobs(clips, ["nothing"])
    assert list(model.features(clips)) == ["res2", "res3", "res4", "res5", "final_avg"]


@pytest.mark.parametrize(
    ("clips", "sentence"),
    [
        (
            torch.zeros(1, 3, 4, 112, 112),
            r"the clips are \(1, 3, 4, 112, 112\), but this model takes a tensor \(N, 3, 8, 112, 112\)",
        ),
        (torch.zeros(3, 8, 112, 112), "but this model takes a tensor"),
        (np.zeros((1, 3, 8, 112, 112), np.float32), "but this model takes a tensor"),
        (
            torch.zeros(1, 3, 8, 112, 112, dtype=torch.uint8),
            "are torch.uint8, but this model takes normalised",
        ),
    ],
)
def test_wrong_clips(clips: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        small()(clips)


def test_without_a_classifier() -> None:
    config = ModelConfig(**NETWORKS[0])
    model = VideoModel(config, weights_of(config), features_only=True)
    clips = clips_of(model)
    whole = small()
    assert torch.equal(model(clips), whole.blobs(clips, ["final_avg"])["final_avg"].flatten(1))
    assert not [name for name in model.state_dict() if name.startswith("last_out")]
    with pytest.raises(UsageError, match="the model has no classifier"):
        model.probabilities(clips)
    assert torch.equal(copy.deepcopy(model)(clips), model(clips))


def test_weights_of_another_network() -> None:
    config = ModelConfig(**NETWORKS[0])
    weights = {**weights_of(config), "conv1_w": np.zeros((1, 2), np.float32)}
    with pytest.raises(UsageError, match=r"blob conv1_w has shape .* in the network, not \(1, 2\)"):
        VideoModel(config, weights)
