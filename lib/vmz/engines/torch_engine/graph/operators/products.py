"""Matrix products and fully connected layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, leaf, operator


@operator("FC", "axis axis_w float16_compute")
def fully_connected(op: Op, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W^T + b, where everything from `axis` on is one axis; the axes before it stay."""
    return F.linear(torch.flatten(x, op.arg("axis", 1)), torch.flatten(weight, op.arg("axis_w", 1)), bias)


@operator("FCTransposed", "axis axis_w float16_compute")
def fully_connected_transposed(op: Op, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W + b: as FC, of a weight that has the inputs first."""
    rows = in_two(weight, op.arg("axis_w", 1))
    return F.linear(torch.flatten(x, op.arg("axis", 1)), torch.transpose(rows, 0, 1), bias)


@operator("BatchMatMul", "trans_a trans_b broadcast")
def batch_mat_mul(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """The product of the last two axes, for each place of those before; with `broadcast` these as numpy.matmul does."""
    a = torch.transpose(a, -2, -1) if op.arg("trans_a", 0) else a
    b = torch.transpose(b, -2, -1) if op.arg("trans_b", 0) else b
    return product(a, b)


@leaf
def product(a: Tensor, b: Tensor) -> Tensor:
    """torch.matmul, but of two vectors one number in a vector."""
    found = torch.matmul(a, b)
    return found.reshape(1) if a.dim() == b.dim() == 1 else found


@operator("MatMul", "axis_a axis_b trans_a trans_b")
def mat_mul(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices: the axes before `axis_a` (1) are a's rows, the others its columns; so of b."""
    a, b = in_two(a, op.arg("axis_a", 1)), in_two(b, op.arg("axis_b", 1))
    a = torch.transpose(a, 0, 1) if op.arg("trans_a", 0) else a
    b = torch.transpose(b, 0, 1) if op.arg("trans_b", 0) else b
    return torch.matmul(a, b)


@leaf
def in_two(x: Tensor, axis: int) -> Tensor:
    """x as a matrix: the axes before `axis` as one, and the others as one."""
    axis += x.dim() if axis < 0 else 0
    rows = int(torch.Size(x.shape[:axis]).numel())
    return x.reshape(rows, -1) if x.numel() else x.reshape(rows, int(torch.Size(x.shape[axis:]).numel()))


@operator("DotProduct")
def dot_product(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """Of each row of a with that of b."""
    return torch.sum(torch.flatten(torch.mul(rows_of(a), rows_of(b)), 1), 1)


@operator("SquaredL2Distance")
def squared_distance(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """Half the sum of the squared differences, of each row."""
    return torch.mul(torch.sum(torch.square(torch.sub(rows_of(a), rows_of(b))), 1), 0.5)


@operator("L1Distance")
def distance(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """The sum of the absolute differences, of each row."""
    return torch.sum(torch.abs(torch.sub(rows_of(a), rows_of(b))), 1)


@operator("CosineSimilarity")
def cosine_similarity(op: Op, a: Tensor, b: Tensor) -> Tensor:
    """The cosine of the angle between each row of a and that of b."""
    a, b = rows_of(a), rows_of(b)
    norms = [torch.sqrt(torch.clamp(torch.sum(torch.square(x), 1), min=1e-12)) for x in (a, b)]
    return torch.div(torch.sum(torch.mul(a, b), 1), torch.mul(*norms))


@leaf
def rows_of(x: Tensor) -> Tensor:
    """x as a matrix: the first axis, and all others as one; a value of one axis has one column."""
    return x.reshape(x.shape[0], -1) if x.numel() else x.reshape(x.shape[0], int(torch.Size(x.shape[1:]).numel()))
