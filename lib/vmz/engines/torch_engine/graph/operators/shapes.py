"""Operators that give the elements another shape or order and never change one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vmz.engines.torch_engine.graph.op import NCHW_ONLY, Op, leaf, operator
from vmz.errors import VmzError


@operator("Reshape", "shape")
def reshape(op: Op, x: Tensor, *shape: Tensor) -> tuple[Tensor, Tensor]:
    """Another shape: 0 keeps an extent, -1 is worked out. The second output is the old shape, int64.

    The shape is an argument, or a second input: an old shape that another Reshape gave, most often.
    """
    if not shape:
        return reshaped(x, op.arg("shape", [])), old_shape(x)
    like = shape_of_what(shape[0])
    if like is None:
        return reshaped_to(x, shape[0]), old_shape_as(x, shape[0])
    return reshaped_like(x, like), old_shape(x)


@leaf
def reshaped(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x in `shape`, where 0 stands for the extent that x has there."""
    return torch.reshape(x, [x.shape[axis] if extent == 0 else extent for axis, extent in enumerate(shape)])


@leaf
def reshaped_to(x: Tensor, shape: Tensor) -> Tensor:
    """As `reshaped`, to the numbers that a blob holds."""
    return reshaped(x, shape.tolist())


@leaf
def reshaped_like(x: Tensor, like: Tensor) -> Tensor:
    """x in the shape of another value."""
    return torch.reshape(x, like.shape)


def shape_of_what(shape: Any) -> Any:
    """The value whose `old_shape` this is, so that nothing has to be read out of a blob; None where it is another's."""
    node = getattr(shape, "node", None)
    if node is None or node.target not in (old_shape, old_shape_as):
        return None
    return type(shape)(node.args[0], shape.tracer)


@leaf
def old_shape(x: Tensor) -> Tensor:
    """int64, the shape of x."""
    return torch.tensor(x.shape, dtype=torch.int64)


@leaf
def old_shape_as(x: Tensor, shape: Tensor) -> Tensor:
    """The shape of x, in the type of another one."""
    return torch.tensor(x.shape, dtype=shape.dtype)


@operator("Shape", "axes")
def shape_(op: Op, x: Tensor) -> Tensor:
    """int64, the shape of x, or its extents along `axes`."""
    return some_extents(x, op.arg("axes", [])) if op.arg("axes", []) else old_shape(x)


@leaf
def some_extents(x: Tensor, axes: Sequence[int]) -> Tensor:
    """int64, the extents of x along `axes`."""
    return torch.tensor([x.shape[axis] for axis in axes], dtype=torch.int64)


@operator("Size")
def size(op: Op, x: Tensor) -> Tensor:
    """int64, the number of elements."""
    return count(x)


@leaf
def count(x: Tensor) -> Tensor:
    """int64 scalar, the number of elements."""
    return torch.tensor(x.numel(), dtype=torch.int64)


@operator("ResizeLike")
def resize_like(op: Op, x: Tensor, like: Tensor) -> Tensor:
    """x in the shape of another value."""
    return reshaped_like(x, like)


@operator("Flatten", "axis")
def flatten(op: Op, x: Tensor) -> Tensor:
    """Two axes: everything before `axis`, and the rest."""
    return two_axes(x, op.arg("axis", 1))


@leaf
def two_axes(x: Tensor, axis: int) -> Tensor:
    """x with the axes before `axis` as one, and the others as one."""
    return torch.reshape(x, [int(torch.Size(x.shape[:axis]).numel()), -1])


@operator("FlattenToVec")
def flatten_to_vec(op: Op, x: Tensor) -> Tensor:
    """One axis."""
    return torch.flatten(x)


@operator("MergeDim")
def merge_dim(op: Op, x: Tensor) -> Tensor:
    """The first two axes as one."""
    return torch.flatten(x, 0, 1)


@operator("PrependDim", "dim_size")
def prepend_dim(op: Op, x: Tensor) -> Tensor:
    """The first axis as two, of which the first has extent `dim_size`."""
    return prepended(x, op.arg("dim_size", 0))


