"""Convolutions of a training step on a CPU, and their gradients, by what is fastest of several ways.

All lie channels last. oneDNN's gradients are near the processor's limit for most layers, and far from it for some:
depth-wise ones, those along time alone, those of few positions. These are computed by other calls of PyTorch, which
add the same products in another order. Windows of 3x3x3 and 1x3x3 on large clips take fewer products (few_products.py).
What was measured: docs/internals/performance.md.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule

from vmz.engines.torch_engine.training import few_products
from vmz.engines.torch_engine.training.window import Window, gradient_by_pytorch

FEW_POSITIONS = 1024  # of an output, up to which one product of matrices gives the weights' gradient soonest
MANY_POSITIONS = 8192  # from which a convolution within frames is faster as one of pictures
CLIPS_APART = 32768  # positions from which oneDNN's gradient of 3-D weights is faster clip by clip
CHANNELS_AT_ONCE = 16  # of a depth-wise convolution: as many as oneDNN's kernel computes together
LAYOUT = torch.channels_last_3d


def use_own_gradients(module: GraphModule) -> None:
    """Have the 3-D convolutions of a training module take their gradients from here, where PyTorch is not too old."""
    if not has_gradients_by_name():
        return
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target is F.conv3d and not isinstance(node.args[4], str):
            node.target = conv3d
    module.recompile()


@functools.cache
def has_gradients_by_name() -> bool:
    """Whether PyTorch offers the gradients of a convolution as a call, as it does from 1.11 on."""
    try:
        return hasattr(torch.ops.aten, "convolution_backward")
    except RuntimeError:  # so do old ones say that there is no such operator
        return False


def conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0, 0),
    dilation: Sequence[int] = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    """F.conv3d of x (N, C, T, H, W), with the gradients of this module."""
    window = Window(tuple(stride), tuple(padding), tuple(dilation), groups)
    kind = autocast_type()
    if kind is not None:
        x, weight = x.to(kind), weight.to(kind)
        bias = None if bias is None else bias.to(kind)
    return _Convolution.apply(x, weight, bias, window)


def autocast_type() -> Optional[torch.dtype]:
    """What autocast computes convolutions in on the CPU; None where it is off."""
    if hasattr(torch, "get_autocast_dtype"):  # PyTorch 2.4
        return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Optional[Tensor], window: Window) -> Tensor:
        x = x.contiguous(memory_format=LAYOUT)
        ctx.save_for_backward(x, weight)
        ctx.window = window
        if _meets_one_frame(x, weight, window):
            weight, window = _within_the_frame(weight, window)
        axis = few_products.axis_of(x, weight, window)
        if axis is not None:
            return few_products.convolve(x, weight, bias, window, axis)
        return F.conv3d(x, weight, bias, *window)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=LAYOUT)
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        return (
            input_gradient(gradient, x, weight, ctx.window) if of_x else None,
            weight_gradient(gradient, x, weight, ctx.window) if of_weight else None,
            gradient.sum((0, 2, 3, 4)) if of_bias else None,
            None,
        )


def input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """The gradient of x, in its shape, of that of the output."""
    if _is_depthwise(x, weight, window):
        return _depthwise_input_gradient(gradient, x, weight, window)
    if _meets_one_frame(x, weight, window):
        weight, window = _within_the_frame(weight, window)
    axis = few_products.axis_of(x, weight, window)
    if axis is not None:
        return few_products.input_gradient(gradient, x, weight, window, axis)
    return gradient_by_pytorch(gradient, x, weight, window, of_x=True)


def weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """The gradient of the weights, in their shape, of that of the output."""
    positions = gradient.numel() // gradient.shape[1]
    kernel = weight.shape[2:]
    if _is_depthwise(x, weight, window):
        return _depthwise_weight_gradient(gradient, x, weight, window)
    if window.groups > 1 or max(window.dilation) > 1:
        return gradient_by_pytorch(gradient, x, weight, window, of_x=False)
    if positions <= FEW_POSITIONS:
        return _by_products(gradient, x, weight, window)
    axis = few_products.axis_of(x, weight, window)
    if axis is not None and few_products.suits_weights(gradient, weight, axis):
        return few_products.weight_gradient(gradient, x, weight, window, axis)
    if kernel[0] > 1 and (kernel[1:] == (1, 1) or weight.dtype == torch.bfloat16):
        return _frame_by_frame(gradient, x, weight, window)  # oneDNN 3.12's in bf16 is wrong for clips of two frames
    if kernel[0] == 1 and kernel[1:] != (1, 1) and positions >= MANY_POSITIONS:
        return _frame_by_frame(gradient, x, weight, window)
    if min(kernel) > 1 and positions >= CLIPS_APART:
        return _clip_by_clip(gradient, x, weight, window)
    return gradient_by_pytorch(gradient, x, weight, window, of_x=False)


def _meets_one_frame(x: Tensor, weight: Tensor, window: Window) -> bool:
    """Whether all weights but those of one frame only ever meet padding."""
    extent = weight.shape[2]
    return extent > 1 and x.shape[2] == 1 and extent == 2 * window.padding[0] + 1 and window.dilation[0] == 1


def _within_the_frame(weight: Tensor, window: Window) -> tuple[Tensor, Window]:
    middle = weight[:, :, window.padding[0] : window.padding[0] + 1].contiguous(memory_format=LAYOUT)
    return middle, window._replace(padding=(0, *window.padding[1:]))


def _is_depthwise(x: Tensor, weight: Tensor, window: Window) -> bool:
    return 1 < window.groups == x.shape[1] == weight.shape[0]


def _depthwise_input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """As a convolution of the gradient with the weights turned round: forwards oneDNN is many times faster."""
    full = [
        size + 2 * pad - dilation * (extent - 1)
        for size, pad, dilation, extent in zip(x.shape[2:], window.padding, window.dilation, weight.shape[2:])
    ]  # what stride 1 would have given: the gradient with zeros between
    around = [
        dilation * (extent - 1) - pad
        for pad, dilation, extent in zip(window.padding, window.dilation, weight.shape[2:])
    ]
    if min(around) < 0:
        return gradient_by_pytorch(gradient, x, weight, window, of_x=True)
    if max(window.stride) > 1:
        spread = gradient.new_empty((*gradient.shape[:2], *full)).contiguous(memory_format=LAYOUT).zero_()
        time, height, width = window.stride
        spread[:, :, ::time, ::height, ::width] = gradient
        gradient = spread
    turned = weight.flip(2, 3, 4).contiguous(memory_format=LAYOUT)
    return F.conv3d(gradient, turned, None, 1, around, window.dilation, window.groups)  # type: ignore[call-overload, no-any-return]


def _depthwise_weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """By sums of products, one for each weight of a channel, or by oneDNN for few channels at a time."""
    positions = gradient.numel() // gradient.shape[1]
    channels = x.shape[1]
    if positions <= FEW_POSITIONS * 2 or max(window.dilation) > 1:
        return gradient_by_pytorch(gradient, x, weight, window, of_x=False)
    found = torch.empty_like(weight)
    for first in range(0, channels, CHANNELS_AT_ONCE):
        part = slice(first, min(first + CHANNELS_AT_ONCE, channels))
        found[part] = gradient_by_pytorch(
            gradient[:, part].contiguous(memory_format=LAYOUT),
            x[:, part].contiguous(memory_format=LAYOUT),
            weight[part],
            window._replace(groups=part.stop - first),
            of_x=False,
        )
    return found


class _Meeting(NamedTuple):
    """The frames of an output that a weight's frame number `tap` reaches, and those of x that it meets there."""

    tap: int
    outputs: slice
    inputs: slice


