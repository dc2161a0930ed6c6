"""What ends a net: softmax, losses, accuracy."""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.graph.op import NCHW_ONLY, Op, leaf, operator
from vmz.engines.torch_engine.graph.operators.products import in_two, rows_of


@operator("Softmax", "axis")
def softmax(op: Op, x: Tensor) -> Tensor:
    """Softmax over all that begins at `axis` taken together: classes and positions in a fully convolutional head."""
    return torch.softmax(torch.flatten(x, op.arg("axis", 1)), -1).view_as(x)


@operator("SoftmaxWithLoss", "scale axis label_prob average_by_batch_size", channels_last=NCHW_ONLY)
def softmax_with_loss(op: Op, logits: Tensor, label: Tensor, weight: Optional[Tensor] = None) -> tuple[Tensor, Tensor]:
    """Softmax (as Softmax), and the mean over the batch of -log p[label], times `scale`.

    label: classes, or with label_prob a probability for each. weight: of each row; the mean is then weighted.
    """
    flat = in_two(logits, op.arg("axis", 1))
    if op.arg("label_prob", 0):
        losses = torch.neg(torch.sum(torch.mul(torch.log_softmax(flat, 1), in_two(label, op.arg("axis", 1))), 1))
    elif weight is None:
        loss = F.cross_entropy(flat, torch.flatten(label).to(torch.int64))
        return softmax(op, logits), torch.mul(loss, op.arg("scale", 1.0))
    else:
        losses = F.cross_entropy(flat, torch.flatten(label).to(torch.int64), reduction="none")
    return softmax(op, logits), torch.mul(_mean(op, losses, weight), op.arg("scale", 1.0))


def _mean(op: Op, losses: Tensor, weight: Optional[Tensor]) -> Tensor:
    if weight is None:
        return torch.mean(losses)
    weight = torch.flatten(weight)
    weighted = torch.mul(losses, weight)
    if op.arg("average_by_batch_size", 0):
        return torch.mean(weighted)
    return torch.div(torch.sum(weighted), torch.sum(weight))


@operator("SigmoidCrossEntropyWithLogits", "log_D_trick unjoined_lr_loss")
def sigmoid_cross_entropy(op: Op, logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy, averaged over the last axis: one value a sample."""
    for name in ("log_D_trick", "unjoined_lr_loss"):
        if op.arg(name, 0):
            raise op.unsupported(name, "only 0 is")
    return torch.mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), -1)


@operator("WeightedSigmoidCrossEntropyWithLogits")
def weighted_sigmoid_cross_entropy(op: Op, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross entropy times the weights, averaged over the last axis: one value a sample."""
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return torch.mean(torch.mul(losses, weight), -1)


@operator("LabelCrossEntropy")
def label_cross_entropy(op: Op, scores: Tensor, label: Tensor) -> Tensor:
    """-log of the label's probability, of each row."""
    return torch.neg(torch.log(torch.clamp(at_label(scores, label), min=1e-20)))


@leaf
def at_label(scores: Tensor, label: Tensor) -> Tensor:
    """(N), the score of each row's label."""
    return rows_of(scores).gather(1, label.reshape(-1, 1).to(torch.int64)).squeeze(1)


@operator("CrossEntropy")
def cross_entropy(op: Op, scores: Tensor, label: Tensor) -> Tensor:
    """-sum label log p, of each row."""
    return torch.neg(torch.sum(torch.mul(label, torch.log(torch.clamp(scores, min=1e-20))), 1))


@operator("MakeTwoClass")
def make_two_class(op: Op, x: Tensor) -> Tensor:
    """Each probability p as two, 1 - p and p, along a new last axis."""
    return torch.stack([torch.rsub(x, 1.0), x], -1)


@operator("AveragedLoss")
def averaged_loss(op: Op, losses: Tensor) -> Tensor:
    """The mean of all elements."""
    return torch.mean(losses)


@operator("Accuracy", "top_k")
def accuracy(op: Op, scores: Tensor, label: Tensor) -> Tensor:
    """The share of samples whose label is among the `top_k` highest scores."""
    return share_in_top(scores, label, op.arg("top_k", 1))


@leaf
def share_in_top(scores: Tensor, label: Tensor, top_k: int) -> Tensor:
    """float32 scalar. Of equal scores the class of the lower number ranks higher, as in Caffe2."""
    label = label.reshape(-1, 1).to(torch.int64)
    own = scores.gather(1, label)
    classes = torch.arange(scores.shape[1], device=scores.device)
    ahead = (scores > own) | ((scores == own) & (classes < label))
    return (ahead.sum(1) < top_k).to(torch.float32).mean()


@operator("MultiClassAccuracy")
def multi_class_accuracy(op: Op, scores: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Of each class the share of its samples whose highest score is its own, and their number, int32."""
    found = shares_by_class(scores, label)
    return found[0], found[1]


@leaf
def shares_by_class(scores: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """(float32 (classes), int32 (classes)); a class without samples has the share 0."""
    own = F.one_hot(label.reshape(-1).to(torch.int64), scores.shape[1])
    right = own * F.one_hot(scores.argmax(1), scores.shape[1])
    counts = own.sum(0)
    return right.sum(0).to(torch.float32) / counts.clamp(min=1), counts.to(torch.int32)
