"""Precise batch norm: running statistics that are those of many batches together, at the weights as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import GraphModule

from vmz.engines.torch_engine.training.ranks import Ranks

GATHERER = "vmz_statistics"


class Statistics(nn.Module):
    """Normalises each batch by its own statistics and adds these up, in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[tuple[str, str], Tensor] = {}

    def forward(
        self, x: Tensor, blobs: tuple[str, str], scale: Tensor, bias: Tensor, eps: float
    ) -> Tensor:  # x: (N, C, ...)
        """Batch norm of x, whose mean and variance belong to the running statistics `blobs`."""
        mean, var = torch.zeros_like(scale), torch.ones_like(scale)
        y = F.batch_norm(x, mean, var, scale, bias, training=True, momentum=1.0, eps=eps)
        count = x.numel() // x.shape[1]  # values of each channel; `var` is the unbiased variance
        wide, spread = mean.double(), var.double()
        terms = torch.stack([torch.full_like(wide, count), count * wide, (count - 1) * spread + count * wide * wide])
        self.sums[blobs] = self.sums[blobs] + terms if blobs in self.sums else terms
        return y

    def write(self, statistics: Mapping[str, Tensor], ranks: Ranks) -> None:
        """Set the running statistics to the mean and the unbiased variance of all values seen, on all ranks."""
        for (mean_blob, var_blob), sums in self.sums.items():
            count, total, squares = ranks.sum(sums)
            mean = total / count
            statistics[mean_blob].copy_(mean)
            statistics[var_blob].copy_((squares - total * mean) / (count - 1))
        ranks.wait()


def gather_statistics(module: GraphModule) -> Optional[Statistics]:
    """Have a training module gather statistics in place of updating its own; None if none of its norms trains."""
    graph = module.graph
    norms = [node for node in graph.nodes if node.op == "call_function" and node.target is F.batch_norm]
    norms = [node for node in norms if node.kwargs["training"]]
    if not norms:
        return None
    module.add_module(GATHERER, gatherer := Statistics())
    for node in norms:
        x, mean, var = node.args
        scale, bias, eps = (node.kwargs[name] for name in ("weight", "bias", "eps"))
        with graph.inserting_before(node):
            call = graph.call_module(GATHERER, (x, (mean.target, var.target), scale, bias, eps))
        call.meta = dict(node.meta)
        node.replace_all_uses_with(call)
        graph.erase_node(node)
    graph.lint()
    module.recompile()
    return gatherer
