"""VideoModel: a network of the zoo as a module of PyTorch, held against the engine and against PyTorch's habits."""

from __future__ import annotations

import copy
import gc
import inspect
import io
import os
import pickle
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.model import parallel_program
from tests.support.collector import without_collector
from tests.support.processes import ONE_THREAD, python
from tests.support.threads import on_one_thread
from vmz.checkpoints.seeded import seeded_weights
from vmz.engines.registry import open_engine
from vmz.engines.torch_engine.precision import layers_take_bf16
from vmz.errors import UsageError, VmzError
from vmz.model.module import VideoModel
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.settings.model import ModelSettings

ROOT = Path(__file__).resolve().parents[2]
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


def test_a_model_that_is_dropped_gives_its_weights_back_at_once() -> None:
    with without_collector():
        model = VideoModel(ModelConfig(**NETWORKS[0]))
        model(clips_of(model, 1))
        held = {value.data_ptr() for value in model.state_dict().values()}
        del model
        tensors = [found for found in gc.get_objects() if type(found) in (torch.Tensor, torch.nn.Parameter)]
        living = {value.data_ptr() for value in tensors if value.device.type == "cpu" and value.layout is torch.strided}
        assert len(held) > 40 and not held.intersection(living)


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


def saved_and_loaded(model: VideoModel) -> VideoModel:
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    more: dict[str, Any] = {"weights_only": False} if "weights_only" in inspect.signature(torch.load).parameters else {}
    loaded: VideoModel = torch.load(stream, **more)
    return loaded


@pytest.mark.long
@pytest.mark.parametrize("when", ["made", "trained"])
@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), saved_and_loaded],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_copies_and_pickles_are_the_same_and_apart(copied: Any, when: str) -> None:
    model = small(channel_multiplier=0.1)
    model.labels, model.source = tuple("abcde"), "own.pkl"
    model.settings = ModelSettings(model_depth=10, channel_multiplier=0.1, num_labels=5, clip_length_rgb=8)
    clips = clips_of(model)
    if when == "trained":
        model.train()(clips).sum().backward()
        model.blobs(clips, ["conv1"])
        next(model.parameters()).requires_grad_(False)
    other = copied(model)
    assert (other.labels, other.source, other.config) == (model.labels, model.source, model.config)
    assert other.settings == model.settings and other.training == model.training == (when == "trained")
    assert [value.requires_grad for value in other.parameters()] == [v.requires_grad for v in model.parameters()]
    for mode in (False, True):
        assert torch.equal(model.train(mode)(clips), other.train(mode)(clips))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        next(other.parameters()).zero_()
    assert not torch.equal(model.eval()(clips), other.eval()(clips))


def test_a_state_dict_comes_and_goes_through_a_file(tmp_path: Path) -> None:
    model = small(channel_multiplier=0.1)
    clips = clips_of(model)
    model.train()(clips)  # other statistics
    torch.save(model.state_dict(), tmp_path / "state.pth")
    other = VideoModel(model.config, seed=9)
    found = other.load_state_dict(torch.load(tmp_path / "state.pth"))
    assert not found.missing_keys and not found.unexpected_keys
    assert torch.equal(model.eval()(clips), other(clips))
    with pytest.raises(RuntimeError, match="last_out_L7_w"):
        VideoModel(replace(model.config, num_labels=7)).load_state_dict(model.state_dict())


@pytest.mark.parametrize("more", [{}, CONVOLUTIONAL, {"multi_label": True}, {**CONVOLUTIONAL, "multi_label": True}])
def test_double_precision(more: dict[str, Any]) -> None:
    model = small(channel_multiplier=0.1, **more)
    clips = clips_of(model)
    with torch.no_grad():
        wanted, scores = model(clips), model.probabilities(clips)
        model.to(torch.float64)
        found = model(clips.double())
        assert found.dtype == torch.float64 and (found - wanted).abs().max() < 1e-5 * wanted.abs().max()
        assert (model.probabilities(clips.double()) - scores).abs().max() < 1e-6
        assert model.blobs(clips.double(), ["conv1"])["conv1"].dtype == torch.float64
    with pytest.raises(UsageError, match=r"are torch\.float32, but the model's weights are torch\.float64"):
        model(clips)


