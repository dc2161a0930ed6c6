"""The audio-visual networks: every recorded blob of the original on both engines, and what is refused."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.recordings import golden_names, golden_path, needs_shared
from tests.support.generated_weights import generated_weights, weights_sha256
from vmz.engines.registry import open_engine
from vmz.errors import UsageError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build

NETS = sorted(Path(name).stem for name in golden_names("av/nets/*.json"))
# Largest difference over the largest value of a blob, as in engines/torch_engine/test_against_caffe2.py.
# The recordings' README gives 2e-6 for other kernels on ten nets; batch norms folded into weights round once more.
TOLERANCE = 3e-6


def inputs_of(recorded: dict[str, Any], labels: int) -> dict[str, np.ndarray]:
    """The blobs fed, by the rule that the recordings' README gives."""
    batch = recorded["data_shape"][0]
    fed = {"data": np.random.RandomState(2000).randn(*recorded["data_shape"]).astype(np.float32)}
    if recorded["logmels_shape"]:
        fed["logmels"] = np.random.RandomState(2001).randn(*recorded["logmels_shape"]).astype(np.float32)
    random = np.random.RandomState(2002)
    if recorded["build_args"]["multi_label"]:
        fed["label"] = (random.rand(batch, labels) < 0.3).astype(np.int32)
    else:
        fed["label"] = random.randint(0, labels, batch).astype(np.int32)
    assert fed["label"].tolist() == recorded["label"]
    return fed


@needs_shared
@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NETS)
def test_every_recorded_blob(name: str, engine: str) -> None:
    recorded = json.loads(golden_path(f"av/nets/{name}.json").read_text())
    with np.load(golden_path(f"av/nets/{name}.npz")) as arrays:
        whole = {blob: arrays[blob] for blob in arrays}
    model = build(ModelConfig.from_mapping(recorded["build_args"]), net_name=recorded["net_name"])
    weights = generated_weights([*model.params, *model.computed_params])
    assert weights_sha256(weights) == recorded["weights_sha256"]
    assert len(model.net.op) == recorded["n_ops"]
    with open_engine(engine) as opened:
        opened.load(model.param_init_net, model.net, weights, keep=[model.blob(blob) for blob in recorded["blobs"]])
        for blob, array in inputs_of(recorded, model.config.num_labels).items():
            opened.feed(model.blob(blob), array)
        opened.run()
        found = {blob: opened.fetch(model.blob(blob)) for blob in recorded["blobs"]}
    logits = np.abs(found[model.config.last_layer]).max()
    for blob, figures in recorded["blobs"].items():
        # A rounding d of the largest logit L is a share d * L of a score: a softmax's is its exponential.
        scores = blob.endswith(("softmax", "prob", "softmax_unreduced"))
        check(blob, found[blob], figures, whole.get(blob), TOLERANCE * (max(1.0, logits) if scores else 1.0))
    assert len(found) >= 5


def check(blob: str, found: np.ndarray, figures: dict[str, Any], whole: Any, tolerance: float) -> None:
    assert list(found.shape) == figures["shape"], blob
    if whole is None:
        picked = np.random.RandomState(zlib.crc32(blob.encode()) & 0x7FFFFFFF).randint(0, max(found.size, 1), 64)
        whole = figures["values"] if "values" in figures else figures["sample_values"]
        found = found.reshape(-1) if "values" in figures else found.reshape(-1)[picked]
    expected = np.asarray(whole, np.float64).reshape(found.shape)
    largest = max(np.abs(expected).max(), abs(figures["mean"]) + figures["std"])
    assert np.abs(expected - found).max() <= tolerance * largest, blob


