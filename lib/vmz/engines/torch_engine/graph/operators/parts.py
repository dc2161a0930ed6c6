"""Joining, splitting, cutting out and picking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, leaf, operator
from vmz.engines.torch_engine.graph.operators.windows import PADS
from vmz.netdef.window_arguments import read_pads


def _channels(op: Op) -> int:
    return 3 if op.arg("order", "NCHW") == "NHWC" else 1


@operator("Concat", "axis add_axis")
def concat(op: Op, *parts: Tensor) -> tuple[Tensor, Tensor]:
    """Join along `axis`, or along a new one; the second output holds the parts' extents along it, int32."""
    axis = op.arg("axis", _channels(op))
    if op.arg("add_axis", 0):
        return torch.stack(parts, axis), extents([torch.unsqueeze(part, axis) for part in parts], axis)
    return torch.cat(parts, axis), extents(parts, axis)


@operator("DepthConcat")
def depth_concat(op: Op, *parts: Tensor) -> tuple[Tensor, Tensor]:
    """Join along the channels; then the parts' numbers of channels, int32."""
    return torch.cat(parts, _channels(op)), extents(parts, _channels(op))


@leaf
def extents(parts: Sequence[Tensor], axis: int) -> Tensor:
    """int32, how long each part is along `axis`."""
    return torch.tensor([part.shape[axis] for part in parts], dtype=torch.int32)


@operator("Split", "axis add_axis split")
def split(op: Op, x: Tensor, *lengths: Tensor) -> tuple[Tensor, ...]:
    """One part an output along `axis`: of the lengths `split` (or a second input), or of equal length."""
    return _split(op, x, op.arg("axis", _channels(op)), *lengths)


@operator("DepthSplit", "split")
def depth_split(op: Op, x: Tensor, *lengths: Tensor) -> tuple[Tensor, ...]:
    """Split along the channels."""
    return _split(op, x, _channels(op), *lengths)


def _split(op: Op, x: Tensor, axis: int, *lengths: Tensor) -> tuple[Tensor, ...]:
    given: Any = lengths[0] if lengths else op.arg("split", [])
    found = pieces(x, axis, given, len(op.outputs), bool(op.arg("add_axis", 0)))
    return tuple(found[place] for place in range(len(op.outputs)))


