"""1x1x1 convolution with scale, shift, residual and ReLU, launched on channels-last clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor

from vmz.engines.torch_engine.kernels import pointwise_device as device
from vmz.engines.torch_engine.kernels.launching import INTERPRETED, Tuned, ceil_div, check_device
from vmz.errors import UsageError

NAME = "pointwise_conv3d"
TYPES = (torch.float32, torch.bfloat16, torch.float16)
# Positions, output channels and input channels of a block, stages, warps.
SIZES = (
    (64, 64, 32, 3, 4), (128, 64, 32, 4, 4), (128, 128, 32, 4, 8), (128, 128, 64, 3, 8),
    (256, 64, 32, 4, 8), (64, 256, 32, 3, 8), (64, 32, 64, 4, 4),
)  # fmt: skip
CHOICES = [
    ({"BLOCK_M": m, "BLOCK_K": k, "BLOCK_C": c, "GROUP": 8, "STAGES": stages}, warps)
    for m, k, c, stages, warps in SIZES
]
FORWARD = Tuned(device.forward, CHOICES, ("M", "C", "K"))


def run(
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    scale: Optional[Tensor],
    shift: Optional[Tensor],
    residual: Optional[Tensor],
    relu: bool,
) -> Tensor:
    """See vmz.engines.torch_engine.kernels.pointwise_conv3d; shapes and devices are checked here."""
    given = [tensor for tensor in (x, weight, scale, shift, residual) if tensor is not None]
    _check(x, weight, stride, given)
    n, c, *sizes = x.shape
    outputs = [(size - 1) // step + 1 for size, step in zip(sizes, stride)]
    k = len(weight)
    for name, tensor, shape in (
        ("scale", scale, (k,)),
        ("shift", shift, (k,)),
        ("residual", residual, (n, k, *outputs)),
    ):
        if tensor is not None and tuple(tensor.shape) != shape:
            raise UsageError(f"{NAME}: the {name} has shape {tuple(tensor.shape)}, not {shape}")
    x = x.contiguous(memory_format=torch.channels_last_3d)
    y = torch.empty((n, k, *outputs), dtype=x.dtype, device=x.device, memory_format=torch.channels_last_3d)
    if residual is not None:
        residual = residual.contiguous(memory_format=torch.channels_last_3d)
    positions = y.numel() // k

    def programs(blocks: Any) -> int:
        return ceil_div(positions, blocks["BLOCK_M"]) * ceil_div(k, blocks["BLOCK_K"])

    parts = (x if part is None else part for part in (scale, shift, residual))  # not read where it is None
    FORWARD(
        programs, x, weight.reshape(k, c).contiguous(), *parts, y, positions, c, k, *sizes, *outputs,
        **dict(zip(("ST", "SH", "SW"), stride)),
        HAS_SCALE=scale is not None, HAS_SHIFT=shift is not None, HAS_RESIDUAL=residual is not None, RELU=relu,
        UPCAST=INTERPRETED,
    )  # fmt: skip
    return y


def _check(x: Tensor, weight: Tensor, stride: Sequence[int], given: Sequence[Tensor]) -> None:
    if x.dim() != 5 or x.dtype not in TYPES or 0 in x.shape:
        raise UsageError(
            f"{NAME}: x of shape {tuple(x.shape)} and {x.dtype} is not (N, C, T, H, W) of float32, bfloat16 or float16"
        )
    if tuple(weight.shape[1:]) != (x.shape[1], 1, 1, 1) or weight.dtype != x.dtype:
        raise UsageError(
            f"{NAME}: the weight has shape {tuple(weight.shape)} and {weight.dtype}, not (K, {x.shape[1]}, 1, 1, 1) "
            f"and {x.dtype}"
        )
    if len(stride) != 3 or any(step < 1 for step in stride):
        raise UsageError(f"{NAME}: stride {tuple(stride)} is not three numbers of at least 1")
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        raise UsageError(f"{NAME} has no gradient; call it under torch.no_grad()")
    check_device(NAME, *given)
