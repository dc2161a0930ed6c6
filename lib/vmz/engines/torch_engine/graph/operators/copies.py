"""What hands a value on: copies between devices, casts, stopped gradients, dropout."""

from __future__ import annotations

import torch
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, operator
from vmz.engines.torch_engine.graph.operators.types import dtype_argument


def copy(op: Op, x: Tensor, *like: Tensor) -> Tensor:
    """x: values are never changed in place here, and all of a module is on one device, so a copy need not be one."""
    return x


for _name in (
    "Copy",
    "CopyCPUToGPU",
    "CopyFromCPUInput",
    "CopyGPUToCPU",
    "CopyOnDeviceLike",
    "EnsureCPUOutput",
    "EnsureDense",
    "NanCheck",
    "Alias",
):
    operator(_name)(copy)


@operator("Cast", "to from_type")
def cast(op: Op, x: Tensor) -> Tensor:
    """Another element type, `to` being a TensorProto.DataType by number or name."""
    return x.to(dtype_argument(op, "to", 1))


@operator("HalfToFloat")
def half_to_float(op: Op, x: Tensor) -> Tensor:
    """float16 to float32"""
    return x.to(torch.float32)


@operator("FloatToHalf", "clip")
def float_to_half(op: Op, x: Tensor) -> Tensor:
    """float32 to float16; with `clip` what is too large becomes the largest float16."""
    largest = torch.finfo(torch.float16).max
    return (torch.clamp(x, -largest, largest) if op.arg("clip", 0) else x).to(torch.float16)


@operator("StopGradient")
def stop_gradient(op: Op, x: Tensor) -> Tensor:
    """x, through which no gradient flows."""
    return x.detach()


@operator("Dropout", "ratio is_test")
def dropout(op: Op, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
    """Zero a share `ratio` of the elements and scale the others up; in testing nothing, and then there is no mask."""
    if op.arg("is_test", 0):
        return x
    kept = 1 - op.arg("ratio", 0.5)
    mask = torch.bernoulli(torch.full_like(x, kept))
    return torch.mul(x, mask / kept), mask.to(torch.bool)
