"""Sums, means and largest values over axes; places of the largest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import torch
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, leaf, operator
from vmz.engines.torch_engine.graph.operators.products import in_two
from vmz.errors import VmzError


def _largest(x: Tensor, dim: Sequence[int], keepdim: bool = False) -> Tensor:
    return torch.amax(x, dim=tuple(dim), keepdim=keepdim)


def _smallest(x: Tensor, dim: Sequence[int], keepdim: bool = False) -> Tensor:
    return torch.amin(x, dim=tuple(dim), keepdim=keepdim)


def _sum_of_absolutes(x: Tensor, dim: Sequence[int], keepdim: bool = False) -> Tensor:
    return torch.sum(torch.abs(x), dim=list(dim), keepdim=keepdim)


def _length(x: Tensor, dim: Sequence[int], keepdim: bool = False) -> Tensor:
    return torch.sqrt(torch.sum(torch.square(x), dim=list(dim), keepdim=keepdim))


REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "Sum": torch.sum,
    "Mean": torch.mean,
    "Max": _largest,
    "Min": _smallest,
    "L1": _sum_of_absolutes,
    "L2": _length,
}


@leaf
def reduced(x: Tensor, kind: str, axes: Sequence[int], keepdims: bool) -> Tensor:
    """A key of REDUCTIONS over `axes`; over all of them where there are none."""
    axes = list(axes) or list(range(x.dim()))
    return REDUCTIONS[kind](x, dim=axes, keepdim=keepdims) if axes else x.clone()


@leaf
def reduced_at_an_end(x: Tensor, kind: str, count: int, front: bool) -> Tensor:
    """A key of REDUCTIONS over the first, or the last, `count` axes, which go."""
    axes = list(range(count) if front else range(x.dim() - count, x.dim()))
    return REDUCTIONS[kind](x, dim=axes) if axes else x


def _register(kind: str) -> None:
    @operator(f"Reduce{kind}", "axes keepdims allow_broadcast_fastpath")
    def over_axes(op: Op, x: Tensor) -> Tensor:
        return reduced(x, kind, op.arg("axes", []), bool(op.arg("keepdims", 1)))

    over_axes.__doc__ = f"{kind} over `axes` (all), which stay with extent 1 unless keepdims is 0."


def _register_ends(kind: str, front: bool) -> None:
    @operator(f"Reduce{'Front' if front else 'Back'}{kind}", "num_reduce_dim")
    def at_an_end(op: Op, x: Tensor) -> Tensor:
        return reduced_at_an_end(x, kind, op.arg("num_reduce_dim", 1), front)

    at_an_end.__doc__ = f"{kind} over the {'first' if front else 'last'} `num_reduce_dim` (1) axes, which go."


for _kind in REDUCTIONS:
    _register(_kind)
for _kind in ("Sum", "Mean", "Max"):
    for _front in (True, False):
        _register_ends(_kind, _front)


@operator("ReduceTailSum")
def reduce_tail_sum(op: Op, x: Tensor) -> Tensor:
    """The sum over all axes but the first."""
    return torch.sum(torch.flatten(x, 1), 1)


@operator("ColwiseMax")
def colwise_max(op: Op, x: Tensor) -> Tensor:
    """The largest of each column, of each matrix of a batch."""
    return torch.amax(x, dim=1)


@operator("RowwiseMax")
def rowwise_max(op: Op, x: Tensor) -> Tensor:
    """The largest of each row, of each matrix of a batch."""
    return torch.amax(x, dim=2)


@operator("SumElements", "average")
def sum_elements(op: Op, x: Tensor) -> Tensor:
    """The sum of all elements, or their mean."""
    return torch.mean(x) if op.arg("average", 0) else torch.sum(x)


@operator("SumSqrElements", "average")
def sum_squares(op: Op, x: Tensor) -> Tensor:
    """The sum of the squares of all elements, or their mean."""
    return torch.mean(torch.square(x)) if op.arg("average", 0) else torch.sum(torch.square(x))


@operator("LpNorm", "p average")
def lp_norm(op: Op, x: Tensor) -> Tensor:
    """The sum (or mean) of the squares of all elements, or with p = 1 of their absolute values; one number."""
    powers = torch.abs(x) if op.arg("p", 2) == 1 else torch.square(x)
    return torch.reshape(torch.mean(powers) if op.arg("average", 0) else torch.sum(powers), [1])


@operator("SumReduceLike", "axis axis_str")
def sum_reduce_like(op: Op, x: Tensor, like: Tensor) -> Tensor:
    """The sum over the axes that broadcasting `like` to x would repeat."""
    axis = op.arg("axis", -1)
    if "axis_str" in op.arguments:
        axis = op.arg("order", "NCHW").find(op.arg("axis_str", ""))
    return summed_to(x, like, axis)


@leaf
def summed_to(x: Tensor, like: Tensor, axis: int) -> Tensor:
    """x summed to the shape of `like`, whose first axis is x's axis `axis` (-1: its axes are the last)."""
    axis = x.dim() - like.dim() if axis == -1 else axis
    stays = {axis + place for place, extent in enumerate(like.shape) if extent == x.shape[axis + place]}
    goes = [place for place in range(x.dim()) if place not in stays]
    return (torch.sum(x, dim=goes) if goes else x).reshape(like.shape)


@operator("Moments", "axes keepdims")
def moments(op: Op, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over `axes` (all)."""
    axes, keepdims = op.arg("axes", []), bool(op.arg("keepdims", 1))
    centred = torch.square(torch.sub(x, reduced(x, "Mean", axes, True)))
    return reduced(x, "Mean", axes, keepdims), reduced(centred, "Mean", axes, keepdims)


@operator("ArgMax", "axis keepdims")
def arg_max(op: Op, x: Tensor) -> Tensor:
    """int64, where along `axis` (-1) the largest is."""
    return torch.argmax(x, op.arg("axis", -1), keepdim=bool(op.arg("keepdims", 1)))


@operator("ArgMin", "axis keepdims")
def arg_min(op: Op, x: Tensor) -> Tensor:
    """int64, where along `axis` (-1) the smallest is."""
    return torch.argmin(x, op.arg("axis", -1), keepdim=bool(op.arg("keepdims", 1)))


@operator("TopK", "k axis")
def top_k(op: Op, x: Tensor, *k: Tensor) -> Any:
    """The k largest along `axis` (-1), from the largest; their places along it, int64, and their places in all of x.

    Of equal ones the first comes first.
    """
    if "k" not in op.arguments:
        raise VmzError(f"{op}: its k is an input, which is not supported by the PyTorch engine; give it as an argument")
    values = top(x, op.arg("k", 1), op.arg("axis", -1))
    return tuple(values[place] for place in range(len(op.outputs)))


@leaf
def top(x: Tensor, k: int, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """(values, places along the axis, places in all of x)"""
    axis += x.dim() if axis < 0 else 0
    values, places = (part.narrow(axis, 0, k) for part in torch.sort(x, stable=True, dim=axis, descending=True))
    everywhere = torch.arange(x.numel(), device=x.device).reshape(x.shape).gather(axis, places)
    return values, places, everywhere.reshape(-1)


@operator("BatchMoments")
def batch_moments(op: Op, x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of each channel, and that of its squares."""
    channels = in_two(torch.transpose(x, 0, 1), 1)
    return torch.mean(channels, 1), torch.mean(torch.square(channels), 1)
