"""The gradients of a convolution of training on a CPU, held against PyTorch's in float64."""

from __future__ import annotations

from typing import Any, Optional

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.training import convolution
from vmz.engines.torch_engine.training.convolution import conv3d, has_gradients_by_name, use_own_gradients

pytestmark = pytest.mark.skipif(
    not has_gradients_by_name(), reason="this PyTorch has no gradients of convolutions by name"
)

# shape of x, outputs, kernel, stride, padding, groups
CASES = {
    "full": ((2, 5, 4, 9, 8), 6, (3, 3, 3), 1, (1, 1, 1), 1),
    "full, large": ((2, 5, 8, 24, 23), 6, (3, 3, 3), 1, (1, 1, 1), 1),
    "full, very large": ((2, 16, 8, 46, 46), 16, (3, 3, 3), 1, (1, 1, 1), 1),
    "full, stride 2": ((2, 5, 5, 9, 8), 6, (3, 3, 3), 2, (1, 1, 1), 1),
    "one frame": ((2, 16, 1, 7, 7), 8, (3, 3, 3), 1, (1, 1, 1), 1),
    "one frame, five of the weights, stride 2": ((2, 3, 1, 7, 7), 4, (5, 3, 3), 2, (2, 1, 1), 1),
    "two frames": ((3, 16, 2, 7, 6), 8, (3, 3, 3), 2, (1, 1, 1), 1),
    "along time": ((2, 16, 8, 13, 12), 8, (3, 1, 1), 1, (1, 0, 0), 1),
    "along time, stride 2": ((2, 16, 9, 23, 12), 8, (3, 1, 1), (2, 1, 1), (1, 0, 0), 1),
    "along time, few positions": ((2, 16, 4, 3, 3), 8, (3, 1, 1), (2, 1, 1), (1, 0, 0), 1),
    "along time, no padding": ((2, 4, 8, 12, 12), 3, (3, 1, 1), 1, (0, 0, 0), 1),
    "within frames": ((2, 4, 6, 30, 31), 5, (1, 3, 3), 1, (0, 1, 1), 1),
    "within frames, stride 2": ((2, 4, 12, 39, 41), 5, (1, 3, 3), (1, 2, 2), (0, 1, 1), 1),
    "within frames, few positions": ((2, 4, 3, 9, 8), 5, (1, 3, 3), (1, 2, 2), (0, 1, 1), 1),
    "pointwise": ((2, 8, 4, 12, 12), 5, (1, 1, 1), 1, (0, 0, 0), 1),
    "pointwise, stride 2": ((2, 8, 4, 6, 6), 5, (1, 1, 1), 2, (0, 0, 0), 1),
    "stem": ((2, 3, 4, 28, 28), 7, (3, 7, 7), (1, 2, 2), (1, 3, 3), 1),
    "groups": ((2, 8, 3, 6, 6), 4, (3, 3, 3), 1, (1, 1, 1), 2),
    "depth-wise": ((2, 20, 5, 20, 19), 20, (3, 3, 3), 1, (1, 1, 1), 20),
    "depth-wise, few positions": ((2, 20, 1, 7, 7), 20, (3, 3, 3), 1, (1, 1, 1), 20),
    "depth-wise, stride 2, odd": ((2, 40, 9, 33, 35), 40, (3, 3, 3), 2, (1, 1, 1), 40),
    "depth-wise, stride 2, even": ((2, 40, 8, 34, 36), 40, (3, 3, 3), 2, (1, 1, 1), 40),
    "depth-wise, stride in space": ((2, 20, 3, 9, 8), 20, (3, 3, 3), (1, 2, 2), (1, 1, 1), 20),
    "depth-wise, wide padding": ((2, 4, 3, 6, 6), 4, (1, 3, 3), 1, (1, 1, 1), 4),
    "depth-wise, several a channel": ((2, 4, 3, 6, 6), 8, (3, 3, 3), 1, (1, 1, 1), 4),
}


def gradients(function: Any, x: Tensor, weight: Tensor, bias: Optional[Tensor], *window: Any) -> list[Tensor]:
    """Of x, weight and bias: of a sum of the outputs, each by a weight of its own; and the output, last."""
    leaves = [value.clone().requires_grad_() for value in (x, weight, bias) if value is not None]
    y = function(*leaves, *([None] if bias is None else []), *window)
    random = torch.Generator().manual_seed(7)
    (y * torch.randn(y.shape, generator=random).to(y.dtype)).sum().backward()
    return [*(leaf.grad for leaf in leaves if leaf.grad is not None), y.detach()]


