"""Depth-wise 3x3x3 convolution with its gradients, launched on channels-last clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor

from vmz.engines.torch_engine.kernels import depthwise_device as device
from vmz.engines.torch_engine.kernels.launching import ACCUMULATORS, INTERPRETED, Tuned, ceil_div, check_device
from vmz.errors import UsageError

NAME = "depthwise_conv3d"
# Rows of H, channels and columns of W of a program, columns fetched ahead, warps. Two to four values a thread: each
# value takes 27 registers for its weights. None spills (tests/engines/torch_engine/kernels/test_compilation.py).
SIZES = (
    (4, 64, 16, 3, 4), (4, 64, 64, 4, 4), (4, 64, 64, 1, 4), (8, 64, 64, 3, 4),
    (2, 64, 64, 4, 1), (4, 32, 64, 3, 2), (2, 128, 64, 4, 4),
)  # fmt: skip
CHOICES = [
    ({"ROWS": rows, "CHANNELS": channels, "LENGTH": length, "STAGES": stages}, warps)
    for rows, channels, length, stages, warps in SIZES
]
KEY = ("H", "W", "C", "ST", "SH", "SW")
FORWARD = Tuned(device.forward, CHOICES, KEY)
INPUT_GRADIENT = Tuned(device.input_gradient, CHOICES, KEY)
# Fixed: other blocks of the weight gradient would give other bits. Two values a thread, times 28 sums.
PART_ROWS, PART_CHANNELS, PART_STAGES, PART_WARPS = 4, 64, 3, 4
SHARES = 512  # of the rows, at most: with the blocks of channels some waves of programs on 132 multiprocessors


def run(x: Tensor, weight: Tensor, stride: Sequence[int], shift: Optional[Tensor], relu: bool) -> Tensor:
    """See vmz.engines.torch_engine.kernels.depthwise_conv3d; shapes and devices are checked here."""
    _check(x, weight, shift)
    if len(stride) != 3 or any(step not in (1, 2) for step in stride):
        raise UsageError(f"{NAME}: stride {tuple(stride)} is not three numbers, each 1 or 2")
    result: Tensor = _Depthwise.apply(x, weight, shift, tuple(stride), relu)
    return result


def _check(x: Tensor, weight: Tensor, shift: Optional[Tensor]) -> None:
    if x.dim() != 5 or x.dtype not in ACCUMULATORS:
        raise UsageError(f"{NAME}: x of shape {tuple(x.shape)} and {x.dtype} is not (N, C, T, H, W) of floats")
    if 0 in x.shape:
        raise UsageError(f"{NAME}: x of shape {tuple(x.shape)} is empty")
    channels = x.shape[1]
    if tuple(weight.shape) != (channels, 1, 3, 3, 3):
        raise UsageError(f"{NAME}: the weight has shape {tuple(weight.shape)}, not {(channels, 1, 3, 3, 3)}")
    if shift is not None and tuple(shift.shape) != (channels,):
        raise UsageError(f"{NAME}: the shift has shape {tuple(shift.shape)}, not {(channels,)}")
    if x[0].numel() >= 2**31:
        raise UsageError(f"{NAME}: a clip of {x[0].numel()} values is too large; the limit is {2**31 - 1}")
    check_device(NAME, x, weight, *([] if shift is None else [shift]))


class _Depthwise(torch.autograd.Function):
    """y = relu(conv(x, weight) + shift), with the gradients of all three."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, weight: Tensor, shift: Optional[Tensor], stride: tuple[int, ...], relu: bool
    ) -> Tensor:
        x, taps = _channels_last(x), _taps(weight)
        n, c, *sizes = x.shape
        outputs = [(size - 1) // step + 1 for size, step in zip(sizes, stride)]
        y = torch.empty((n, c, *outputs), dtype=x.dtype, device=x.device, memory_format=torch.channels_last_3d)
        steps = dict(zip(("ST", "SH", "SW"), stride))
        FORWARD(
            lambda blocks: _programs(n, c, outputs, blocks),
            x, taps, taps if shift is None else shift, y, *sizes, c, *outputs,
            **steps, HAS_SHIFT=shift is not None, RELU=relu, ACC=ACCUMULATORS[x.dtype],
        )  # fmt: skip
        ctx.save_for_backward(x, weight, shift, y if relu else None)
        ctx.steps = steps
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Optional[Tensor], ...]:  # type: ignore[override]
        x, weight, shift, y = ctx.saved_tensors
        dy = _channels_last(dy)
        if y is not None:
            dy = torch.ops.aten.threshold_backward(dy, y, 0)
        dx = _input_gradient(x, weight, dy, ctx.steps) if ctx.needs_input_grad[0] else None
        dw, dshift = None, None
        if any(ctx.needs_input_grad[1:3]):
            sums = _weight_gradient(x, dy, ctx.steps)
            dw = sums[:27].t().reshape(weight.shape).to(weight.dtype)
            dshift = None if shift is None else sums[27].to(shift.dtype)
        return dx, dw, dshift, None, None


def _input_gradient(x: Tensor, weight: Tensor, dy: Tensor, steps: dict[str, int]) -> Tensor:
    n, c, *sizes = x.shape
    dx = torch.empty_like(x)
    INPUT_GRADIENT(
        lambda blocks: _programs(n, c, sizes, blocks),
        dy, _taps(weight), dx, *sizes, c, *dy.shape[2:],
        **steps, ACC=ACCUMULATORS[x.dtype],
    )  # fmt: skip
    return dx


def _weight_gradient(x: Tensor, dy: Tensor, steps: dict[str, int]) -> Tensor:
    """(28, C): of the 27 weights and of the shift."""
    n, c, *sizes = x.shape
    outputs = dy.shape[2:]
    rows = n * outputs[0] * ceil_div(outputs[1], PART_ROWS)
    shares = min(rows, 4 if INTERPRETED else SHARES)
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    parts = torch.empty((shares, 28, c), dtype=kind, device=x.device)
    device.weight_gradient[(shares * ceil_div(c, PART_CHANNELS),)](
        x, dy, parts, n, *sizes, c, *outputs, shares,
        **steps, ACC=ACCUMULATORS[x.dtype], ROWS=PART_ROWS, CHANNELS=PART_CHANNELS, STAGES=PART_STAGES,
        **({} if INTERPRETED else {"num_warps": PART_WARPS}),
    )  # fmt: skip
    return parts.sum(0)


def _programs(clips: int, channels: int, sizes: Sequence[int], blocks: Any) -> int:
    frames, height, width = sizes
    rows, columns = ceil_div(height, blocks["ROWS"]), ceil_div(width, blocks["LENGTH"])
    return clips * frames * rows * columns * ceil_div(channels, blocks["CHANNELS"])


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def _taps(weight: Tensor) -> Tensor:
    """(27, C), channels innermost."""
    return weight.detach().reshape(len(weight), 27).t().contiguous()
