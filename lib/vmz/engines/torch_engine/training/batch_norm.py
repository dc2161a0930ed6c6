"""Batch norm of a training step on a CPU, with the sum and the ReLU after it, in few passes over memory.

PyTorch's own channels-last kernel adds all positions of a channel one after the other in float32, so that statistics
came out 5 to 20 times further off than channels first. torch.sum adds in a tree. Each sweep works on pieces that stay
in the caches from one call to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from vmz.engines.torch_engine.graph.nodes import SUMS, only_user

PIECE = 1 << 19  # values at a time
RUN = 512  # positions whose sum one thread takes, where there are many


def use_exact_sums(module: GraphModule) -> None:
    """Have the batch norms of a training module that train take their statistics from here, with what follows them."""
    for node in list(module.graph.nodes):
        if node.op == "call_function" and node.target is F.batch_norm and node.kwargs.get("training"):
            node.target = batch_norm
            _take_over_sum(module.graph, node)
            _take_over_relu(module.graph, node)
    module.graph.lint()
    module.recompile()


def _take_over_sum(graph: Graph, norm: Node) -> None:
    """Have the batch norm add the other term of the sum that alone reads it, if a ReLU alone reads that."""
    add = only_user(norm, SUMS)
    if add is None or add.kwargs or len(add.args) != 2 or only_user(add, (F.relu,)) is None:
        return
    other = next((term for term in add.args if term is not norm), None)
    places = {node: place for place, node in enumerate(graph.nodes)}
    if not isinstance(other, Node) or places[other] > places[norm]:  # the last of two batch norms takes the sum over
        return
    norm.kwargs = {**norm.kwargs, "residual": other}
    add.replace_all_uses_with(norm)
    graph.erase_node(add)


def _take_over_relu(graph: Graph, norm: Node) -> None:
    relu = only_user(norm, (F.relu,))
    if relu is not None:
        norm.kwargs = {**norm.kwargs, "relu": True}
        relu.replace_all_uses_with(norm)
        graph.erase_node(relu)


def batch_norm(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    residual: Optional[Tensor] = None,
    relu: bool = False,
) -> Tensor:
    """F.batch_norm that trains, plus `residual`, through a ReLU: our own of clips (N, C, T, H, W) in float32, else
    PyTorch's."""
    if x.dtype != torch.float32 or x.dim() != 5 or (residual is not None and residual.shape != x.shape):
        y = F.batch_norm(x, running_mean, running_var, weight, bias, training=training, momentum=momentum, eps=eps)
        y = y if residual is None else y + residual
        return F.relu_(y) if relu else y
    of_x: Tensor = _BatchNorm.apply(x, weight, bias, running_mean, running_var, momentum, eps, residual, relu)
    return of_x


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        momentum: float,
        eps: float,
        residual: Optional[Tensor],
        relu: bool,
    ) -> Tensor:
        x = _laid_out(x)
        rows = _rows(x)
        count = rows.shape[0]
        average = _sums(rows).div_(count)
        variance = _total(_sums_of_squares(rows, average)).div_(count)
        inverse = variance.add(eps).rsqrt_()
        y = torch.empty_like(x, memory_format=torch.channels_last_3d)
        _write(y, x, average, inverse * weight, bias, None if residual is None else _laid_out(residual), relu)
        # .data: the statistics of all layers are parts of one tensor, of which autograd would see a change
        mean.data.mul_(1 - momentum).add_(average, alpha=momentum)
        var.data.mul_(1 - momentum).add_(variance, alpha=momentum * count / max(count - 1, 1))
        ctx.save_for_backward(x, weight, average, inverse, y if relu else x)
        ctx.relu, ctx.has_residual = relu, residual is not None
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        x, weight, average, inverse, y = ctx.saved_tensors
        gradient = _laid_out(gradient)
        result = torch.empty_like(x, memory_format=torch.channels_last_3d)
        if ctx.relu:
            # The sum passes its gradient on, so that it needs memory of its own; else it lies in the result's for now.
            masked = torch.empty_like(result) if ctx.has_residual else result
            sums = list(_sums_of_gradients(x, average, masked, gradient, y))
            gradient = masked
        else:
            sums = list(_sums_of_gradients(x, average, gradient))
        of_bias = _total(bias for bias, _ in sums)
        of_weight = _total(weight for _, weight in sums) * inverse
        scale, slope, count = weight * inverse, of_weight * inverse, x.numel() // x.shape[1]
        _write_gradient(result, x, gradient, scale, slope / count, (of_bias - slope * average) / count)
        return result, of_weight, of_bias, None, None, None, None, gradient if ctx.has_residual else None, None


