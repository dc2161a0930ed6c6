"""Sums, products, quotients and comparisons of two or more values."""

from __future__ import annotations

from functools import reduce
from typing import Any, Callable

import torch
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, leaf, operator
from vmz.errors import VmzError

BROADCAST = "broadcast axis axis_str"


@operator("Sum")
def sum_(op: Op, *terms: Tensor) -> Tensor:
    """The sum of all inputs, from the left."""
    return reduce(torch.add, terms)


@operator("Mean")
def mean(op: Op, *terms: Tensor) -> Tensor:
    """The mean of all inputs, element by element."""
    return torch.div(reduce(torch.add, terms), len(terms))


@operator("Max")
def max_(op: Op, *terms: Tensor) -> Tensor:
    """The largest of all inputs, element by element."""
    return reduce(torch.maximum, terms)


@operator("Min")
def min_(op: Op, *terms: Tensor) -> Tensor:
    """The smallest of all inputs, element by element."""
    return reduce(torch.minimum, terms)


@operator("Add", BROADCAST)
def add(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """a + b"""
    return torch.add(a, in_place_of(op, a, b))


@operator("Sub", BROADCAST)
def sub(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """a - b"""
    return torch.sub(a, in_place_of(op, a, b))


@operator("Mul", BROADCAST)
def mul(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """a * b"""
    return torch.mul(a, in_place_of(op, a, b))


@operator("Div", BROADCAST)
def div(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """a / b; of integers the whole part, towards 0."""
    return quotient(a, in_place_of(op, a, b))


@leaf
def quotient(a: Tensor, b: Tensor) -> Tensor:
    """a / b in the type of a."""
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def in_place_of(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """b with its axes where the arguments say; PyTorch then repeats it along the others.

    Without `broadcast` the axes are matched from the last one, as numpy does. With it b's first axis is a's axis
    `axis`, or the one that `axis_str` names in `order`; by default b's axes are a's last.
    """
    for name in ("axis", "axis_str"):
        if name in op.arguments and not op.arg("broadcast", 0):
            raise op.unsupported(name, "it goes with broadcast=1")
    axis = op.arg("axis", -1)
    if "axis_str" in op.arguments:
        axis = op.arg("order", "NCHW").find(op.arg("axis_str", ""))
        if axis < 0 or len(op.arg("axis_str", "")) != 1 or "axis" in op.arguments:
            raise op.unsupported("axis_str", "it is one letter of order, and there is no axis beside it")
    return b if axis == -1 else beginning_at(b, a, axis)


@leaf
def beginning_at(b: Tensor, a: Tensor, axis: int) -> Tensor:
    """b with axes of extent 1 behind it, so that its first axis stands at a's axis `axis`."""
    behind = a.dim() - axis - b.dim()
    if b.numel() == 1:
        return b.reshape([1] * a.dim())
    if behind < 0:
        raise RuntimeError(f"an input of shape {tuple(b.shape)} at axis {axis} does not fit into {tuple(a.shape)}")
    return b.reshape([*b.shape, *[1] * behind])


def _compare(name: str, function: Callable[..., Tensor]) -> None:
    @operator(name, BROADCAST)
    def call(op: Op, a: Tensor, b: Tensor) -> Tensor:
        return function(a, in_place_of(op, a, b))

    call.__doc__ = f"PyTorch's {function.__name__}: bool."


for _name, _function in {
    "EQ": torch.eq,
    "NE": torch.ne,
    "LT": torch.lt,
    "LE": torch.le,
    "GT": torch.gt,
    "GE": torch.ge,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}.items():
    _compare(_name, _function)


@operator("Where", "broadcast_on_rows")
def where(op: Op, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where the condition holds, else b; with broadcast_on_rows the condition has a value for each row."""
    return torch.where(beginning_at(condition, a, 0) if op.arg("broadcast_on_rows", 0) else condition, a, b)


@operator("Scale", "scale")
def scale(op: Op, x: Tensor) -> Tensor:
    """A constant times x."""
    return torch.mul(x, op.arg("scale", 1.0))


@operator("WeightedSum", "grad_on_w")
def weighted_sum(op: Op, *terms_and_weights: Tensor) -> Tensor:
    """x0 w0 + x1 w1 + ...: the inputs come in pairs, the weights hold one number each."""
    if len(terms_and_weights) % 2:
        raise VmzError(f"{op} has {len(terms_and_weights)} inputs; they must be pairs of a value and its weight")
    pairs = zip(terms_and_weights[::2], terms_and_weights[1::2])
    return reduce(torch.add, [torch.mul(term, weight) for term, weight in pairs])


@operator("ElementwiseLinear", "axis")
def elementwise_linear(op: Op, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x * w + b with one weight for each place along `axis`; what follows that axis counts as part of it."""
    flat = torch.flatten(x, op.arg("axis", 1))
    return torch.add(torch.mul(flat, weight), bias).view_as(x)


def affine_channel(op: Op, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x * w + b with one weight and one bias for each channel, axis 1: a batch norm that has become fixed."""
    return torch.add(torch.mul(x, beginning_at(weight, x, 1)), beginning_at(bias, x, 1))


# The same thing by three names: Detectron's, that of video-nonlocal-net, and that of what Girdhar's programs used.
for _name in ("AffineChannel", "AffineNd", "AffineChannelNd"):
    operator(_name, "is_learnable", channels_last=(1, 1))(affine_channel)


@operator("RowMul")
def row_mul(op: Op, x: Tensor, weight: Tensor) -> Tensor:
    """Each row times its own number."""
    return torch.mul(x, beginning_at(weight, x, 0))


@operator("StumpFunc", "threshold low_value high_value")
def stump(op: Op, x: Tensor) -> Any:
    """low_value up to the threshold, high_value above it."""
    low, high = (torch.full_like(x, op.arg(f"{name}_value", 0.0)) for name in ("low", "high"))
    return torch.where(torch.gt(x, op.arg("threshold", 0.0)), high, low)
