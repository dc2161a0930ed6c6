"""Values that a net makes of nothing: constants, ranges, random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, check_filled, leaf, operator
from vmz.engines.torch_engine.graph.operators.types import DTYPES, dtype_argument
from vmz.errors import VmzError
from vmz.netdef.protos import DATA_TYPES

SHAPE = "shape extra_shape input_as_shape"


def constant_type(op: Op) -> torch.dtype:
    """The type of a ConstantFill: `dtype`, or int64 where the value is an integer, else float32; as Caffe2 does."""
    kind = "INT64" if isinstance(op.arg("value", 0.0), int) else "FLOAT"
    return dtype_argument(op, "dtype", DATA_TYPES[kind])


@operator("ConstantFill", f"{SHAPE} value dtype")
def constant_fill(op: Op, *like: Tensor) -> Tensor:
    """`value` everywhere, in the shape of the input, or the one that it holds (input_as_shape), or of `shape`."""
    value = op.arg("value", 0.0)
    if isinstance(value, str):
        raise op.unsupported("value", "only numbers are")
    return _filled(op, like, constant_type(op), "full", [value])


@operator("UniformFill", f"{SHAPE} min max")
def uniform_fill(op: Op, *like: Tensor) -> Tensor:
    """Random numbers between `min` (0) and `max` (1)."""
    return _filled(op, like, torch.float32, "uniform", [op.arg("min", 0.0), op.arg("max", 1.0)])


@operator("GaussianFill", f"{SHAPE} mean std")
def gaussian_fill(op: Op, *like: Tensor) -> Tensor:
    """Random numbers around `mean` (0) with deviation `std` (1)."""
    return _filled(op, like, torch.float32, "normal", [op.arg("mean", 0.0), op.arg("std", 1.0)])


def _filled(op: Op, like: Sequence[Tensor], dtype: torch.dtype, kind: str, numbers: Sequence[float]) -> Tensor:
    if len(like) > 1:
        raise VmzError(f"{op} has {len(like)} inputs; a fill has at most one, for its shape")
    if not like and kind != "full":
        raise VmzError(f"{op} makes random numbers in a net; the PyTorch engine needs an input for their shape")
    if not like:
        shape = op.arg("shape", [])
        check_filled(op, [shape] if isinstance(shape, int) else shape)
        return made(shape, [], kind, numbers, dtype)
    if op.arg("shape", []):
        raise op.unsupported("shape", "the input gives the shape")
    extra = op.arg("extra_shape", [])
    return made_to(like[0], extra, kind, numbers, dtype) if op.arg("input_as_shape", 0) else made_like(
        like[0], extra, kind, numbers, dtype
    )  # fmt: skip


def made(shape: Any, extra: Any, kind: str, numbers: Sequence[float], dtype: torch.dtype, device: Any = None) -> Tensor:
    """A tensor of `shape` and then `extra`. kind: full, uniform or normal."""
    sides = [*([shape] if isinstance(shape, int) else shape), *([extra] if isinstance(extra, int) else extra)]
    if kind == "full":
        return torch.full(sides, numbers[0], dtype=dtype, device=device)
    empty = torch.empty(sides, dtype=dtype, device=device)
    return empty.uniform_(*numbers) if kind == "uniform" else empty.normal_(*numbers)


@leaf
def made_like(x: Tensor, extra: Any, kind: str, numbers: Sequence[float], dtype: torch.dtype) -> Tensor:
    """In the shape of x."""
    return made(list(x.shape), extra, kind, numbers, dtype, x.device)


@leaf
def made_to(shape: Tensor, extra: Any, kind: str, numbers: Sequence[float], dtype: torch.dtype) -> Tensor:
    """In the shape that x holds."""
    return made(shape.tolist(), extra, kind, numbers, dtype, shape.device)


GIVEN = {
    "GivenTensorFill": "FLOAT",
    "GivenTensorDoubleFill": "DOUBLE",
    "GivenTensorIntFill": "INT32",
    "GivenTensorInt64Fill": "INT64",
    "GivenTensorInt16Fill": "INT16",
    "GivenTensorBoolFill": "BOOL",
}


def given_tensor(op: Op) -> Tensor:
    """The numbers of `values`, of the type that the operator's name says, in `shape`."""
    values = torch.tensor(op.arg("values", []), dtype=DTYPES[DATA_TYPES[GIVEN[op.type]]])
    return values.reshape(list(op.arg("shape", [values.numel()])))


for _name in GIVEN:
    operator(_name, "shape values")(given_tensor)
