"""The 1x1x1 convolution against float64 by PyTorch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.kernels import pointwise_conv3d
from vmz.errors import UsageError

CASES = [  # (N, C, T, H, W), output channels, stride
    ((1, 5, 1, 3, 3), 7, (1, 1, 1)),
    ((2, 70, 3, 7, 5), 65, (1, 1, 1)),
    ((2, 70, 3, 7, 5), 33, (1, 2, 2)),
    ((1, 64, 4, 4, 6), 64, (2, 2, 2)),
    ((3, 16, 5, 6, 7), 130, (2, 1, 1)),
]


def parts(shape: tuple[int, ...], outputs: int, device: str, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(0)
    x, weight = torch.randn(shape).to(device, dtype), torch.randn(outputs, shape[1], 1, 1, 1).to(device, dtype)
    return [x, weight, torch.rand(outputs, device=device) - 0.3, torch.randn(outputs, device=device)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("shape", "outputs", "stride"), CASES, ids=str)
def test_with_everything(
    shape: tuple[int, ...], outputs: int, stride: tuple[int, ...], dtype: torch.dtype, device: str
) -> None:
    x, weight, scale, shift = parts(shape, outputs, device, dtype)
    wide = [part.double().cpu() for part in (x, weight, scale, shift)]
    linear = F.conv3d(wide[0], wide[1], None, stride) * wide[2].reshape(-1, 1, 1, 1) + wide[3].reshape(-1, 1, 1, 1)
    residual = torch.randn(linear.shape).to(device, dtype)
    expected = F.relu(linear + residual.double().cpu())
    y = pointwise_conv3d(x, weight, stride, scale, shift, residual, relu=True)
    assert y.dtype == dtype and y.is_contiguous(memory_format=torch.channels_last_3d)
    distance = float((y.double().cpu() - expected).norm() / expected.norm())
    rounding = 2.0**-7 if device == "cpu" else 2.0**-8  # the interpreter cuts bfloat16 off, a GPU rounds it
    assert distance < {torch.float32: 1e-6, torch.bfloat16: rounding, torch.float16: 2.0**-11}[dtype]


def test_each_part_by_itself(device: str) -> None:
    x, weight, scale, shift = parts((2, 5, 2, 3, 3), 7, device, torch.float32)
    plain = F.conv3d(x.double(), weight.double())
    residual = torch.randn(plain.shape, device=device)
    by_channel = (-1, 1, 1, 1)
    for arguments, expected in (
        ({}, plain),
        ({"scale": scale}, plain * scale.double().reshape(by_channel)),
        ({"shift": shift}, plain + shift.double().reshape(by_channel)),
        ({"residual": residual}, plain + residual.double()),
        ({"relu": True}, F.relu(plain)),
    ):
        found = pointwise_conv3d(x, weight, **arguments)  # type: ignore[arg-type]
        assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-5), arguments


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3, 1, 4, 4)}, r"x of shape \(3, 1, 4, 4\)"),
        ({"x": torch.zeros(1, 3, 1, 4, 4, dtype=torch.float64)}, "torch.float64 is not"),
        ({"weight": torch.zeros(2, 3, 1, 3, 3)}, r"the weight has shape \(2, 3, 1, 3, 3\)"),
        ({"weight": torch.zeros(2, 3, 1, 1, 1, dtype=torch.float16)}, "torch.float16, not"),
        ({"stride": (0, 1, 1)}, r"stride \(0, 1, 1\)"),
        ({"residual": torch.zeros(1, 2, 1, 4, 3)}, r"the residual has shape \(1, 2, 1, 4, 3\), not \(1, 2, 1, 4, 4\)"),
        ({"weight": torch.zeros(2, 3, 1, 1, 1, requires_grad=True)}, "has no gradient; call it under torch.no_grad"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str, device: str) -> None:
    good = {"x": torch.zeros(1, 3, 1, 4, 4, device=device), "weight": torch.zeros(2, 3, 1, 1, 1, device=device)}
    with pytest.raises(UsageError, match=message):
        pointwise_conv3d(**{**good, **change})