def _sums_of_squares(rows: Tensor, average: Tensor) -> Iterator[Tensor]:
    """Of the differences from the average, a sum per channel of each piece."""
    held = _piece_like(rows)
    for source in _split(rows):
        away = torch.sub(source, average, out=held[: len(source)])
        yield away.square_().sum(0)


def _write(
    y: Tensor, x: Tensor, average: Tensor, scale: Tensor, bias: Tensor, residual: Optional[Tensor], relu: bool
) -> None:
    """y = (x - average) * scale + bias, plus the residual, through the ReLU."""
    terms = [None] * len(_pieces(x)) if residual is None else _pieces(residual)
    for source, target, term in zip(_pieces(x), _pieces(y), terms):
        torch.sub(source, average, out=target)
        torch.addcmul(bias, target, scale, out=target)
        if term is not None:
            target.add_(term)
        if relu:
            target.relu_()


def _sums_of_gradients(
    x: Tensor, average: Tensor, gradient: Tensor, unmasked: Optional[Tensor] = None, y: Optional[Tensor] = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Per channel, for each piece: the sum of the gradient, and that of the gradient times x - average.

    unmasked: what the ReLU that gave y is given; what it passes on is written into `gradient` first.
    """
    sources = _pieces(x)
    given = [None] * len(sources) if unmasked is None else _pieces(unmasked)
    seen = [None] * len(sources) if y is None else _pieces(y)
    held = _piece_like(_rows(x))
    for source, part, before, after in zip(sources, _pieces(gradient), given, seen):
        if before is not None:
            torch.ops.aten.threshold_backward(before, after, 0, grad_input=part)
        away = torch.sub(source, average, out=held[: len(source)])
        yield part.sum(0), away.mul_(part).sum(0)


def _write_gradient(result: Tensor, x: Tensor, gradient: Tensor, scale: Tensor, slope: Tensor, shift: Tensor) -> None:
    """result = (gradient - (x * slope + shift)) * scale; the result may lie where the gradient does."""
    held = _piece_like(_rows(x))
    for source, part, target in zip(_pieces(x), _pieces(gradient), _pieces(result)):
        pull = torch.addcmul(shift, source, slope, out=held[: len(source)])
        torch.sub(part, pull, out=target).mul_(scale)


def _laid_out(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last_3d)


def _rows(x: Tensor) -> Tensor:
    """The same memory as (positions, channels)."""
    return x.permute(0, 2, 3, 4, 1).reshape(-1, x.shape[1])


def _pieces(x: Tensor) -> list[Tensor]:
    return _split(_rows(x))


def _split(rows: Tensor) -> list[Tensor]:
    return list(rows.split(_most_rows(rows)))


def _most_rows(rows: Tensor) -> int:
    return max(1, PIECE // rows.shape[1])


def _piece_like(rows: Tensor) -> Tensor:
    """Memory for what is computed of a piece."""
    return rows.new_empty((min(_most_rows(rows), rows.shape[0]), rows.shape[1]))


def _sums(rows: Tensor) -> Tensor:
    """Per channel; of many positions in runs, which share out better among threads."""
    count, channels = rows.shape
    whole = count // RUN * RUN
    if whole < 2 * RUN:
        return rows.sum(0)
    found = rows[:whole].view(-1, RUN, channels).sum(1).sum(0)
    return found if whole == count else found.add_(rows[whole:].sum(0))


def _total(parts: Any) -> Tensor:
    return torch.stack(list(parts)).sum(0)
