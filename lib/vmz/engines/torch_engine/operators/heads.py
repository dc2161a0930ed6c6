"""What ends a net: softmax, losses, accuracy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.op import Op, leaf, operator


@operator("Softmax", "axis")
def softmax(op: Op, x: Tensor) -> Tensor:
    """Softmax over all that begins at `axis` taken together: classes and positions in a fully convolutional head."""
    return torch.softmax(torch.flatten(x, op.arg("axis", 1)), -1).view_as(x)


@operator("SoftmaxWithLoss", "scale axis")
def softmax_with_loss(op: Op, logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax (as Softmax), and the mean over the batch of -log p[label], times `scale`."""
    flat = torch.flatten(logits, op.arg("axis", 1))
    loss = F.cross_entropy(flat, torch.flatten(label).to(torch.int64))
    return softmax(op, logits), torch.mul(loss, op.arg("scale", 1.0))


@operator("SigmoidCrossEntropyWithLogits")
def sigmoid_cross_entropy(op: Op, logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy, averaged over the last axis: one value a sample."""
    return torch.mean(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), -1)


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