def _meetings(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Iterator[_Meeting]:
    stride, padding = window.stride[0], window.padding[0]
    for tap in range(weight.shape[2]):
        first = max(0, -(-(padding - tap) // stride))
        last = min(gradient.shape[2] - 1, (x.shape[2] - 1 + padding - tap) // stride)
        if first <= last:
            start = first * stride + tap - padding
            yield _Meeting(tap, slice(first, last + 1), slice(start, last * stride + tap - padding + 1, stride))


def _clip_by_clip(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    found = gradient_by_pytorch(gradient[:1], x[:1], weight, window, of_x=False)
    for clip in range(1, len(x)):
        found += gradient_by_pytorch(gradient[clip : clip + 1], x[clip : clip + 1], weight, window, of_x=False)
    return found


def _frame_by_frame(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """As convolutions of pictures, one for each frame of the weights: PyTorch's gradients of these are faster."""
    of_frames = window.within_frames()
    channels_out, channels_in, frames, *kernel = weight.shape
    found = weight.new_zeros((frames, channels_out, *kernel, channels_in), dtype=torch.float32)
    for tap, outputs, inputs in _meetings(gradient, x, weight, window):
        whole = x.shape[2] == gradient.shape[2] == outputs.stop - outputs.start
        for clips in [slice(None)] if whole else [slice(clip, clip + 1) for clip in range(len(x))]:
            pictures = _pictures(gradient[clips, :, outputs]), _pictures(x[clips, :, inputs])
            of_tap = gradient_by_pytorch(*pictures, weight[:, :, tap], of_frames, of_x=False)
            found[tap] += of_tap.permute(0, 2, 3, 1)  # as PyTorch lays out the weights of pictures
    return found.permute(1, 4, 0, 2, 3).to(weight.dtype, memory_format=LAYOUT)


def _pictures(x: Tensor) -> Tensor:
    """x (N, C, T, H, W) as (N * T, C, H, W), where it lies whole without a copy."""
    return x.transpose(1, 2).reshape(-1, x.shape[1], *x.shape[3:])


def _by_products(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """As one product of matrices for each frame of the weights: (C', positions) by (positions, all they meet)."""
    _, height, width = window.padding
    outputs, inputs, frames, rows, columns = weight.shape
    channels_inside = F.pad(x.permute(0, 2, 3, 4, 1), (0, 0, width, width, height, height))
    gradient_inside = gradient.permute(0, 2, 3, 4, 1)
    found = weight.new_empty((outputs, frames, rows * columns * inputs))
    for tap in set(range(frames)).difference(meeting.tap for meeting in _meetings(gradient, x, weight, window)):
        found[:, tap] = 0
    for tap, reached, met in _meetings(gradient, x, weight, window):
        of_tap, seen = gradient_inside[:, reached], channels_inside[:, met]
        clip, frame, row, column, channel = seen.stride()
        shape = (*of_tap.shape[:4], rows, columns, inputs)
        steps = (clip, frame, row * window.stride[1], column * window.stride[2], row, column, channel)
        patches = seen.as_strided(shape, steps, seen.storage_offset()).reshape(-1, rows * columns * inputs)
        torch.mm(of_tap.reshape(-1, outputs).t(), patches, out=found[:, tap])
    return found.view(outputs, frames, rows, columns, inputs).permute(0, 4, 1, 2, 3)
