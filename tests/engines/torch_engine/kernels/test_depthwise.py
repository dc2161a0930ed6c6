"""The depth-wise convolution against float64 by PyTorch, forwards and backwards."""

from __future__ import annotations

from typing import Any, Optional

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support.optionals import present
from vmz.engines.torch_engine.kernels import depthwise_conv3d
from vmz.errors import UsageError

# (N, C, T, H, W): one frame; odd and even; channels and columns that are no multiple of a block; a row of two blocks
SHAPES = [(1, 3, 1, 3, 3), (2, 3, 2, 5, 4), (1, 66, 1, 2, 3), (1, 2, 1, 2, 19)]
STRIDES = [(1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 1, 1), (1, 1, 2), (1, 2, 1)]
Parts = tuple[Tensor, Tensor, Optional[Tensor], Optional[Tensor]]


def parts(shape: tuple[int, ...], device: str, dtype: torch.dtype = torch.float32, scaled: bool = True) -> Parts:
    """Clips, weight, scale and shift that want gradients."""
    torch.manual_seed(sum(shape))
    channels = shape[1]
    x = torch.randn(shape, dtype=torch.float64).to(device, dtype).requires_grad_()
    weight = torch.randn(channels, 1, 3, 3, 3, dtype=torch.float64).to(device, dtype).requires_grad_()
    if not scaled:
        return x, weight, None, None
    kind = torch.promote_types(dtype, torch.float32)  # of a batch norm
    scale = (torch.rand(channels, dtype=torch.float64) - 0.3).to(device, kind).requires_grad_()
    return x, weight, scale, torch.randn(channels, dtype=torch.float64).to(device, kind).requires_grad_()


def reference(given: Parts, stride: tuple[int, ...], relu: bool) -> tuple[Tensor, list[Tensor]]:
    """The result in float64, and what it was computed from."""
    x, weight, scale, shift = (None if one is None else one.detach().double().cpu().requires_grad_() for one in given)
    assert x is not None and weight is not None
    y = F.conv3d(x, weight, None, stride, 1, groups=x.shape[1])
    if scale is not None and shift is not None:
        y = y * scale.reshape(-1, 1, 1, 1) + shift.reshape(-1, 1, 1, 1)
    return F.relu(y) if relu else y, [one for one in (x, weight, scale, shift) if one is not None]


def distances(given: Parts, stride: tuple[int, ...], relu: bool) -> list[float]:
    """Of the result and of all gradients: relative L2 distances to float64."""
    x, weight, scale, shift = given
    y = depthwise_conv3d(x, weight, stride, scale, shift, relu)
    expected, sources = reference(given, stride, relu)
    assert y.dtype == x.dtype and y.shape == expected.shape
    assert y.is_contiguous(memory_format=torch.channels_last_3d)
    dy = torch.randn(y.shape, dtype=torch.float64).to(y.dtype)
    # where rounding decides whether a value is above 0, the ReLU's gradient is that of the rounded value
    mask = (y.detach().cpu() > 0).double() if relu else 1.0
    linear, sources = reference(given, stride, False)
    found = torch.autograd.grad(y, [one for one in given if one is not None], dy.to(y.device))
    wanted = torch.autograd.grad(linear, sources, dy.double() * mask)
    pairs = [(y.detach(), expected.detach()), *zip(found, wanted)]
    return [float((one.double().cpu() - other).norm() / other.norm().clamp(min=1e-9)) for one, other in pairs]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("stride", STRIDES[:2], ids=str)
def test_float32(shape: tuple[int, ...], stride: tuple[int, ...], device: str) -> None:
    assert max(distances(parts(shape, device), stride, relu=True)) < 1e-6


@pytest.mark.long
@pytest.mark.parametrize("shape", [(2, 33, 3, 7, 5), (1, 70, 4, 4, 18)], ids=str)
@pytest.mark.parametrize("stride", STRIDES, ids=str)
def test_larger_clips_and_all_strides(shape: tuple[int, ...], stride: tuple[int, ...], device: str) -> None:
    assert max(distances(parts(shape, device), stride, relu=True)) < 1e-6


