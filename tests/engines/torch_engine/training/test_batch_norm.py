"""Batch norm of our own against float64, its gradients and its statistics."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vmz.engines.torch_engine.training.batch_norm import PIECE, batch_norm, use_exact_sums


def computed(function: object, x: Tensor, kind: torch.dtype, weights: list[Tensor]) -> list[Tensor]:
    """y, the two running statistics, and the gradients of clips, scale and bias."""
    clips = x.to(kind, copy=True).requires_grad_()
    mean, var, scale, bias = (value.to(kind, copy=True) for value in weights)
    scale.requires_grad_(), bias.requires_grad_()
    y = function(clips, mean, var, scale, bias, training=True, momentum=0.1, eps=1e-3)  # type: ignore[operator]
    y.backward(torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape).to(kind))
    return [y.detach(), mean, var, *(value.grad for value in (clips, scale, bias) if value.grad is not None)]


@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
@pytest.mark.parametrize(
    "shape", [(2, 3, 4, 5, 6), (1, 16, 8, 28, 28), (2, 64, 8, 28, 28), (3, 7, 1, 1, 1), (2, 1, 2, 3, 3)]
)
def test_against_float64(shape: tuple[int, ...], layout: torch.memory_format) -> None:
    """With means far from 0, in pieces (the third shape has several) and not."""
    random = torch.Generator().manual_seed(0)
    x = (torch.randn(shape, generator=random) * 2 + 5).contiguous(memory_format=layout)
    channels = shape[1]
    weights = [torch.zeros(channels), torch.ones(channels), *torch.rand(2, channels, generator=random).unbind()]
    found, exact = computed(batch_norm, x, torch.float32, weights), computed(F.batch_norm, x, torch.float64, weights)
    for value, expected in zip(found, exact):
        assert value.shape == expected.shape and value.dtype == torch.float32
        # by the largest: a gradient of clips is a difference of two larger terms; those of scale and bias add up waves
        most = 3e-6 * max(float(expected.abs().max()), 1.0) + (1e-9 * x.numel() / channels if value.dim() == 1 else 0.0)
        assert (value - expected).abs().max() <= most


def test_statistics_are_as_exact_as_channels_first() -> None:
    """Of 400,000 positions: PyTorch's own sums, channels last, are an order of magnitude further off."""
    random = torch.Generator().manual_seed(1)
    x = (torch.randn((2, 8, 8, 160, 160), generator=random) + 3).contiguous(memory_format=torch.channels_last_3d)
    assert x.numel() > PIECE
    weights = [torch.zeros(8), torch.ones(8), torch.ones(8), torch.zeros(8)]
    exact = computed(F.batch_norm, x, torch.float64, weights)
    ours = computed(batch_norm, x, torch.float32, weights)
    for number in (1, 2):
        assert ((ours[number] - exact[number]) / exact[number]).abs().max() < 3e-7


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5, 5)])
def test_other_blobs_are_pytorchs(shape: tuple[int, ...]) -> None:
    x, weights = torch.randn(shape), [torch.zeros(3), torch.ones(3), torch.rand(3), torch.rand(3)]
    for ours, theirs in zip(
        computed(batch_norm, x, torch.float32, weights), computed(F.batch_norm, x, torch.float32, weights)
    ):
        assert torch.equal(ours, theirs)


def test_statistics_of_one_memory() -> None:
    """Those of a network are parts of one tensor: a layer's change of them does not disturb another's gradient."""
    parts = list(torch.zeros(16).split(4))
    scale, bias = torch.ones(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    x = torch.randn(2, 4, 2, 3, 3, requires_grad=True)
    y = batch_norm(x, parts[0], parts[1], scale, bias)
    flat = F.batch_norm(y.flatten(2), parts[2], parts[3], scale, bias, training=True)
    batch_norm(flat.reshape(x.shape), parts[2], parts[3], scale, bias).square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (2, 64, 8, 28, 28)])
def test_the_sum_and_the_relu_after_it(shape: tuple[int, ...], layout: torch.memory_format) -> None:
    """All gradients, that of the sum's other term too, against float64."""
    random = torch.Generator().manual_seed(3)
    x, other = (torch.randn(shape, generator=random).contiguous(memory_format=layout) for _ in range(2))
    wave = torch.cos(torch.arange(x.numel(), dtype=torch.float64)).reshape(shape)
    found = []
    for kind in (torch.float32, torch.float64):
        clips, term = (value.to(kind, copy=True).requires_grad_() for value in (x, other))
        scale, bias = torch.full((shape[1],), 0.7, dtype=kind), torch.full((shape[1],), 0.1, dtype=kind)
        scale.requires_grad_(), bias.requires_grad_()
        statistics = torch.zeros(shape[1], dtype=kind), torch.ones(shape[1], dtype=kind)
        if kind == torch.float32:
            y = batch_norm(clips, *statistics, scale, bias, residual=term, relu=True)
        else:
            y = F.relu(F.batch_norm(clips, *statistics, scale, bias, training=True) + term)
        y.backward(wave.to(kind))
        found.append([y.detach(), *(value.grad for value in (clips, term, scale, bias) if value.grad is not None)])
    for ours, exact in zip(*found):
        assert ours.dtype == torch.float32 and (ours - exact).abs().max() <= 3e-6 * max(1.0, float(exact.abs().max()))


class Block(nn.Module):
    """Two branches with batch norms, a sum, a ReLU that is read twice."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("left", "right", "last"):
            for part, value in (("mean", 0.0), ("var", 1.0), ("scale", 1.0), ("bias", 0.1)):
                self.register_buffer(f"{name}_{part}", torch.full((4,), value))

    def norm(self, name: str, x: Tensor) -> Tensor:
        mean, var, scale, bias = (getattr(self, f"{name}_{part}") for part in ("mean", "var", "scale", "bias"))
        return F.batch_norm(x, mean, var, scale, bias, training=True)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm("left", x) + self.norm("right", torch.cos(x)))
        return y * F.relu(self.norm("last", y)) + self.norm("last", y * 2)


def test_what_follows_a_batch_norm_goes_into_it() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3, 5, 5)
    module = torch.fx.symbolic_trace(Block())
    expected = Block()(x)
    use_exact_sums(module)
    left = [node for node in module.graph.nodes if node.target is F.relu]
    fused = [node.kwargs for node in module.graph.nodes if node.target is batch_norm]
    assert not left and [("residual" in given, given.get("relu", False)) for given in fused] == [
        (False, False),
        (True, True),
        (False, True),
        (False, False),
    ]
    assert torch.allclose(module(x), expected, atol=1e-5)
