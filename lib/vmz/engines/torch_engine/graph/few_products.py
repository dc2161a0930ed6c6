"""Convolutions of a net in float32 on the CPU with fewer products, over time or over the height (winograd.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine import winograd
from vmz.engines.torch_engine.graph.op import leaf
from vmz.engines.torch_engine.graph.packed import Layout, packed, packed_sum, packed_weight

MANY_POSITIONS = 512  # of an output, and
MANY_CHANNELS = 32  # of what is read, from which fewer products outweigh the sums
AT_ONCE = 1 << 24  # numbers that the products read at a time: more clips one after another, for less memory


def axis_of(extent: Sequence[int], weight: Tensor, layout: Layout) -> Optional[int]:
    """The axis along which products can be saved, and time is: 2 for time of clips, and so on. None: there is none.

    extent: the shape of what the convolution reads.
    """
    if weight.dtype != torch.float32 or layout.groups != 1 or set(layout.stride) != {1} or set(layout.dilation) != {1}:
        return None
    window, positions = weight[0, 0].numel(), torch.Size(extent[2:]).numel() * extent[0]
    if window < winograd.LARGE_WINDOW or weight.shape[1] < MANY_CHANNELS or positions < MANY_POSITIONS:
        return None
    for axis in range(2, weight.dim() - 1):
        alike = (weight.shape[axis], layout.padding[axis - 2]) == (3, 1)
        if alike and extent[axis] >= winograd.FEWEST and extent[axis] % 2 == 0:
            return axis
    return None


def packed_parts(weight: Tensor, layout: Layout, axis: int, extent: Sequence[int]) -> list[Tensor]:
    """The weights of the four products, laid out for oneDNN."""
    half = [size // 2 if place == axis else size for place, size in enumerate(extent)]
    inner = _of_products(layout, axis)
    g0, plus, minus, g2 = winograd.parts_of_weight(weight.double(), axis)
    signed = (g0, plus, minus, -g2)  # m3 then is added, as m0 is
    return [packed_weight(part.float().contiguous(), inner, half) for part in signed]


@leaf
def convolve(
    x: Tensor,
    parts: Sequence[Tensor],
    bias: Optional[Tensor],
    layout: Layout,
    axis: int,
    relu: bool,
    other: Optional[Tensor] = None,
) -> Tensor:
    """The convolution of x (N, C, ..., W) by weights of which `parts` are those of the products; channels last.

    other: a value that is added. relu: whether a ReLU follows. All in float32.
    """
    place, size = axis - 1, x.shape[axis]
    inside = _even(x.movedim(1, -1), place)
    halves = None if other is None else winograd.every_other(_even(other.movedim(1, -1), place), place)
    inner = _of_products(Layout(*layout), axis)
    at_once = max(1, AT_ONCE * len(x) // max(1, 2 * inside.numel()))
    whole: Optional[Tensor] = None
    for first in range(0, max(1, len(x)), at_once):
        clips = slice(first, first + at_once)
        added = () if halves is None else [half[clips].movedim(-1, 1) for half in halves]
        outputs = _outputs(inside[clips], parts, bias, inner, place, relu, added)
        if whole is None:
            whole = x.new_empty((len(x), *outputs[0].shape[1 : place + 1], 2, *outputs[0].shape[place + 1 :]))
        torch.stack(outputs, place + 1, out=whole[clips])
    assert whole is not None
    return whole.flatten(place, place + 1).narrow(place, 0, size).contiguous().movedim(-1, 1)


def _outputs(
    inside: Tensor,
    parts: Sequence[Tensor],
    bias: Optional[Tensor],
    inner: Layout,
    place: int,
    relu: bool,
    others: Sequence[Tensor],
) -> list[Tensor]:
    """Those at even and those at odd places of the axis, in the order (N, ..., C) of their memory."""
    first, plus, minus, last = (part.movedim(-1, 1) for part in winograd.parts_of_values(inside, place))
    g0, g_plus, g_minus, g2 = parts
    m1 = packed()(plus, g_plus, bias, *inner, "none", [], "")
    m2 = packed()(minus, g_minus, None, *inner, "none", [], "")
    outputs = [m1 + m2, m1.sub_(m2)]
    for y, other in zip(outputs, others):
        y += other
    for y, values, weight in zip(outputs, (first, last), (g0, g2)):
        packed_sum()(y, values, weight, None, *inner, "add", 1.0, "relu" if relu else None, [], "")
    return [y.movedim(1, -1) for y in outputs]


def _even(inside: Tensor, place: int) -> Tensor:
    """The values, and one more 0 where their number along the axis is odd."""
    if inside.shape[place] % 2 == 0:
        return inside
    return F.pad(inside, [0, 0] * (inside.dim() - 1 - place) + [0, 1])


def _of_products(layout: Layout, axis: int) -> Layout:
    """That of the products, which reach no further along the axis."""
    padding = [0 if place == axis - 2 else pad for place, pad in enumerate(layout.padding)]
    return layout._replace(padding=padding)