@pytest.mark.parametrize("stride", STRIDES[2:], ids=str)
def test_other_strides_without_an_epilogue(stride: tuple[int, ...], device: str) -> None:
    assert max(distances(parts((1, 3, 3, 4, 5), device, scaled=False), stride, relu=False)) < 1e-6


@pytest.mark.parametrize(("dtype", "unit"), [(torch.bfloat16, 2.0**-8), (torch.float16, 2.0**-11)], ids=str)
@pytest.mark.parametrize("stride", STRIDES[:2], ids=str)
def test_halves_are_rounded_once(dtype: torch.dtype, unit: float, stride: tuple[int, ...], device: str) -> None:
    """Sums in float32 and one rounding at the end, of at most `unit`; twice that for bfloat16 in the interpreter, which
    cuts it off."""
    cut = dtype == torch.bfloat16 and device == "cpu"
    assert max(distances(parts((1, 5, 2, 4, 3), device, dtype, False), stride, relu=False)) < unit * (2 if cut else 1)


@pytest.mark.long
@pytest.mark.parametrize("stride", STRIDES[:2], ids=str)
def test_float64_passes_gradcheck(stride: tuple[int, ...], device: str) -> None:
    given: Any = parts((1, 2, 1, 3, 3), device, torch.float64)
    assert torch.autograd.gradcheck(
        lambda *a: depthwise_conv3d(a[0], a[1], stride, a[2], a[3], False), given, fast_mode=True
    )


def test_the_same_call_gives_the_same_bits_in_either_layout(device: str) -> None:
    x, weight, *affine = parts((1, 3, 2, 4, 3), device)
    scale, shift = map(present, affine)
    runs = []
    for clips in (x, x, x.detach().contiguous(memory_format=torch.channels_last_3d).requires_grad_()):
        y = depthwise_conv3d(clips, weight, (1, 1, 1), scale, shift, True)
        runs.append([y, *torch.autograd.grad(y.sum(), (clips, weight, scale, shift))])
    for run in runs[1:]:
        assert all(torch.equal(one, other) for one, other in zip(run, runs[0]))


def test_not_a_number_stays_what_it_is(device: str) -> None:
    x, weight = torch.ones(1, 1, 1, 3, 8, device=device), torch.ones(1, 1, 3, 3, 3, device=device)
    x[0, 0, 0, 1, 1] = float("nan")
    y = depthwise_conv3d(x, weight, relu=True)
    assert torch.isnan(y[..., :3]).all() and torch.isfinite(y[..., 3:]).all()


def test_only_what_is_wanted_has_a_gradient(device: str) -> None:
    x, weight, _, _ = parts((1, 3, 1, 3, 3), device)
    frozen = depthwise_conv3d(x, weight.detach())
    frozen.sum().backward()
    assert x.grad is not None and weight.grad is None
    depthwise_conv3d(x.detach(), weight).sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(1, 3, 4, 4)}, r"x of shape \(1, 3, 4, 4\) and torch.float32 is not \(N, C, T, H, W\)"),
        ({"x": torch.zeros(1, 3, 1, 4, 4, dtype=torch.int32)}, "torch.int32 is not"),
        ({"x": torch.zeros(0, 3, 1, 4, 4)}, "is empty"),
        ({"weight": torch.zeros(3, 3, 3, 3, 3)}, r"the weight has shape \(3, 3, 3, 3, 3\), not \(3, 1, 3, 3, 3\)"),
        ({"stride": (1, 1, 3)}, r"stride \(1, 1, 3\) is not three numbers, each 1 or 2"),
        ({"shift": torch.zeros(4)}, r"the shift has shape \(4,\), not \(3,\)"),
        ({"scale": torch.zeros(4)}, r"the scale has shape \(4,\), not \(3,\)"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str, device: str) -> None:
    good = {"x": torch.zeros(1, 3, 1, 4, 4, device=device), "weight": torch.zeros(3, 1, 3, 3, 3, device=device)}
    with pytest.raises(UsageError, match=message):
        depthwise_conv3d(**{**good, **change})
