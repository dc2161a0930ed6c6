"""Nets in 16 bits: which values are rounded, which are not, and by how much results move."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.engines.small_nets import clip, net, op
from tests.engines.torch_engine.graph.test_passes import block, called
from vmz.engines.torch_engine import import_net
from vmz.engines.torch_engine.graph import passes
from vmz.engines.torch_engine.graph.half import classify_in_float32, last_layers, rounded, without_autocast
from vmz.engines.torch_engine.graph.passes import has_fused_convolutions, in_half, optimize
from vmz.engines.torch_engine.precision import layers_take_bf16

pytestmark = pytest.mark.skipif(not layers_take_bf16(), reason="this PyTorch has not all layers in bf16")
BF16 = torch.bfloat16
STEP = 2.0**-8  # of bf16: what one rounding moves a number by, at most, is half of it


def values_of(module: Any, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        found: dict[str, torch.Tensor] = module(*inputs)
    return found


@pytest.fixture(params=[True, False], ids=["fused", "not fused"])
def fused(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param and not has_fused_convolutions(BF16):
        pytest.skip("this PyTorch has no fused convolutions in bf16")
    monkeypatch.setattr(passes, "has_fused_convolutions", lambda half=None: request.param)
    return bool(request.param)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("relu", [True, False])
def test_a_residual_block(fused: bool, relu: bool, channels_last: bool) -> None:
    init, main = block(relu)
    module, data = import_net(main, init, outputs=["sum"]), torch.from_numpy(clip())
    half = optimize(module, [data], BF16, channels_last)
    expected, found = values_of(module, data)["sum"], values_of(half, data)["sum"]
    assert found.dtype == torch.float32 and F.batch_norm not in called(half)
    assert 1e-4 < float((expected - found).abs().max() / expected.abs().max()) < 4 * STEP
    assert torch.equal(found, found.to(BF16).float())  # it was kept in 16 bits
    if fused and channels_last and relu:  # the input is rounded and laid out, three convolutions, the result widened
        assert called(half).count(rounded) == 2 and len(called(half)) == 6


def test_the_same_net_without_other_passes_shares_its_parameters() -> None:
    init, main = block()
    module, data = import_net(main, init, outputs=["sum"]), torch.from_numpy(clip())
    half = in_half(module, BF16)
    expected, found = values_of(module, data)["sum"], values_of(half, data)["sum"]
    assert float((expected - found).abs().max() / expected.abs().max()) < 4 * STEP
    assert half.get_parameter("a_s") is module.get_parameter("a_s") and F.batch_norm in called(half)


@pytest.mark.parametrize("outputs", [["a"], ["a_bn@1"], ["b_bn"], ["sum@8"], ["a", "b", "sum"]])
def test_what_is_asked_for_is_float32(fused: bool, outputs: list[str]) -> None:
    init, main = block()
    module, data = import_net(main, init, outputs=outputs), torch.from_numpy(clip())
    expected, found = values_of(module, data), values_of(optimize(module, [data], BF16), data)
    assert list(found) == outputs
    for name in outputs:
        assert found[name].dtype == torch.float32
        assert float((expected[name] - found[name]).abs().max() / expected[name].abs().max()) < 4 * STEP


def classifier(head: str) -> tuple[Any, Any]:
    """A convolution with ReLU, and its classes by a linear layer behind a pool, or by a convolution."""
    init = net(op("MSRAFill", "", "a_w", shape=[8, 3, 3, 3, 3]))
    main = net(op("Conv", "data a_w", "a", kernels=[3, 3, 3], pads=[1] * 6), op("Relu", "a", "a"))
    if head == "FC":
        init.op.extend([op("MSRAFill", "", "w", shape=[5, 8]), op("GaussianFill", "", "b", shape=[5])])
        main.op.extend(
            [op("AveragePool", "a", "pooled", kernels=[4, 8, 8]), op("FC", "pooled w b", "logits")],
        )
    else:
        init.op.extend([op("MSRAFill", "", "w", shape=[5, 8, 1, 1, 1]), op("GaussianFill", "", "b", shape=[5])])
        main.op.append(op("Conv", "a w b", "logits", kernels=[1, 1, 1]))
    return init, main


@pytest.mark.parametrize("head", ["FC", "Conv"])
def test_logits_are_not_rounded(fused: bool, head: str) -> None:
    init, main = classifier(head)
    data = torch.from_numpy(np.random.RandomState(0).randn(2, 3, 4, 8, 8).astype(np.float32))
    module = import_net(main, init, outputs=["logits", "a"])
    found = values_of(optimize(module, [data], BF16), data)
    weight, bias = (module.get_parameter(name).detach() for name in ("w", "b"))
    if head == "FC":
        expected = F.linear(F.avg_pool3d(found["a"], (4, 8, 8)).flatten(1), weight, bias)
    else:
        expected = F.conv3d(found["a"], weight, bias)
    torch.testing.assert_close(found["logits"], expected, rtol=1e-5, atol=1e-5)
    assert not torch.equal(found["logits"], found["logits"].to(BF16).float())


@pytest.mark.parametrize("head", ["FC", "Conv"])
def test_autocast_does_not_round_them_either(head: str) -> None:
    init, main = classifier(head)
    module = import_net(main, init, outputs=["logits"])
    assert [node.meta["blob"] for node in last_layers(module.graph)] == ["logits"]
    classify_in_float32(module.graph)
    module.recompile()
    assert without_autocast in called(module)
    data = torch.randn(2, 3, 4, 8, 8)
    with torch.autocast("cpu", dtype=BF16):
        assert values_of(module, data)["logits"].dtype == torch.float32


def test_a_layer_before_a_relu_is_not_the_last() -> None:
    init, main = block()
    assert last_layers(import_net(main, init, outputs=["sum"]).graph) == []