@leaf
def pieces(x: Tensor, axis: int, lengths: Any, count: int, remove: bool) -> list[Tensor]:
    """x in `count` pieces along `axis`; with `remove` they are of extent 1, and that axis goes."""
    sizes = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    if not sizes and x.shape[axis] % count:
        raise RuntimeError(f"an input of shape {tuple(x.shape)} has no {count} equal parts along axis {axis}")
    sizes = sizes or [x.shape[axis] // count] * count
    if sum(sizes) != x.shape[axis] or len(sizes) != count:
        raise RuntimeError(f"parts of {sizes} along axis {axis} are not an input of shape {tuple(x.shape)}")
    found = torch.split(x, sizes, axis)
    return [part.squeeze(axis) for part in found] if remove else list(found)


@operator("Slice", "starts ends")
def slice_(op: Op, x: Tensor, *places: Tensor) -> Tensor:
    """From `starts` to before `ends`, for each axis; -1 is the end, -2 the place before the last."""
    if places:
        return sliced_at(x, *places)
    return sliced(x, op.arg("starts", []), op.arg("ends", []))


@leaf
def sliced(x: Tensor, starts: Sequence[int], ends: Sequence[int]) -> Tensor:
    """x from starts[axis] to before ends[axis]; axes that are not mentioned stay whole."""
    for axis, (start, end) in enumerate(zip(starts, ends)):
        extent = x.shape[axis]
        start = start + extent + 1 if start < 0 else start
        end = end + extent + 1 if end < 0 else min(end, extent)
        x = x.narrow(axis, min(start, extent), max(end - start, 0))
    return x


@leaf
def sliced_at(x: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    """As `sliced`, from and to the numbers that blobs hold."""
    return sliced(x, starts.tolist(), ends.tolist())


@operator("PadImage", f"{PADS} mode value", channels_last=(1, 1))
def pad_image(op: Op, x: Tensor) -> Tensor:
    """Wider at the sides of the last two axes: by `value` (0), by reflection, or by repeating the edge."""
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    mode = op.arg("mode", "constant")
    if mode not in modes:
        raise op.unsupported("mode", f"the modes are {', '.join(modes)}")
    top, left, bottom, right = read_pads(str(op), op.arguments)
    widths = [left, right, top, bottom]
    return F.pad(x, widths, value=op.arg("value", 0.0)) if mode == "constant" else F.pad(x, widths, mode=modes[mode])


@operator("Gather", "axis match_outer wrap_indices")
def gather(op: Op, x: Tensor, places: Tensor) -> Tensor:
    """The entries of x at `places` along `axis` (0); the axes of `places` stand where that axis stood."""
    return gathered(x, places, op.arg("axis", 0), bool(op.arg("match_outer", 0)))


@operator("BatchGather", "match_outer")
def batch_gather(op: Op, x: Tensor, places: Tensor) -> Tensor:
    """Gather along axis 1."""
    return gathered(x, places, 1, bool(op.arg("match_outer", 0)))


@leaf
def gathered(x: Tensor, places: Tensor, axis: int, match_outer: bool) -> Tensor:
    """x at places; with match_outer the axes before `axis` are those of `places`, each with places of its own."""
    axis += x.dim() if axis < 0 else 0
    places = places.to(torch.int64)
    places = torch.where(places < 0, places + x.shape[axis], places)
    if not match_outer:
        return x.index_select(axis, places.reshape(-1)).reshape([*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]])
    outer, inner = list(places.shape[:axis]), list(x.shape[axis + 1 :])
    index = places.reshape([*outer, -1, *[1] * len(inner)]).expand([*outer, -1, *inner])
    return x.gather(axis, index).reshape([*outer, *places.shape[axis:], *inner])


@operator("OneHot")
def one_hot(op: Op, places: Tensor, classes: Tensor) -> Tensor:
    """float32, a row for each place with a 1 there; the second input holds the number of classes."""
    return ones_at(places, classes)


@leaf
def ones_at(places: Tensor, classes: Tensor) -> Tensor:
    """float32 (N, classes)"""
    return F.one_hot(places.to(torch.int64), int(classes)).to(torch.float32)


def resized(x: Tensor, scales: Sequence[float]) -> Tensor:
    """x, each of its last axes `scale` times as long, every new place showing the old one that it falls into."""
    for axis, scale in enumerate(scales, x.dim() - len(scales)):
        extent = x.shape[axis]
        new = torch.arange(int(extent * scale), dtype=torch.float32, device=x.device)
        old = torch.floor(new / torch.tensor(scale, dtype=torch.float32)).to(torch.int64)
        x = x.index_select(axis, torch.clamp(old, max=extent - 1))
    return x


nearest = leaf(resized)


@operator("ResizeNearest", "width_scale height_scale", channels_last=(1, 1))
def resize_nearest(op: Op, x: Tensor) -> Tensor:
    """Height and width times the scales (1), by the nearest pixel."""
    return nearest(x, [op.arg("height_scale", 1.0), op.arg("width_scale", 1.0)])


@operator("ResizeNearest3D", "width_scale height_scale temporal_scale", channels_last=(1, 1))
def resize_nearest_3d(op: Op, x: Tensor) -> Tensor:
    """Time, height and width times the scales (1), by the nearest pixel."""
    return nearest(x, [op.arg(f"{side}_scale", 1.0) for side in ("temporal", "height", "width")])


@operator("UpsampleBilinear", "width_scale height_scale", channels_last=(1, 1))
def upsample_bilinear(op: Op, x: Tensor) -> Tensor:
    """Height and width times the scales (1), with straight lines between pixels; corners stay corners."""
    return bilinear(x, op.arg("height_scale", 1.0), op.arg("width_scale", 1.0))


@leaf
def bilinear(x: Tensor, height_scale: float, width_scale: float) -> Tensor:
    """x (N, C, H, W) at int(H height_scale) x int(W width_scale)."""
    size = (int(x.shape[2] * height_scale), int(x.shape[3] * width_scale))
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)