def drawn(name: str, with_bias: bool) -> tuple[Any, ...]:
    shape, outputs, kernel, stride, padding, groups = CASES[name]
    random = torch.Generator().manual_seed(3)
    x = torch.randn(shape, generator=random)
    weight = torch.randn((outputs, shape[1] // groups, *kernel), generator=random)
    weight = weight.contiguous(memory_format=torch.channels_last_3d)
    bias = torch.randn(outputs, generator=random) if with_bias else None
    stride = stride if isinstance(stride, tuple) else (stride,) * 3
    return x, weight, bias, stride, padding, (1, 1, 1), groups


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("name", CASES)
def test_gradients_in_float32(name: str, layout: torch.memory_format) -> None:
    x, weight, bias, *window = drawn(name, with_bias=name in ("full", "stem"))
    found = gradients(conv3d, x.contiguous(memory_format=layout), weight, bias, *window)
    wide: list[Any] = [None if value is None else value.double() for value in (x, weight, bias)]
    for own, reference in zip(found, gradients(F.conv3d, *wide, *window)):
        assert own.dtype == torch.float32 and own.shape == reference.shape
        largest = reference.abs().max()
        assert (own - reference).abs().max() <= 2e-6 * largest


@pytest.mark.parametrize("name", CASES)
def test_gradients_in_bf16(name: str) -> None:
    """The parameters' are float32; each is as near as the operands' rounding lets it be."""
    x, weight, _, *window = drawn(name, with_bias=False)
    x, weight = x.bfloat16().float(), weight.bfloat16().float()

    def autocast(*arguments: Any) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return conv3d(*arguments)

    found = gradients(autocast, x, weight, None, *window)
    for own, reference in zip(found, gradients(F.conv3d, x.double(), weight.double(), None, *window)):
        assert own.shape == reference.shape
        assert (own - reference).abs().max() <= 0.012 * reference.abs().max()


def test_what_nobody_asks_for_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias, *window = drawn("full", with_bias=False)
    weight.requires_grad_()
    monkeypatch.setattr(convolution, "input_gradient", None)
    conv3d(x, weight, bias, *window).sum().backward()
    assert weight.grad is not None and weight.grad.stride() == weight.stride()


def test_only_3d_convolutions_of_a_graph_are_replaced() -> None:
    class Net(torch.nn.Module):
        def forward(self, x: Tensor, weight: Tensor) -> Tensor:
            y = F.conv3d(x, weight, None, (1, 1, 1), (0, 0, 0), (1, 1, 1), 1)
            return F.conv2d(y[:, :, 0], weight[:, :, 0])

    module = torch.fx.symbolic_trace(Net())
    use_own_gradients(module)
    targets = [node.target for node in module.graph.nodes if node.op == "call_function"]
    assert conv3d in targets and F.conv3d not in targets and F.conv2d in targets
    x, weight = torch.randn(1, 2, 2, 3, 3), torch.randn(2, 2, 1, 1, 1)
    assert torch.equal(module(x, weight), Net()(x, weight))


def test_a_window_that_does_not_fit_is_pytorchs_error() -> None:
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size can't be greater"):
        conv3d(torch.randn(1, 2, 1, 2, 2), torch.randn(2, 2, 1, 3, 3))


@pytest.mark.parametrize(("kernel", "clips"), [((3, 1, 1), 2), ((3, 3, 3), 2), ((3, 3, 3), 8)])
def test_clips_of_two_frames_in_bf16(kernel: tuple[int, int, int], clips: int) -> None:
    """oneDNN's gradient of the weights is wrong there, on processors with AVX-512 BF16."""
    random = torch.Generator().manual_seed(3)
    x = torch.randn((clips, 64, 2, 14, 14), generator=random).bfloat16()
    weight = torch.randn((64, 64, *kernel), generator=random).bfloat16()
    window = (1, 1, 1), tuple(extent // 2 for extent in kernel), (1, 1, 1), 1
    _, own, _ = gradients(conv3d, x, weight, None, *window)
    _, reference, _ = gradients(F.conv3d, x.double(), weight.double(), None, *window)
    assert (own - reference).abs().max() <= 0.012 * reference.abs().max()
