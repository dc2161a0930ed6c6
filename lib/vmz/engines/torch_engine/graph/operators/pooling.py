"""Max and average pooling over sliding windows."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, leaf, operator
from vmz.engines.torch_engine.graph.operators.windows import WINDOW, pad, pads_alike, window
from vmz.netdef.window_arguments import Window

MAX_POOLS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE_POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def max_pool(op: Op, x: Tensor) -> Tensor:
    """Maximum over windows; the last partial window is left out (Caffe2 rounds down)."""
    if op.arg("global_pooling", 0):
        return global_max(x)
    shape = _window(op)
    x, padding = pad(x, shape, float("-inf"))
    return MAX_POOLS[len(shape.kernel)](x, shape.kernel, shape.stride, padding)


def average_pool(op: Op, x: Tensor) -> Tensor:
    """Mean over windows. Unless told otherwise Caffe2 divides by the number of real pixels, PyTorch by the window."""
    if op.arg("global_pooling", 0):
        return global_mean(x)
    shape = _window(op)
    include = bool(op.arg("count_include_pad", 0))
    average = AVERAGE_POOLS[len(shape.kernel)]
    if pads_alike(shape):
        return average(x, shape.kernel, shape.stride, shape.before, count_include_pad=include)
    padded, none = pad(x, shape, 0.0)
    means = average(padded, shape.kernel, shape.stride, none)
    if include:
        return means
    ones, _ = pad(torch.ones_like(x), shape, 0.0)
    return torch.div(means, average(ones, shape.kernel, shape.stride, none))


def l_p_pool(op: Op, x: Tensor) -> Tensor:
    """The `p`-th (2nd) root of the sum of p-th powers over windows."""
    shape, p = _window(op), op.arg("p", 2.0)
    powers, padding = pad(torch.pow(torch.abs(x), p), shape, 0.0)
    means = AVERAGE_POOLS[len(shape.kernel)](powers, shape.kernel, shape.stride, padding, count_include_pad=True)
    return torch.pow(torch.mul(means, prod(shape.kernel)), 1.0 / p)


for _axes in ("", "1D", "2D", "3D"):
    operator(f"MaxPool{_axes}", f"{WINDOW} global_pooling", channels_last=(1, 1))(max_pool)
    operator(f"AveragePool{_axes}", f"{WINDOW} global_pooling count_include_pad", channels_last=(1, 1))(average_pool)
operator("LpPool", f"{WINDOW} p", channels_last=(1, 1))(l_p_pool)


def _window(op: Op) -> Window:
    shape = window(op)
    if max(shape.dilation) > 1:
        raise op.unsupported("dilations" if "dilations" in op.arguments else "dilation", "pooling has none in Caffe2")
    return shape


@leaf
def global_max(x: Tensor) -> Tensor:
    """Maximum over all axes but N and C, which stay."""
    return torch.amax(x, dim=tuple(range(2, x.dim())), keepdim=True)


@leaf
def global_mean(x: Tensor) -> Tensor:
    """Mean over all axes but N and C, which stay."""
    return torch.mean(x, dim=tuple(range(2, x.dim())), keepdim=True)