@leaf
def prepended(x: Tensor, extent: int) -> Tensor:
    """x (N, ...) as (extent, N / extent, ...)."""
    return torch.reshape(x, [extent, x.shape[0] // extent, *x.shape[1:]])


@operator("Squeeze", "dims")
def squeeze(op: Op, x: Tensor) -> Tensor:
    """Without the axes `dims`, which must have extent 1."""
    return squeezed(x, op.arg("dims", []))


@leaf
def squeezed(x: Tensor, dims: Sequence[int]) -> Tensor:
    """x without the axes `dims`; unlike torch.squeeze, an axis that is longer than 1 is an error."""
    return torch.reshape(x, [extent for axis, extent in enumerate(x.shape) if axis not in dims])


@operator("ExpandDims", "dims")
def expand_dims(op: Op, x: Tensor) -> Tensor:
    """With new axes of extent 1 at the places `dims` of the result."""
    for axis in sorted(op.arg("dims", [])):
        x = torch.unsqueeze(x, axis)
    return x


@operator("Expand")
def expand(op: Op, x: Tensor, shape: Tensor) -> Tensor:
    """x repeated along axes of extent 1, to the shape that `shape` and its own have when broadcast."""
    like = shape_of_what(shape)
    return expanded_to(x, shape) if like is None else expanded_like(x, like)


@leaf
def expanded(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x as broadcast with a value of `shape`."""
    common = list(torch.broadcast_shapes(tuple(x.shape), tuple(1 if side == -1 else side for side in shape)))
    return x.expand(common).contiguous()


@leaf
def expanded_to(x: Tensor, shape: Tensor) -> Tensor:
    """As `expanded`, to the numbers that a blob holds."""
    return expanded(x, shape.tolist())


@leaf
def expanded_like(x: Tensor, like: Tensor) -> Tensor:
    """As `expanded`, to the shape of another value."""
    return expanded(x, like.shape)


@operator("Tile", "tiles axis")
def tile(op: Op, x: Tensor, *numbers: Tensor) -> Tensor:
    """x repeated `tiles` times along `axis`: arguments, or the numbers that further inputs hold."""
    if numbers:
        return tiled(x, numbers[0], numbers[1] if len(numbers) > 1 else op.arg("axis", 0))
    if "tiles" not in op.arguments:
        raise VmzError(f"{op} has neither an argument tiles nor an input for it; give one of them")
    return torch.cat([x] * op.arg("tiles", 1), op.arg("axis", 0))


@leaf
def tiled(x: Tensor, tiles: Tensor, axis: Any) -> Tensor:
    """x repeated along an axis, which is a number or held by a blob."""
    return torch.cat([x] * int(tiles), int(axis))


@operator("Transpose", "axes")
def transpose(op: Op, x: Tensor) -> Tensor:
    """The axes in the order `axes`; turned round where none are given."""
    return x.permute(*op.arg("axes", [])) if op.arg("axes", []) else turned_round(x)


@leaf
def turned_round(x: Tensor) -> Tensor:
    """The last axis first."""
    return x.permute(*reversed(range(x.dim())))


@operator("NCHW2NHWC")
def nchw_to_nhwc(op: Op, x: Tensor) -> Tensor:
    """Channels last; any number of axes between."""
    return torch.movedim(x, 1, -1)


@operator("NHWC2NCHW")
def nhwc_to_nchw(op: Op, x: Tensor) -> Tensor:
    """Channels second; any number of axes between."""
    return torch.movedim(x, -1, 1)


@operator("SpaceToBatch", "pad block_size", channels_last=NCHW_ONLY)
def space_to_batch(op: Op, x: Tensor) -> Tensor:
    """Blocks of pixels to places of the batch: (N, C, H b, W b) to (b b N, C, H, W), of x with zeros around."""
    return to_batch(x, op.arg("block_size", 2), op.arg("pad", 0))


@operator("BatchToSpace", "pad block_size", channels_last=NCHW_ONLY)
def batch_to_space(op: Op, x: Tensor) -> Tensor:
    """SpaceToBatch backwards; what it padded is cut off."""
    return to_space(x, op.arg("block_size", 2), op.arg("pad", 0))


@leaf
def to_batch(x: Tensor, block: int, pad: int) -> Tensor:
    """See `space_to_batch`."""
    x = torch.nn.functional.pad(x, [pad] * 4)
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block)
    return parts.permute(3, 5, 0, 1, 2, 4).reshape(-1, c, h // block, w // block)


@leaf
def to_space(x: Tensor, block: int, pad: int) -> Tensor:
    """See `batch_to_space`."""
    n, c, h, w = x.shape
    parts = x.reshape(block, block, n // block**2, c, h, w).permute(2, 3, 4, 0, 5, 1)
    whole = parts.reshape(n // block**2, c, h * block, w * block)
    return whole[:, :, pad : h * block - pad, pad : w * block - pad]
