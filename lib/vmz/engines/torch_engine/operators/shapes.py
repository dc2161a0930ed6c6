"""Operators that move elements and never change one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vmz.engines.torch_engine.op import Op, leaf, operator


@operator("Concat", "axis add_axis")
def concat(op: Op, *parts: Tensor) -> tuple[Tensor, Tensor]:
    """Join along `axis`, or along a new one; the second output holds the parts' extents along it, int32."""
    axis = op.arg("axis", 1)
    if op.arg("add_axis", 0):
        return torch.stack(parts, axis), extents([torch.unsqueeze(part, axis) for part in parts], axis)
    return torch.cat(parts, axis), extents(parts, axis)


@leaf
def extents(parts: Sequence[Tensor], axis: int) -> Tensor:
    """int32, how long each part is along `axis`."""
    return torch.tensor([part.shape[axis] for part in parts], dtype=torch.int32)


@operator("Reshape", "shape")
def reshape(op: Op, x: Tensor) -> tuple[Tensor, Tensor]:
    """Another shape: 0 keeps an extent, -1 is worked out. The second output is the old shape, int64."""
    return reshaped(x, op.arg("shape", [])), old_shape(x)


@leaf
def reshaped(x: Tensor, shape: list[int]) -> Tensor:
    """x in `shape`, where 0 stands for the extent that x has there."""
    return torch.reshape(x, [x.shape[axis] if extent == 0 else extent for axis, extent in enumerate(shape)])


@leaf
def old_shape(x: Tensor) -> Tensor:
    """int64, the shape of x."""
    return torch.tensor(x.shape, dtype=torch.int64)


@operator("Flatten", "axis")
def flatten(op: Op, x: Tensor) -> Tensor:
    """Two axes: everything before `axis`, and the rest."""
    return two_axes(x, op.arg("axis", 1))


@leaf
def two_axes(x: Tensor, axis: int) -> Tensor:
    """x with the axes before `axis` as one, and the others as one."""
    return torch.reshape(x, [int(torch.Size(x.shape[:axis]).numel()), -1])


@operator("Squeeze", "dims")
def squeeze(op: Op, x: Tensor) -> Tensor:
    """Without the axes `dims`, which must have extent 1."""
    return squeezed(x, op.arg("dims", []))


@leaf
def squeezed(x: Tensor, dims: list[int]) -> Tensor:
    """x without the axes `dims`; unlike torch.squeeze, an axis that is longer than 1 is an error."""
    return torch.reshape(x, [extent for axis, extent in enumerate(x.shape) if axis not in dims])


@operator("ExpandDims", "dims")
def expand_dims(op: Op, x: Tensor) -> Tensor:
    """With new axes of extent 1 at the places `dims` of the result."""
    for axis in sorted(op.arg("dims", [])):
        x = torch.unsqueeze(x, axis)
    return x


@operator("Tile", "tiles axis")
def tile(op: Op, x: Tensor) -> Tensor:
    """x repeated `tiles` times along `axis`."""
    return torch.cat([x] * op.arg("tiles", 1), op.arg("axis", 0))


@operator("Transpose", "axes")
def transpose(op: Op, x: Tensor) -> Tensor:
    """The axes in the order `axes`."""
    if not op.arg("axes", []):
        raise op.unsupported("axes", "name every axis")
    return x.permute(*op.arg("axes", []))


@operator("NCHW2NHWC")
def nchw_to_nhwc(op: Op, x: Tensor) -> Tensor:
    """Channels last; any number of axes between."""
    return torch.movedim(x, 1, -1)


@operator("NHWC2NCHW")
def nhwc_to_nchw(op: Op, x: Tensor) -> Tensor:
    """Channels second; any number of axes between."""
    return torch.movedim(x, -1, 1)
