"""Pools of an optimized net done sooner on the CPU, with the same results (means: to rounding)."""

from __future__ import annotations

from typing import Any, Callable, Optional

import torch
from torch import Tensor
from torch.fx import GraphModule

from vmz.engines.torch_engine.graph.nodes import calls
from vmz.engines.torch_engine.graph.op import leaf
from vmz.engines.torch_engine.graph.operators.pooling import AVERAGE_POOLS, MAX_POOLS

Window = tuple[int, ...]  # a number for each axis of a pool


def use_fast_pools(module: GraphModule, is_rectified: Callable[[Any], bool]) -> None:
    """Max pools of rectified values of 16 bits compare integers; average pools over all positions are one mean.

    is_rectified: whether a node's values are 0 or more, and no NaN.
    """
    for node in module.graph.nodes:
        given = node.kwargs
        if calls(node, tuple(MAX_POOLS.values())) and is_rectified(node.args[0]):
            if given["dilation"] == 1 and not given["ceil_mode"] and not given["return_indices"]:
                node.args = (node.args[0], node.args[1], given["stride"], given["padding"])
                node.target, node.kwargs = max_of_rectified, {}
        elif calls(node, tuple(AVERAGE_POOLS.values())):
            node.target = average


@leaf
def max_of_rectified(x: Tensor, kernel: Window, stride: Window, padding: Window) -> Tensor:
    """Maximum over windows of values that are 0 or more: (N, C, ...), the last axes pooled, as PyTorch's max pools do.

    Positive bfloat16 compare as the integers of the same bits do, which a processor compares many at a time; and axis
    after axis takes fewer comparisons.
    """
    pool = MAX_POOLS[len(kernel)]
    if x.dtype != torch.bfloat16:
        return pool(x, kernel, stride, padding)
    found: Optional[Tensor] = x.view(torch.int16)
    for axis, window in enumerate(zip(kernel, stride, padding), start=2):
        found = None if found is None else _max_along(found, axis, *window)
    return pool(x, kernel, stride, padding) if found is None else found.view(x.dtype)


def _max_along(x: Tensor, axis: int, kernel: int, stride: int, padding: int) -> Optional[Tensor]:
    """Maximum over windows along one axis; None where no place of the window always lies within the values."""
    if (kernel, stride, padding) == (1, 1, 0):
        return x
    size = x.shape[axis]
    count = (size + 2 * padding - kernel) // stride + 1
    places = []  # for each place of the window: the outputs for which it lies within, and the values there
    for place in range(kernel):
        first = max(0, -((place - padding) // stride))
        last = min(count - 1, (size - 1 - place + padding) // stride)
        if first <= last:
            start = first * stride + place - padding
            places.append((first, last, x.narrow(axis, start, (last - first) * stride + 1)[_every(axis, stride)]))
    whole = [values for first, last, values in places if last - first == count - 1]
    if not whole:
        return None
    found = torch.maximum(whole[0], whole[-1])
    for first, last, values in places:
        if not any(values is other for other in (whole[0], whole[-1])):
            at = found.narrow(axis, first, last - first + 1)
            torch.maximum(at, values, out=at)
    return found


def _every(axis: int, stride: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(None, None, stride),)


@leaf
def average(
    x: Tensor,
    kernel: Window,
    stride: Window,
    padding: Window,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Mean over windows, as PyTorch's average pools give it; over the one window that holds all values at once."""
    if tuple(kernel) == tuple(x.shape[2:]) and not any(padding):
        return torch.mean(x, dim=tuple(range(2, x.dim())), keepdim=True)
    means: Tensor = AVERAGE_POOLS[len(kernel)](x, kernel, stride, padding, ceil_mode, count_include_pad)
    return means