def small(**given: Any) -> ModelConfig:
    return ModelConfig(**{"model_name": "av_resnet-r3d", "clip_length": 8, "num_labels": 5, **given})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "given",
    [
        {"g_blend": True, "audio_weight": 0.1, "visual_weight": 0.6, "av_weight": 0.3},
        {"g_blend": True, "audio_weight": 0.1, "visual_weight": 0.6, "av_weight": 0.3, "multi_label": True},
    ],
    ids=["one label", "several labels"],
)
def test_the_loss_is_the_weighted_sum_of_three(given: dict[str, Any], engine: str) -> None:
    model = build(small(channel_multiplier=0.25, loss_scale=0.5, **given))
    random = np.random.RandomState(0)
    label = random.randint(0, 2, (2, 5)) if model.config.multi_label else random.randint(0, 5, 2)
    with open_engine(engine) as opened:
        opened.load(model.param_init_net, model.net, seed=1)
        for blob, shape in model.input_shapes(2).items():
            opened.feed(blob, random.randn(*shape).astype(np.float32))
        opened.feed(model.blob("label"), label.astype(np.int32))
        opened.run()
        parts = {name: opened.fetch(model.blob(name)) for name in ("a_loss", "v_loss", "av_loss", "loss")}
        unscaled = opened.fetch(model.blob("a_unscaled_loss"))
    assert model.loss == model.blob("loss") and parts["a_loss"] == pytest.approx(0.5 * unscaled)
    assert parts["loss"].shape == ((2,) if model.config.multi_label else ())
    expected = 0.1 * parts["a_loss"] + 0.6 * parts["v_loss"] + 0.3 * 0.5 * parts["av_loss"]
    assert parts["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("depth", [18, 26, 34, 50, 68, 101, 152])
@pytest.mark.parametrize("name", ["a_resnet", "av_resnet-r2plus1d", "av_resnet-r3d", "av_resnet-ip-csn"])
def test_every_depth_has_shapes_that_fit(name: str, depth: int) -> None:
    model = build(small(model_name=name, model_depth=depth))
    shapes = {cost.blob: cost.shape for cost in model.costs()}
    channels = 2048 if depth > 34 else 512
    pooled = "final_avg" if name == "a_resnet" else "a_final_avg"
    assert shapes[model.blob(pooled)] == (1, channels, 1, 1)
    assert shapes[model.prediction] == (1, 5)


def test_the_fully_convolutional_one_repeats_the_sound_at_each_position() -> None:
    model = build(small(model_name="av_resnet-ip-csn", model_depth=50, crop_size=256, use_convolutional_pred=True))
    shapes = {cost.blob: cost.shape for cost in model.costs()}
    assert shapes[model.blob("a_final_avg_3D_tiled_2")] == (1, 2048, 1, 3, 3)
    assert shapes[model.blob("av_fc1")] == (1, 2048, 1, 3, 3) and model.loss is None


def names(model: Model) -> list[str]:
    return [blob for blob, _ in model.params]


def test_weights_outside_of_the_trunks() -> None:
    model = build(small(g_blend=True), scope="")
    heads = {"last_out_L5_w", "last_out_L5_b", "a_last_out_L5_w", "v_last_out_L5_w", "av_fc1_w", "av_fc2_b"}
    assert heads <= set(names(model)) and "a_pred_logit_w" not in names(model)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model_depth": 10}, "model_depth is 10, but model_name av_resnet-r3d accepts 18 or 26"),
        (
            {"model_name": "av_resnet-ir-csn", "model_depth": 18},
            "av_resnet-ir-csn accepts 26 or 50 or 68 or 101 or 152",
        ),
        ({"model_name": "r3d", "g_blend": True}, "g_blend is 1, but model_name r3d accepts 0"),
        ({"model_name": "a_resnet", "g_blend": True}, "g_blend is 1, but model_name a_resnet accepts 0"),
        ({"model_name": "r3d", "audio_input_3d": True}, "audio_input_3d is 1, but model_name r3d accepts 0"),
        ({"use_dropout": True}, "use_dropout is 1, but model_name av_resnet-r3d accepts 0"),
        ({"g_blend": True, "crop_size": 128, "use_convolutional_pred": True}, "cannot be used with g_blend"),
        ({"audio_weight": -1.0}, "audio_weight is -1.0, but a weight of a loss is from 0 to 1e+06"),
        ({"av_weight": float("nan")}, "av_weight is nan, but a weight of a loss is from 0"),
        ({"model_name": "av_resnet_r3d"}, "did you mean av_resnet-r3d?"),
    ],
    ids=str,
)
def test_what_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as raised:
        small(**given)
    assert says in str(raised.value)
