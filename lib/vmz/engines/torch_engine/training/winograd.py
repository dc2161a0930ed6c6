"""Convolutions over three frames by Winograd's F(2, 3): two frames of four products, where plain sums take six.

Of a clip's frames d0, d1, d2, d3 and the frames g0, g1, g2 of the weights, the outputs y0 and y1 are

    m0 = (d0 - d2) g0             m1 = (d1 + d2) (g0 + g1 + g2) / 2
    m3 = (d1 - d3) g2             m2 = (d2 - d1) (g0 - g1 + g2) / 2
    y0 = m0 + m1 + m2             y1 = m1 - m2 - m3

where each product is a convolution of pictures. The gradients are those of these sums. Source: S. Winograd, Arithmetic
Complexity of Computations, SIAM 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
In float32 they are nearer to the exact ones than PyTorch's: fewer numbers are added. What was measured:
docs/internals/performance.md.
"""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.training.window import Window, gradient_by_pytorch

MANY_POSITIONS = 4096  # of an output, from which fewer products outweigh the sums
FEWEST_FRAMES = 4  # of two, plain sums take four products as well: the others meet padding
LARGE_KERNEL = 9  # weights within a frame, from which the products outweigh the sums


def suits(x: Tensor, weight: Tensor, window: Window) -> bool:
    """Whether a convolution can be done so, and is done sooner."""
    frames, *kernel = weight.shape[2:]
    positions = x.shape[0] * x.shape[2] * x.shape[3] * x.shape[4]
    return (
        x.dtype == torch.float32
        and window.groups == 1
        and (frames, window.stride[0], window.padding[0], window.dilation[0]) == (3, 1, 1, 1)
        and kernel[0] * kernel[1] >= LARGE_KERNEL
        and x.shape[2] >= FEWEST_FRAMES
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
    y = m0.new_empty((*m0.shape[:2], 2, *m0.shape[2:]))
    y0, y1 = y[:, :, 0], y[:, :, 1]
    torch.add(m0, m1, out=y0)
    y0 += m2
    torch.sub(m1, m2, out=y1)
    y1 -= m3
    return y.flatten(1, 2).movedim(-1, 1)


def input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """The gradient of x, of that of the output."""
    around = tuple(extent - 1 - pad for extent, pad in zip(weight.shape[2:], window.padding))
    if max(window.stride) > 1 or max(window.dilation) > 1 or min(around) < 0:
        return gradient_by_pytorch(gradient, x, weight, window, of_x=True)
    return convolve(gradient, weight.flip(2, 3, 4).transpose(0, 1), None, window._replace(padding=around))


def weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """The gradient of the weights, of that of the output."""
    of_y = _inside(gradient)
    of_y0, of_y1 = of_y[:, 0::2], of_y[:, 1::2]
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
    """What the products take of x: pictures (N * T / 2, C, H, W) each. Frames before and after the clip are 0."""
    inside = _inside(x)
    d1, d2 = inside[:, 0::2], inside[:, 1::2]
    first, plus, minus, last = inside.new_empty((4, *d1.shape))
    torch.sub(inside[:, 1:-2:2], d2[:, 1:], out=first[:, 1:])
    torch.neg(d2[:, :1], out=first[:, :1])
    torch.add(d1, d2, out=plus)
    torch.sub(d2, d1, out=minus)
    torch.sub(d1[:, :-1], inside[:, 2::2], out=last[:, :-1])
    last[:, -1:] = d1[:, -1:]
    return [_pictures(part) for part in (first, plus, minus, last)]


def _of_weight(weight: Tensor) -> list[Tensor]:
    """What the products take of weight (C', C, 3, KH, KW)."""
    g0, g1, g2 = weight.unbind(2)
    ends, middle = (g0 + g2) / 2, g1 / 2
    return [part.contiguous(memory_format=torch.channels_last) for part in (g0, ends + middle, ends - middle, g2)]


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
