"""Normalisations: over a batch, over groups of channels, over rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, leaf, operator
from vmz.engines.torch_engine.graph.operators.arithmetic import beginning_at


@operator("SpatialBN", "is_test epsilon momentum", channels_last=(1, 1))
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


@operator("InstanceNorm", "epsilon", channels_last=(1, 1))
def instance_norm(op: Op, x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each channel of each sample by its own mean and deviation; then these means, and inverse deviations."""
    epsilon = op.arg("epsilon", 1e-5)
    mean, inverse = statistics(torch.flatten(x, 2), 2, epsilon)
    y = torch.mul(torch.sub(x, beginning_at(mean, x, 0)), beginning_at(inverse, x, 0))
    return torch.add(torch.mul(y, beginning_at(scale, x, 1)), beginning_at(bias, x, 1)), mean, inverse


@operator("GroupNorm", "group epsilon is_test", channels_last=(1, 1))
def group_norm(op: Op, x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The channels of each of `group` (32) groups together; then their means, and inverse deviations."""
    groups, epsilon = op.arg("group", 32), op.arg("epsilon", 1e-5)
    mean, inverse = statistics(in_groups(x, groups), 2, epsilon)
    return F.group_norm(x, groups, scale, bias, epsilon), mean, inverse


@operator("LayerNorm", "axis epsilon elementwise_affine")
def layer_norm(op: Op, x: Tensor, *scale_and_bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All from `axis` (1) on by its mean and deviation; then these, with axes of extent 1 for what they are of."""
    axis = op.arg("axis", 1)
    y, mean, deviation = layer_normalised(x, axis, op.arg("epsilon", 1e-5))
    if op.arg("elementwise_affine", 0):
        scale, bias = scale_and_bias
        y = torch.add(torch.mul(y, scale), bias)
    return y, mean, deviation


@leaf
def layer_normalised(x: Tensor, axis: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """(normalised, mean, deviation)"""
    axis += x.dim() if axis < 0 else 0
    rows = x.reshape([*x.shape[:axis], -1])
    mean = rows.mean(-1, keepdim=True)
    deviation = torch.sqrt(rows.var(-1, unbiased=False, keepdim=True) + epsilon)
    return ((rows - mean) / deviation).reshape(x.shape), mean, deviation


@leaf
def in_groups(x: Tensor, groups: int) -> Tensor:
    """x (N, C, ...) as (N, groups, all of a group)."""
    return x.reshape(x.shape[0], groups, -1)


def statistics(x: Tensor, axis: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """The mean along an axis, which goes, and 1 / the deviation."""
    return torch.mean(x, axis), torch.rsqrt(torch.add(torch.var(x, axis, unbiased=False), epsilon))


@operator("Normalize", "axis")
def normalize(op: Op, x: Tensor) -> Tensor:
    """x by its Euclidean length along `axis` (-1)."""
    norm = torch.sqrt(torch.sum(torch.square(x), op.arg("axis", -1), keepdim=True))
    return torch.div(x, torch.clamp(norm, min=1e-12))


@operator("NormalizeL1", "axis")
def normalize_l1(op: Op, x: Tensor) -> Tensor:
    """x by the sum of its absolute values along `axis` (-1)."""
    norm = torch.sum(torch.abs(x), op.arg("axis", -1), keepdim=True)
    return torch.div(x, torch.where(torch.eq(norm, 0), torch.ones_like(norm), norm))
