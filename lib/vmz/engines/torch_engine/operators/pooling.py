"""Max and average pooling, and means over trailing axes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.op import Op, leaf, operator
from vmz.engines.torch_engine.operators.windows import Window, window

WINDOW = "kernel kernels kernel_h kernel_w stride strides stride_h stride_w pad pads pad_t pad_l pad_b pad_r"
MAX_POOLS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE_POOLS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@operator("MaxPool", WINDOW + " global_pooling")
def max_pool(op: Op, x: Tensor) -> Tensor:
    """Maximum over windows; the last partial window is left out (Caffe2 rounds down)."""
    if op.arg("global_pooling", 0):
        return global_max(x)
    shape = window(op)
    x, padding = shape.pad(x, float("-inf"))
    return MAX_POOLS[len(shape.kernel)](x, shape.kernel, shape.stride, padding)


@operator("AveragePool", WINDOW + " global_pooling count_include_pad")
def average_pool(op: Op, x: Tensor) -> Tensor:
    """Mean over windows. Unless told otherwise Caffe2 divides by the number of real pixels, PyTorch by the window."""
    if op.arg("global_pooling", 0):
        return global_mean(x)
    shape: Window = window(op)
    if shape.before != shape.after:
        raise op.unsupported("pads", "pads of an average pool must be alike at both ends")
    include = bool(op.arg("count_include_pad", 0))
    return AVERAGE_POOLS[len(shape.kernel)](x, shape.kernel, shape.stride, shape.before, count_include_pad=include)


@leaf
def global_max(x: Tensor) -> Tensor:
    """Maximum over all axes but N and C, which stay."""
    return torch.amax(x, dim=tuple(range(2, x.dim())), keepdim=True)


@leaf
def global_mean(x: Tensor) -> Tensor:
    """Mean over all axes but N and C, which stay."""
    return torch.mean(x, dim=tuple(range(2, x.dim())), keepdim=True)


@operator("ReduceBackMean", "num_reduce_dim")
def reduce_back_mean(op: Op, x: Tensor) -> Tensor:
    """Mean over the last `num_reduce_dim` axes, which go."""
    return torch.mean(x, dim=[-axis for axis in range(op.arg("num_reduce_dim", 1), 0, -1)])