def test_a_frozen_trunk_in_an_optimizer() -> None:
    model = small(channel_multiplier=0.1).train()
    clips = clips_of(model)
    model.requires_grad_(False)
    head = [name for name, _ in model.named_parameters() if name.startswith("last_out")]
    for name in head:
        model.get_parameter(name).requires_grad_(True)
    optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.1, momentum=0.9)
    before = {name: value.clone() for name, value in model.named_parameters()}
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(clips), torch.tensor([1, 3]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert [name for name, value in model.named_parameters() if not torch.equal(value, before[name])] == head
    assert all((value.grad is not None) == (name in head) for name, value in model.named_parameters())
    assert losses[2] < losses[0]
    assert sum(len(group["params"]) for group in torch.optim.AdamW(model.parameters()).param_groups) == len(before)


@pytest.mark.long
def test_autocast_and_compile() -> None:
    model = small()
    clips = clips_of(model)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(clips)
    plain = model(clips).detach()
    assert half.dtype == torch.bfloat16 and (half.float() - plain).abs().max() < 0.05 * plain.abs().max()
    if not hasattr(torch, "compile"):
        return
    compiled: Any = torch.compile(model, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(clips), plain, atol=1e-5)
    trained = compiled.train()(clips)
    assert torch.allclose(trained, copy.deepcopy(model).train()(clips), atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(torch, "compile"), reason="this PyTorch has no torch.compile")
def test_inductor() -> None:
    if not shutil.which(os.environ.get("CXX", "g++")):
        pytest.skip("inductor needs a C++ compiler")
    model = small(channel_multiplier=0.1)
    compiled: Any = torch.compile(model, fullgraph=True)
    for count in (2, 3):
        clips = clips_of(model, count)
        with torch.no_grad():
            assert torch.allclose(compiled(clips), model(clips), atol=1e-4)
    trained = compiled.train()(clips)
    trained.sum().backward()
    assert all(value.grad is not None for value in model.parameters())


@pytest.mark.long
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_data_parallel_training_gives_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    """With batch norm by running statistics those of one process; by the batch the mean over the processes."""
    command = [*python(2), "-m", "tests.model.parallel_program", str(tmp_path)]
    done = subprocess.run(command, env=ONE_THREAD, capture_output=True, text=True, cwd=ROOT, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    model = parallel_program.model()
    for mode in ("eval", "train"):
        with on_one_thread():  # as the processes: ReLUs near 0 depend on the last bits
            wanted = parallel_program.gradients(model, mode)
        for rank in range(2):
            with np.load(tmp_path / f"{mode}{rank}.npz") as found:
                assert set(found) == set(wanted)
                for name, gradient in wanted.items():
                    assert np.abs(found[name] - gradient).max() <= 1e-5 * max(1, np.abs(gradient).max()), (mode, name)


def test_blobs() -> None:
    model = small()
    clips = clips_of(model)
    found = model.blobs(clips, ["conv1", "softmax", "final_avg"])
    assert found["conv1"].shape[0] == 2 and torch.allclose(found["softmax"], model.probabilities(clips), atol=1e-6)
    with pytest.raises(VmzError, match="no blob nothing in the net"):
        model.blobs(clips, ["nothing"])
    assert list(model.features(clips)) == ["res2", "res3", "res4", "res5", "final_avg"]


SHAPE = r"this model takes a tensor \(N, 3, 8, 112, 112\): N, channels, frames, height, width"


@pytest.mark.parametrize(
    ("clips", "sentence"),
    [
        *(
            (torch.zeros(shape), rf"^the clips are \({', '.join(map(str, shape))}\), but {SHAPE}$")
            for shape in (
                (1, 2, 8, 112, 112), (1, 3, 4, 112, 112), (1, 3, 8, 128, 112), (1, 3, 8, 112, 128), (1, 8, 3, 112, 112),
                (3, 8, 112, 112), (1, 1, 3, 8, 112, 112), (0, 3, 8, 112, 112),
            )
        ),
        (np.zeros((1, 3, 8, 112, 112), np.float32), rf"^the clips are a NumPy array; torch.from_numpy .*; {SHAPE}$"),
        ([[1.0]], rf"^the clips are no tensor; {SHAPE}$"),
        (torch.zeros(1, 3, 8, 112, 112, dtype=torch.uint8), "are torch.uint8, but this model takes normalised"),
        (torch.zeros(1, 3, 8, 112, 112, dtype=torch.bool), "are torch.bool, but this model takes normalised"),
        (torch.zeros(1, 3, 8, 112, 112).double(), r"are torch.float64, but the model's weights are torch.float32; use"),
        (torch.zeros(1, 3, 8, 112, 112).half(), r"are torch.float16, .*; use clips.to\(torch.float32\)$"),
    ],
    ids=lambda value: str(tuple(value.shape)) + str(value.dtype) if hasattr(value, "shape") else "",
)  # fmt: skip
def test_wrong_clips(clips: Any, sentence: str) -> None:
    model = never_changed()
    for call in (model, model.probabilities, model.features, lambda data: model.blobs(data, ["conv1"])):
        with pytest.raises(UsageError, match=sentence):
            call(clips)


@cache
def never_changed() -> VideoModel:
    return small(channel_multiplier=0.1)


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


@pytest.mark.skipif(not layers_take_bf16(), reason="this PyTorch has not all layers in bf16")
def test_a_model_in_bf16() -> None:
    """Its scores are float32 and near those in fp32; gradients reach its parameters, which are float32."""
    full = small()
    half = VideoModel(full.config, full.weights(), settings=ModelSettings(precision="bf16"))
    clips = clips_of(full)
    with torch.no_grad():
        expected, found = full.probabilities(clips), half.probabilities(clips)
        blobs = half.blobs(clips, ["conv1"])
    assert found.dtype == blobs["conv1"].dtype == torch.float32
    assert 0 < float((expected - found).abs().max()) < 0.01
    half(clips).sum().backward()
    assert all(value.grad is not None and value.dtype == torch.float32 for value in half.parameters())
    assert full.precision == "fp32" and half.precision == "bf16"
