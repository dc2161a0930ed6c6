"""Batch norm of a training step on a CPU, whose sums are as exact channels last as PyTorch's are channels first.

PyTorch's own channels-last kernel adds all positions of a channel one after the other in float32, so that statistics
came out 5 to 20 times further off. torch.sum adds in a tree.
"""

from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule

PIECE = 1 << 18  # values at a time: one sweep after the other over what lies in the caches


def use_exact_sums(module: GraphModule) -> None:
    """Have the batch norms of a training module that train take their statistics from here."""
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target is F.batch_norm and node.kwargs.get("training"):
            node.target = batch_norm
    module.recompile()


def batch_norm(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """F.batch_norm that trains: our own of clips (N, C, T, H, W) in float32, else PyTorch's."""
    if x.dtype != torch.float32 or x.dim() != 5:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training=training, momentum=momentum, eps=eps)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    y: Tensor = _BatchNorm.apply(x, weight, bias, running_mean, running_var, momentum, eps)
    return y


def _rows(x: Tensor) -> Tensor:
    """The same memory as (positions, channels)."""
    return x.permute(0, 2, 3, 4, 1).reshape(-1, x.shape[1])


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, momentum: float, eps: float
    ) -> Tensor:
        rows = _rows(x)
        count = rows.shape[0]
        average = rows.sum(0).div_(count)
        y = torch.empty_like(x, memory_format=torch.channels_last_3d)
        pieces = list(zip(_split(rows), _split(_rows(y))))
        squares = []
        for source, target in pieces:
            torch.sub(source, average, out=target)
            squares.append(torch.square(target).sum(0))
        variance = torch.stack(squares).sum(0).div_(count)
        inverse = variance.add(eps).rsqrt_()
        scale = inverse * weight
        for _, target in pieces:
            torch.addcmul(bias, target, scale, out=target)
        # .data: the statistics of all layers are parts of one tensor, of which autograd would see a change
        mean.data.mul_(1 - momentum).add_(average, alpha=momentum)
        var.data.mul_(1 - momentum).add_(variance, alpha=momentum * count / max(count - 1, 1))
        ctx.save_for_backward(x, weight, average, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Optional[Tensor], ...]:
        x, weight, average, inverse = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last_3d)
        sources, given = _split(_rows(x)), _split(_rows(gradient))
        count = x.numel() // x.shape[1]
        of_bias = _rows(gradient).sum(0)
        of_weight = (
            torch.stack([torch.sub(source, average).mul_(part).sum(0) for source, part in zip(sources, given)]).sum(0)
            * inverse
        )
        result = torch.empty_like(x, memory_format=torch.channels_last_3d)
        scale, slope = weight * inverse, of_weight * inverse / count
        shift = of_bias / count - slope * average
        for source, part, target in zip(sources, given, _split(_rows(result))):
            torch.addcmul(shift, source, slope, out=target)
            torch.sub(part, target, out=target).mul_(scale)
        return result, of_weight, of_bias, None, None, None, None


def _split(rows: Tensor) -> list[Tensor]:
    return list(rows.split(max(1, PIECE // rows.shape[1])))
