"""Convolutions of a training step with fewer products, over time (winograd.py), and their gradients.

What was measured: docs/internals/performance.md.
"""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine import winograd
from vmz.engines.torch_engine.training.window import Window, gradient_by_pytorch

MANY_POSITIONS = 4096  # of an output, from which fewer products outweigh the sums
TIME = 1  # the axis, of clips as they lie in memory


def suits(x: Tensor, weight: Tensor, window: Window) -> bool:
    """Whether a convolution can be done so, and is done sooner."""
    frames, *kernel = weight.shape[2:]
    positions = x.shape[0] * x.shape[2] * x.shape[3] * x.shape[4]
    return (
        x.dtype == torch.float32
        and window.groups == 1
        and (frames, window.stride[0], window.padding[0], window.dilation[0]) == (3, 1, 1, 1)
        and kernel[0] * kernel[1] >= winograd.LARGE_WINDOW
        and x.shape[2] >= winograd.FEWEST
        and x.shape[2] % 2 == 0
        and positions >= MANY_POSITIONS * max(window.stride) ** 2
    )


def convolve(x: Tensor, weight: Tensor, bias: Optional[Tensor], window: Window) -> Tensor:
    """The convolution of x (N, C, T, H, W) by weight (C', C, 3, KH, KW): (N, C', T, H', W'), channels last."""
    layout = window.within_frames()
    products = [
        F.conv2d(clip, part, bias if number == 1 else None, *layout)
        for number, (clip, part) in enumerate(zip(_of_clip(x), _of_weight(weight)))
    ]
    m0, m1, m2, m3 = (_frames_of(product, len(x)) for product in products)
    y = m0.new_empty((len(x), x.shape[2], *m0.shape[2:]))
    y0, y1 = winograd.every_other(y, TIME)
    torch.add(m0, m1, out=y0)
    y0 += m2
    torch.sub(m1, m2, out=y1)
    y1 -= m3
    return y.movedim(-1, 1)


def input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """The gradient of x, of that of the output."""
    around = tuple(extent - 1 - pad for extent, pad in zip(weight.shape[2:], window.padding))
    if max(window.stride) > 1 or max(window.dilation) > 1 or min(around) < 0:
        return gradient_by_pytorch(gradient, x, weight, window, of_x=True)
    return convolve(gradient, weight.flip(2, 3, 4).transpose(0, 1), None, window._replace(padding=around))


def weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """The gradient of the weights, of that of the output."""
    of_y0, of_y1 = winograd.every_other(_inside(gradient), TIME)
    of_products = (of_y0, of_y0 + of_y1, of_y0 - of_y1, of_y1)  # the sign of the last: below
    layout, like = window.within_frames(), weight[:, :, 0].contiguous(memory_format=torch.channels_last)
    p0, p1, p2, p3 = (
        gradient_by_pytorch(_pictures(part), clip, like, layout, of_x=False)
        for part, clip in zip(of_products, _of_clip(x))
    )
    ends = (p1 + p2) / 2
    found = torch.stack((p0 + ends, (p1 - p2) / 2, ends - p3), 2)
    return found.contiguous(memory_format=torch.channels_last_3d)


def _of_clip(x: Tensor) -> list[Tensor]:
    """What the products take of x: pictures (N * T / 2, C, H, W) each."""
    return [_pictures(part) for part in winograd.parts_of_values(_inside(x), TIME)]


def _of_weight(weight: Tensor) -> list[Tensor]:
    """What the products take of weight (C', C, 3, KH, KW)."""
    parts = winograd.parts_of_weight(weight, 2)
    return [part[:, :, 0].contiguous(memory_format=torch.channels_last) for part in parts]


def _inside(x: Tensor) -> Tensor:
    """x (N, C, T, H, W) as (N, T, H, W, C), which is its order in memory."""
    return x.movedim(1, -1)


def _pictures(inside: Tensor) -> Tensor:
    """(N, T, H, W, C) as (N * T, C, H, W), channels last."""
    return inside.flatten(0, 1).movedim(-1, 1)


def _frames_of(pictures: Tensor, clips: int) -> Tensor:
    """Pictures (N * T, C, H, W) of `clips` clips as (N, T, H, W, C)."""
    inside = pictures.movedim(1, -1)
    return inside.reshape(clips, -1, *inside.shape[1:])
