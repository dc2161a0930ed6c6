"""Element by element: activations, sums, scales, casts, copies, dropout."""

from __future__ import annotations

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.op import Op, operator

# TensorProto.DataType -> torch
DTYPES = {
    1: torch.float32,
    2: torch.int32,
    5: torch.bool,
    6: torch.uint8,
    7: torch.int8,
    9: torch.int16,
    10: torch.int64,
    12: torch.float16,
    13: torch.float64,
}
DTYPE_NAMES = {
    "FLOAT": 1,
    "INT32": 2,
    "BOOL": 5,
    "UINT8": 6,
    "INT8": 7,
    "INT16": 9,
    "INT64": 10,
    "FLOAT16": 12,
    "DOUBLE": 13,
}


@operator("Relu")
def relu(op: Op, x: Tensor) -> Tensor:
    """max(x, 0)"""
    return F.relu(x)


@operator("Sigmoid")
def sigmoid(op: Op, x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))"""
    return torch.sigmoid(x)


@operator("Sum")
def sum_(op: Op, *terms: Tensor) -> Tensor:
    """The sum of all inputs, from the left."""
    return reduce(torch.add, terms)


@operator("Add")
def add(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """a + b, broadcast from the trailing axes as numpy does."""
    return torch.add(a, b)


@operator("Mul")
def mul(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """a * b, broadcast from the trailing axes as numpy does."""
    return torch.mul(a, b)


@operator("Scale", "scale")
def scale(op: Op, x: Tensor) -> Tensor:
    """A constant times x."""
    return torch.mul(x, op.arg("scale", 1.0))


@operator("WeightedSum")
def weighted_sum(op: Op, *terms_and_weights: Tensor) -> Tensor:
    """x0 w0 + x1 w1 + ...: the inputs come in pairs, the weights hold one number each."""
    pairs = zip(terms_and_weights[::2], terms_and_weights[1::2])
    return reduce(torch.add, [torch.mul(term, weight) for term, weight in pairs])


@operator("ElementwiseLinear", "axis")
def elementwise_linear(op: Op, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x * w + b with one weight for each place along `axis`; what follows that axis counts as part of it."""
    flat = torch.flatten(x, op.arg("axis", 1))
    return torch.add(torch.mul(flat, weight), bias).view_as(x)


@operator("Cast", "to")
def cast(op: Op, x: Tensor) -> Tensor:
    """Another element type, `to` being a TensorProto.DataType by number or name."""
    to = op.arg("to", 1)
    number = DTYPE_NAMES.get(to.upper()) if isinstance(to, str) else to
    if number not in DTYPES:
        raise op.unsupported("to", f"the types are {', '.join(f'{name} ({at})' for name, at in DTYPE_NAMES.items())}")
    return x.to(DTYPES[number])


@operator("StopGradient")
def stop_gradient(op: Op, x: Tensor) -> Tensor:
    """x, through which no gradient flows."""
    return x.detach()


@operator("Copy")
def copy(op: Op, x: Tensor) -> Tensor:
    """x: values are never changed in place here, so a copy need not be one."""
    return x


@operator("Dropout", "ratio is_test")
def dropout(op: Op, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
    """Zero a share `ratio` of the elements and scale the others up; in testing nothing, and then there is no mask."""
    if op.arg("is_test", 0):
        return x
    kept = 1 - op.arg("ratio", 0.5)
    mask = torch.bernoulli(torch.full_like(x, kept))
    return torch.mul(x, mask / kept), mask.to(torch.bool)
