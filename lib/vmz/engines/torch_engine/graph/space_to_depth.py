"""Space to depth: two columns of a picture as one of twice the channels, for a first layer in bf16 on the CPU.

oneDNN multiplies bfloat16 in pairs of channels. With three of them every fourth product is one with padding, and the
first layer of a network, 7 pixels wide and two apart, takes a quarter of the whole time. Six channels waste less.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule, Node

from vmz.engines.torch_engine.graph.half import can_be_packed
from vmz.engines.torch_engine.graph.nodes import CONVOLUTIONS, calls, constant_before, like, tensor_of
from vmz.engines.torch_engine.graph.op import leaf

FEW_CHANNELS = 3  # of an odd number of channels, the share of padding is large for 1 and 3


def pair_columns(module: GraphModule, extents: dict[Node, torch.Size]) -> None:
    """Have convolutions in bf16 of few channels, whose windows are two columns apart, read columns in pairs.

    The products are the same; those with weights of 0 come to them. extents: of the inputs of the convolutions;
    changed for those that read others from now on.
    """
    for conv in list(module.graph.nodes):
        if not _gains(module, conv):
            continue
        source, weight, bias, stride, padding, dilation, groups = conv.args
        value = tensor_of(module, weight)
        window = value.shape[-1], padding[-1]
        with module.graph.inserting_before(conv):
            pairs = like(conv, module.graph.call_function(columns_in_pairs, (source, *window)))
        paired = constant_before(module, conv, f"{weight.target}+pairs", weights_in_pairs(value))
        extents[conv] = columns_in_pairs(torch.empty(extents[conv], device="meta"), *window).shape
        conv.args = (pairs, paired, bias, (*stride[:-1], 1), (*padding[:-1], 0), dilation, groups)


def _gains(module: GraphModule, conv: Any) -> bool:
    if not calls(conv, CONVOLUTIONS) or not can_be_packed(conv):
        return False
    weight = tensor_of(module, conv.args[1])
    _, _, _, stride, _, dilation, groups = conv.args
    return bool(
        weight.dtype == torch.bfloat16
        and weight.shape[1] <= FEW_CHANNELS
        and weight.shape[1] % 2
        and weight.shape[-1] > 1
        and (stride[-1], dilation[-1], groups) == (2, 1, 1)
    )


@leaf
def columns_in_pairs(x: Tensor, kernel: int, padding: int) -> Tensor:
    """x (N, C, ..., W) as (N, 2 C, ..., W'), channels last: for windows of `kernel` columns, two apart, padded by 0.

    With the padding, channel c of column w is channel c of pair w // 2 if w is even, else channel C + c.
    """
    count = (x.shape[-1] + 2 * padding - kernel) // 2 + 1
    pairs = count + (kernel + 1) // 2 - 1
    padded = F.pad(x, (padding, 2 * pairs - padding - x.shape[-1]))
    inside = padded.movedim(1, -1).contiguous()
    return inside.reshape(*inside.shape[:-2], pairs, 2 * x.shape[1]).movedim(-1, 1)


def weights_in_pairs(weight: Tensor) -> Tensor:
    """Weights (C', C, ..., K) for `columns_in_pairs`: (C', 2 C, ..., (K + 1) // 2)."""
    even = F.pad(weight, (0, weight.shape[-1] % 2))
    pairs = even.reshape(*even.shape[:-1], -1, 2)  # (C', C, ..., pair, which of it)
    return pairs.movedim(-1, 1).flatten(1, 2).contiguous()
