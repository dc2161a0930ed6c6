"""Nets whose convolutions run as the kernels: which they take, and the same scores. As the tests of kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.engines.torch_engine.kernels.conftest import device
from vmz.engines.registry import open_engine
from vmz.engines.torch_engine.engine import TorchEngine
from vmz.engines.torch_engine.graph.kernel_calls import depthwise_layer, pointwise_layer, use_kernels
from vmz.errors import UsageError
from vmz.netdef.builder import NetBuilder

__all__ = ["device"]  # the fixture


def bottleneck() -> NetBuilder:
    """A block of a CSN: 1x1x1, depth-wise with stride 2, 1x1x1 added to a shortcut, all with batch norm."""
    net = NetBuilder("block", is_test=True, scope="", device=None)
    blob = net.relu(net.spatial_bn(net.conv("data", "a", 3, 8, (1, 1, 1)), "a_bn", 8))
    blob = net.conv(blob, "b", 8, 8, (3, 3, 3), strides=(1, 2, 2), pads=(1, 1, 1), depthwise=True)
    blob = net.relu(net.spatial_bn(blob, "b_bn", 8))
    blob = net.spatial_bn(net.conv(blob, "c", 8, 6, (1, 1, 1)), "c_bn", 6)
    shortcut = net.spatial_bn(net.conv("data", "d", 3, 6, (1, 1, 1), strides=(1, 2, 2)), "d_bn", 6)
    net.relu(net.sum([blob, shortcut], "sum"))
    return net


def run(engine: TorchEngine, net: Any) -> np.ndarray:
    random = np.random.RandomState(0)
    with engine:
        engine.load(net.init_net, net.net, seed=1, keep=["sum"])
        engine.feed("data", random.randn(2, 3, 2, 6, 5).astype(np.float32))
        engine.run()
        found = engine.fetch("sum")
        targets = [node.target for node in engine._module.graph.nodes]  # type: ignore[union-attr]
        if engine.kernels:
            assert targets.count(depthwise_layer) == 1 and targets.count(pointwise_layer) == 3
            assert F.conv3d not in targets and torch.add not in targets and F.relu not in targets
        return found


def test_a_block_gives_the_same_with_all_of_it_in_four_calls(device: str) -> None:
    net = bottleneck()
    plain = run(TorchEngine(device), net)
    assert plain.shape == (2, 6, 2, 3, 3) and (plain > 0).any()
    np.testing.assert_allclose(run(TorchEngine(device, kernels=True), net), plain, rtol=1e-5, atol=1e-6)


def test_what_they_are_not_for_stays(device: str) -> None:
    x = torch.randn(1, 4, 3, 5, 5)

    class Others(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.full, self.one = (torch.nn.Parameter(torch.randn(4, 4, size, size, size)) for size in (3, 1))
            self.deep = torch.nn.Parameter(torch.randn(4, 1, 3, 3, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.conv3d(x, self.full, None, (1, 1, 1), (1, 1, 1), (1, 1, 1), 1)
            x = F.conv3d(x, self.deep, None, (1, 1, 1), (2, 2, 2), (2, 2, 2), 4)  # dilated
            x = F.conv3d(x, self.deep, None, (1, 1, 3), (1, 1, 1), (1, 1, 1), 4)
            return F.conv3d(x, self.one, None, (1, 1, 1), (1, 1, 1), (1, 1, 1), 1)  # padded

    module = torch.fx.symbolic_trace(Others())
    before = module(x)
    assert use_kernels(module) == 0 and torch.equal(module(x), before)


def test_where_they_cannot_run_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    from vmz.engines.torch_engine.kernels import launching

    monkeypatch.setattr(launching, "INTERPRETED", False)
    with pytest.raises(UsageError, match=r"run on a GPU, not on cpu; leave out --kernels=1"):
        TorchEngine("cpu", kernels=True)
    with pytest.raises(UsageError, match="--kernels=1 needs --engine=pytorch"):
        open_engine("caffe2", kernels=1)
