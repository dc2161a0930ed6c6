"""Networks whose values overflow in some clips: in these alone, and in none in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engines.real_caffe2 import ENGINES, needs_caffe2
from tests.support.motion import write_motion_database
from tests.support.optionals import present
from vmz.checkpoints.seeded import seeded_weights
from vmz.engines.registry import open_engine
from vmz.engines.torch_engine.engine import TorchEngine
from vmz.engines.torch_engine.graph import overflow
from vmz.engines.torch_engine.graph.passes import has_fused_convolutions
from vmz.engines.torch_engine.precision import layers_take_bf16
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.inputs import VideoSource

CLIPS = np.random.RandomState(0).uniform(-1, 1, (3, 3, 4, 112, 112)).astype(np.float32)


ENGINES_AND_PRECISIONS = [
    ("pytorch", "fp32"),
    ("pytorch", "bf16"),
    pytest.param("caffe2", "fp32", marks=needs_caffe2),
]


@pytest.fixture(scope="module")
def model() -> Model:
    return build(ModelConfig("r2plus1d", 10, 3, clip_length=4, channel_multiplier=0.1), is_test=True)


def weights(model: Model, scale: float = 1.0, norms: int = 0) -> dict[str, np.ndarray]:
    """Random ones, without any offset; the first `norms` batch norms multiply by `scale` more."""
    found = seeded_weights([*model.params, *model.computed_params], 1)
    found.update({name: array * 0 for name, array in found.items() if name.endswith(("_b", "_rm"))})
    for name in [name for name in found if name.endswith("_s")][:norms]:
        found[name] = found[name] * np.float32(scale)
    return found


@pytest.mark.parametrize("engine, precision", ENGINES_AND_PRECISIONS)
@pytest.mark.parametrize("scale, norms", [(100.0, 4), (1e4, 12), (1e20, 2)])
def test_a_clip_that_overflows_is_not_a_number_and_the_others_are_themselves(
    engine: str, precision: str, scale: float, norms: int, model: Model
) -> None:
    if precision == "bf16" and not layers_take_bf16():
        pytest.skip("this PyTorch has not all layers in bf16")
    clips = CLIPS.copy()
    clips[0] = 0  # the first clip of the first batch is fine
    clips[2] *= np.float32(1e-30)
    with open_engine(engine, "cpu", precision) as runs:
        runs.load(model.param_init_net, model.net, weights(model, scale, norms), keep=[model.prediction])
        runs.feed("data", clips)
        runs.feed("label", np.zeros(3, np.int32))
        runs.run()
        found = runs.fetch(model.prediction)
        runs.feed("data", clips[[0, 2, 0]])
        runs.run()
        alone = runs.fetch(model.prediction)
    if scale == 100.0:  # large, yet no overflow
        assert np.isfinite(found).all()
    else:
        assert np.isnan(found[1]).any() and np.isfinite(found[[0, 2]]).all(), found
    assert np.isfinite(alone).all()
    near = 1e-5 if precision == "fp32" else 0.02  # beside a clip that overflows the batch is computed in float32
    np.testing.assert_allclose(found[[0, 2]], alone[:2], atol=near)


POOLED = {
    "c3d": ModelConfig("c3d", 10, 3, clip_length=16),
    "r3d with pool1": ModelConfig("r3d", 10, 3, crop_size=224, clip_length=4, channel_multiplier=0.1, use_pool1=True),
    "r2plus1d with pool1": ModelConfig(
        "r2plus1d", 10, 3, crop_size=224, clip_length=4, channel_multiplier=0.1, use_pool1=True
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("config", POOLED.values(), ids=POOLED)
def test_no_pool_hides_what_overflows_before_it(engine: str, config: ModelConfig) -> None:
    """One channel, in the second clip alone. With the wheel's own MaxPool that clip of C3D scores 1, 0, 0."""
    model = build(config, is_test=True)
    given = weights(model)
    convolution = next(name for name in given if name.startswith("conv1") and name.endswith("_w"))
    scale = next(name for name in given if name.startswith("conv1") and name.endswith("_s"))
    given[convolution][0] = 1e38
    if engine == "caffe2":  # inf * 0 is NaN; the PyTorch engine scales the weights instead: nothing would overflow
        given[scale][0] = 0
    side = config.crop_size
    clips = np.random.RandomState(0).uniform(-1, 1, (2, 3, config.clip_length, side, side)).astype(np.float32)
    clips[0] = 0
    with open_engine(engine, "cpu") as runs:
        runs.load(model.param_init_net, model.net, given, keep=[model.prediction])
        runs.feed("data", clips)
        runs.feed("label", np.zeros(2, np.int32))
        runs.run()
        found = runs.fetch(model.prediction)
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).any(), found


@pytest.mark.skipif(not has_fused_convolutions(), reason="needs oneDNN's fused convolutions")
def test_measuring_changes_no_result_and_little_is_measured(model: Model) -> None:
    results = []
    for limit in (overflow.LIMIT, None):
        engine = TorchEngine()
        engine.load(model.param_init_net, model.net, weights(model), keep=[model.prediction])
        engine.feed("data", CLIPS)
        if limit is None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(overflow, "guarded", lambda module, optimized: optimized)
                engine.run()
        else:
            engine.run()
            names = [node.name for node in present(engine._module).graph.nodes if node.target is overflow.largest]
            assert 1 <= len(names) <= 4
        results.append(engine.fetch(model.prediction))
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.skipif(not has_fused_convolutions(), reason="needs oneDNN's fused convolutions")
def test_a_net_with_a_reader_is_optimized_too(model: Model, tmp_path: Path) -> None:
    """Its StopGradient stands between the clips and the first layer: once it kept evaluations from the fast graph."""
    data = write_motion_database(tmp_path / "db")
    reader = {"batch_size": 2, "length_rgb": model.config.clip_length, "crop_size": model.config.crop_size}
    source = VideoSource(str(data), {**reader, "scale_h": 128, "scale_w": 171, "wrap_around": 0, "decode_type": 1})
    read = build(model.config, source=source)
    assert any(op.type == "StopGradient" for op in read.net.op)
    with TorchEngine() as engine:
        engine.load(read.param_init_net, read.net, weights(model), keep=[read.prediction])
        engine.run()
        assert engine._module is not engine._imported
        targets = [str(node.target) for node in present(engine._module).graph.nodes]
        assert any("mkldnn" in target for target in targets)


def test_the_largest_value() -> None:
    assert float(overflow.largest(torch.tensor([[-3.0, 2.0]]))) == 3
    assert np.isnan(float(overflow.largest(torch.tensor([[-3.0, np.nan]]))))
    assert float(overflow.largest(torch.zeros(0, 3))) == 0
    clips = torch.rand(2, 3, 4, 5, 5)
    clips[1, 2, 3, 4, 0] = 7
    for laid_out in (clips, clips.contiguous(memory_format=torch.channels_last_3d)):
        assert float(overflow.largest(laid_out)) == float(overflow.largest(laid_out, True)) == 7
        assert float(overflow.largest(-laid_out)) == 7
    clips[0] = np.nan
    assert np.isnan(float(overflow.largest(clips, True)))
    assert overflow.is_sound(torch.tensor([1.0, 2.0])) and not overflow.is_sound(torch.tensor([1.0, np.nan]))
    assert not overflow.is_sound(torch.tensor([np.inf]))
