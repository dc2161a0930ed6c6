"""Convolutions of a training step with fewer products, over time or over the height (winograd.py), and their gradients.

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
# The same for the gradient of the weights: over time so many positions, over the height so many channels it reads.
MANY_FOR_WEIGHTS, CHANNELS_FOR_WEIGHTS = 32768, 64
TIME, HEIGHT = 2, 3  # axes of x (N, C, T, H, W)
PLACE = 1  # of either, in what `_inside` gives


def axis_of(x: Tensor, weight: Tensor, window: Window) -> Optional[int]:
    """TIME or HEIGHT, along which a convolution can be done so, and is done sooner; None where it cannot, or is not."""
    if x.dtype != torch.float32 or window.groups != 1 or weight[0, 0].numel() < winograd.LARGE_WINDOW:
        return None
    if x[:, 0].numel() < MANY_POSITIONS * max(window.stride) ** 2:
        return None
    within_frames = (weight.shape[2], window.stride[0], window.padding[0]) == (1, 1, 0)
    for axis in (TIME, HEIGHT) if within_frames else (TIME,):
        number = axis - 2
        alike = (weight.shape[axis], window.stride[number], window.padding[number], window.dilation[number])
        if alike == (3, 1, 1, 1) and x.shape[axis] >= winograd.FEWEST and x.shape[axis] % 2 == 0:
            return axis
    return None


def suits_weights(gradient: Tensor, weight: Tensor, axis: int) -> bool:
    """Whether the gradient of the weights is computed sooner so, too. gradient: of the output; axis: of `axis_of`."""
    if axis == HEIGHT:
        return weight.shape[1] >= CHANNELS_FOR_WEIGHTS
    return gradient[:, 0].numel() >= MANY_FOR_WEIGHTS


def convolve(x: Tensor, weight: Tensor, bias: Optional[Tensor], window: Window, axis: int) -> Tensor:
    """The convolution of x (N, C, T, H, W) by weight (C', C, KT, KH, KW): (N, C', T, H', W'), channels last.

    axis: one that suits, along which the weight has three.
    """
    inside, layout = _inside(x, axis), _of_products(window, axis)
    products = [
        F.conv2d(values, part, bias if number == 1 else None, *layout)
        for number, (values, part) in enumerate(zip(_of_values(inside), _of_weight(weight, axis)))
    ]
    m0, m1, m2, m3 = (_from_pictures(product, inside) for product in products)
    y = m0.new_empty((*inside.shape[: PLACE + 1], *m0.shape[PLACE + 1 :]))
    y0, y1 = winograd.every_other(y, PLACE)
    torch.add(m0, m1, out=y0)
    y0 += m2
    torch.sub(m1, m2, out=y1)
    y1 -= m3
    return y.reshape(len(x), x.shape[2], *y.shape[-3:]).movedim(-1, 1)


def input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window, axis: int) -> Tensor:
    """The gradient of x, of that of the output."""
    around = tuple(extent - 1 - pad for extent, pad in zip(weight.shape[2:], window.padding))
    if max(window.stride) > 1 or max(window.dilation) > 1 or min(around) < 0:
        return gradient_by_pytorch(gradient, x, weight, window, of_x=True)
    return convolve(gradient, weight.flip(2, 3, 4).transpose(0, 1), None, window._replace(padding=around), axis)


def weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, window: Window, axis: int) -> Tensor:
    """The gradient of the weights, of that of the output."""
    of_y0, of_y1 = winograd.every_other(_inside(gradient, axis), PLACE)
    of_products = (of_y0, of_y0 + of_y1, of_y0 - of_y1, of_y1)  # the sign of the last: below
    layout = _of_products(window, axis)
    like = weight.narrow(axis, 0, 1)[:, :, 0].contiguous(memory_format=torch.channels_last)
    p0, p1, p2, p3 = (
        gradient_by_pytorch(_pictures(part), values, like, layout, of_x=False)[:, :, None]
        for part, values in zip(of_products, _of_values(_inside(x, axis)))
    )
    ends = (p1 + p2) / 2
    found = torch.cat((p0 + ends, (p1 - p2) / 2, ends - p3), axis)
    return found.contiguous(memory_format=torch.channels_last_3d)


def _of_values(inside: Tensor) -> list[Tensor]:
    """What the products take of values: pictures each, with half of the axis."""
    return [_pictures(part) for part in winograd.parts_of_values(inside, PLACE)]


def _of_weight(weight: Tensor, axis: int) -> list[Tensor]:
    """What the products take of weight (C', C, KT, KH, KW): weights of pictures."""
    parts = winograd.parts_of_weight(weight, axis)
    return [part[:, :, 0].contiguous(memory_format=torch.channels_last) for part in parts]


def _of_products(window: Window, axis: int) -> Window:
    """That of the products, which are of pictures and reach no further along the axis."""
    layout = window.within_frames()
    return layout if axis == TIME else layout._replace(padding=(0, layout.padding[1]))


def _inside(x: Tensor, axis: int) -> Tensor:
    """x (N, C, T, H, W) as it lies in memory: (N, T, H, W, C), and for the height (N * T, H, W, C)."""
    inside = x.movedim(1, -1)
    return inside if axis == TIME else inside.flatten(0, 1)


def _pictures(inside: Tensor) -> Tensor:
    """(N, T, H, W, C) or (N * T, H, W, C) as (N * T, C, H, W), channels last."""
    frames = inside.flatten(0, 1) if inside.dim() == 5 else inside
    return frames.movedim(-1, 1)


def _from_pictures(product: Tensor, inside: Tensor) -> Tensor:
    """Pictures of a product in the order of `inside`, with half of its axis."""
    last = product.movedim(1, -1)
    return last.reshape(len(inside), inside.shape[PLACE] // 2, *last.shape[2 - inside.dim() :])
