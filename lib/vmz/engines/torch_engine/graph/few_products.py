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
LARGE_PICTURE = 8192  # positions of a frame of few channels, and
VAST_WINDOW = 49  # weights of their window in a frame, from which a pair of frames at a time is worth its calls


def axis_of(extent: Sequence[int], weight: Tensor, layout: Layout) -> Optional[int]:
    """The axis along which products can be saved, and time is: 2 for time of clips, and so on. None: there is none.

    extent: the shape of what the convolution reads.
    """
    if weight.dtype != torch.float32 or layout.groups != 1 or set(layout.dilation) != {1}:
        return None
    if _has_few_channels(extent):
        return 2 if _is_large(extent, weight) and _is_along(2, extent, weight, layout) else None
    window, positions = weight[0, 0].numel(), torch.Size(extent[2:]).numel() * extent[0]
    if set(layout.stride) != {1} or window < winograd.LARGE_WINDOW or positions < MANY_POSITIONS:
        return None
    return next((axis for axis in range(2, weight.dim() - 1) if _is_along(axis, extent, weight, layout)), None)


def _is_along(axis: int, extent: Sequence[int], weight: Tensor, layout: Layout) -> bool:
    """Whether the outputs along the axis are pairs of three weights."""
    is_of_three = (weight.shape[axis], layout.padding[axis - 2], layout.stride[axis - 2]) == (3, 1, 1)
    return is_of_three and extent[axis] >= winograd.FEWEST and extent[axis] % 2 == 0


def _is_large(extent: Sequence[int], weight: Tensor) -> bool:
    """Whether clips of few channels have frames and windows so large that products count."""
    picture, window = (torch.Size(sizes[3:]).numel() for sizes in (extent, weight.shape))
    return weight.dim() == 5 and picture >= LARGE_PICTURE and window >= VAST_WINDOW


def _has_few_channels(extent: Sequence[int]) -> bool:
    """Whether a pair of frames is computed at a time: of few channels the products are soon, beside the sums, and
    those of a pair stay in the cache."""
    return extent[1] < MANY_CHANNELS


def packed_parts(weight: Tensor, layout: Layout, axis: int, extent: Sequence[int]) -> list[Tensor]:
    """The weights of the four products, laid out for oneDNN."""
    pairs = 1 if _has_few_channels(extent) else extent[axis] // 2
    half = [pairs if place == axis else size for place, size in enumerate(extent)]
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
    inner = _of_products(Layout(*layout), axis)
    if (x.dim(), axis) == (5, 2) and len(x) and _has_few_channels(x.shape):
        return _by_pairs_of_frames(x, parts, bias, inner, relu, other)
    place, size = axis - 1, x.shape[axis]
    inside = _even(x.movedim(1, -1), place)
    halves = None if other is None else winograd.every_other(_even(other.movedim(1, -1), place), place)
    at_once = max(1, AT_ONCE * len(x) // max(1, 2 * inside.numel()))
    whole: Optional[Tensor] = None
    for first in range(0, max(1, len(x)), at_once):
        clips = slice(first, first + at_once)
        values = [part.movedim(-1, 1) for part in winograd.parts_of_values(inside[clips], place)]
        added = () if halves is None else [half[clips].movedim(-1, 1) for half in halves]
        outputs = [y.movedim(1, -1) for y in _outputs(values, parts, bias, inner, relu, added)]
        if whole is None:
            whole = x.new_empty((len(x), *outputs[0].shape[1 : place + 1], 2, *outputs[0].shape[place + 1 :]))
        torch.stack(outputs, place + 1, out=whole[clips])
    assert whole is not None
    return whole.flatten(place, place + 1).narrow(place, 0, size).contiguous().movedim(-1, 1)


def _by_pairs_of_frames(
    x: Tensor, parts: Sequence[Tensor], bias: Optional[Tensor], inner: Layout, relu: bool, other: Optional[Tensor]
) -> Tensor:
    """The same over time, for clips (N, C, T, H, W) of few channels; each pair is written to its place."""
    values = [part.movedim(-1, 1) for part in winograd.parts_of_values(_even(x.movedim(1, -1), 1), 1)]
    pairs, (channels, _, _, *window) = values[0].shape[2], parts[0].shape
    sizes = [
        (size + 2 * pad - weights) // stride + 1
        for size, pad, weights, stride in zip(x.shape[3:], inner.padding[1:], window, inner.stride[1:])
    ]
    whole = x.new_empty((len(x), 2 * pairs, *sizes, channels)).movedim(-1, 1)
    frames = _frames(whole)
    others = [] if other is None else _frames(_even(other.movedim(1, -1), 1).movedim(-1, 1))
    for pair, read in enumerate(zip(*map(_frames, values))):
        at = slice(2 * pair, 2 * pair + 2)
        _outputs(read, parts, bias, inner, relu, others[at], frames[at])
    return whole.narrow(2, 0, x.shape[2]).contiguous(memory_format=torch.channels_last_3d)


def _frames(clips: Tensor) -> list[Tensor]:
    """Those of clips (N, C, T, H, W), one after another: views."""
    return [frame for clip in clips.split(1) for frame in clip.split(1, 2)]


def _outputs(
    values: Sequence[Tensor],
    parts: Sequence[Tensor],
    bias: Optional[Tensor],
    inner: Layout,
    relu: bool,
    others: Sequence[Tensor],
    places: Sequence[Optional[Tensor]] = (None, None),
) -> list[Tensor]:
    """Those at even and those at odd places of the axis, written to `places` where there are some."""
    first, plus, minus, last = values
    g0, g_plus, g_minus, g2 = parts
    m1 = packed()(plus, g_plus, bias, *inner, "none", [], "")
    m2 = packed()(minus, g_minus, None, *inner, "none", [], "")
    even, odd = places
    outputs = [torch.add(m1, m2, out=even), torch.sub(m1, m2, out=m1 if odd is None else odd)]
    for y, other in zip(outputs, others):
        y += other
    for y, read, weight in zip(outputs, (first, last), (g0, g2)):
        packed_sum()(y, read, weight, None, *inner, "add", 1.0, "relu" if relu else None, [], "")
    return outputs


def _even(inside: Tensor, place: int) -> Tensor:
    """The values, and one more 0 where their number along the axis is odd."""
    if inside.shape[place] % 2 == 0:
        return inside
    return F.pad(inside, [0, 0] * (inside.dim() - 1 - place) + [0, 1])


def _of_products(layout: Layout, axis: int) -> Layout:
    """That of the products, which reach no further along the axis."""
    padding = [0 if place == axis - 2 else pad for place, pad in enumerate(layout.padding)]
    return layout._replace(padding=padding)
