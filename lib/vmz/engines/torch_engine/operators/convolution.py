"""Convolution, fully connected layers and batch normalisation."""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.op import Op, operator
from vmz.engines.torch_engine.operators.windows import window

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@operator("Conv", "kernel kernels kernel_h kernel_w stride strides stride_h stride_w pad pads pad_t pad_l pad_b pad_r "
          "dilation dilations group")  # fmt: skip
def conv(op: Op, x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """Convolution over the trailing axes. With group = channels the engine CHANNELWISE_3D gives the same numbers."""
    shape = window(op)
    x, padding = shape.pad(x, 0.0)
    convolution = CONVOLUTIONS[len(shape.kernel)]
    return convolution(x, weight, bias, shape.stride, padding, shape.dilation, op.arg("group", 1))


@operator("FC", "axis axis_w")
def fully_connected(op: Op, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W^T + b, where everything from `axis` on is one axis."""
    return F.linear(torch.flatten(x, op.arg("axis", 1)), torch.flatten(weight, op.arg("axis_w", 1)), bias)


@operator("SpatialBN", "is_test epsilon momentum")
def spatial_bn(
    op: Op, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Batch norm over N, T, H, W; the running statistics are updated in place.

    Caffe2's momentum weighs the old statistics, PyTorch's the new ones; both accumulate the unbiased variance.
    The last two outputs are the batch's mean and inverse standard deviation, which Caffe2 keeps for its gradient.
    """
    epsilon = op.arg("epsilon", 1e-5)
    training = not op.arg("is_test", 0)
    y = F.batch_norm(x, mean, var, scale, bias, training=training, momentum=1 - op.arg("momentum", 0.9), eps=epsilon)
    channels = torch.flatten(torch.transpose(x, 0, 1), 1)
    batch_var = torch.var(channels, dim=1, unbiased=False)
    return y, mean, var, torch.mean(channels, dim=1), torch.rsqrt(batch_var + epsilon)
