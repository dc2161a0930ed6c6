"""Losses and accuracies of a batch that a training module computed: of the net, and of each head of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from torch import Tensor

from vmz.engines.torch_engine.graph.operators.heads import share_in_top
from vmz.engines.torch_engine.training.tally import Totals
from vmz.engines.torch_engine.training.training_net import TrainingNet
from vmz.engines.trainer import HeadStep
from vmz.netdef.blob_names import unscoped

Figures = tuple[Tensor, Optional[Tensor]]
"""Loss, any shape, and accuracy, None with several labels."""


def figures(net: TrainingNet, results: Mapping[str, Tensor], batches: int) -> Figures:
    """Of the net. results: its outputs and inputs by full name. batches: those of an iteration, whose number the loss
    scale is one over.
    """
    loss = results[net.loss]
    if net.loss == net.objective:  # Gradient-Blending: a sum of scaled losses
        loss = loss * batches
    return loss, results[net.accuracy] if net.accuracy else None


def head_figures(net: TrainingNet, results: Mapping[str, Tensor]) -> list[Figures]:
    """Of each head, whose accuracy the net does not compute."""
    if net.accuracy is None:
        return [(results[head.loss], None) for head in net.heads.values()]
    label = next(results[blob] for blob in net.inputs if unscoped(blob) == "label")
    return [(results[head.loss], share_in_top(results[head.scores], label, 1)) for head in net.heads.values()]


def head_steps(net: TrainingNet, totals: Totals, batches: int) -> dict[str, HeadStep]:
    """The means over an iteration's batches by head."""
    return {
        head: HeadStep(loss / batches, accuracy / batches if net.accuracy else None)
        for head, (loss, accuracy) in zip(net.heads, totals.heads)
    }
