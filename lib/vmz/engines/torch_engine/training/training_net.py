"""A training NetDef as the module that is trained: what it computes, what learns, where its randomness comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import Graph, GraphModule

from vmz.engines.precisions import TRAINING
from vmz.engines.torch_engine.graph.importer import import_net, input_blobs
from vmz.engines.torch_engine.graph.op import read_ops
from vmz.engines.torch_engine.precision import check_precision
from vmz.engines.trainer import FREEZES, Trainable, Training
from vmz.errors import UsageError, VmzError
from vmz.netdef.blended_heads import HeadBlobs, blended_heads
from vmz.netdef.blob_names import scoped
from vmz.netdef.net_parts import classifier_parameters

MASKS = "vmz_masks"


@dataclass(frozen=True)
class TrainingNet:
    """A module and the full names of what it takes and gives; `accuracy` is None where the net has none.

    loss: the blob before its scale, with Gradient-Blending the objective itself. objective: the scaled loss, whose sum
    is differentiated. heads: the blobs of each head, with Gradient-Blending. learning: the parameters that get a
    gradient. masks: where dropout draws from.
    """

    module: GraphModule
    inputs: list[str]
    loss: str
    objective: str
    prediction: str
    accuracy: Optional[str]
    learning: dict[str, nn.Parameter]
    masks: Masks
    heads: Mapping[str, HeadBlobs]

    @property
    def outputs(self) -> list[str]:
        """What the module gives."""
        return _outputs(self.loss, self.objective, self.prediction, self.accuracy, self.heads)

    @property
    def parts(self) -> dict[str, Tensor]:
        """Parameters and buffers that the module uses, by blob."""
        return {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}


class Masks(nn.Module):
    """Dropout's masks: a function of the seed, the iteration, the operator and the clip's number in the iteration.

    So a clip's mask depends neither on the device nor on how an iteration's clips are shared out among ranks and
    batches, and a run that goes on elsewhere draws what it would have drawn.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.iteration, self.first_clip = seed, 0, 0

    def forward(self, like: Tensor, kept: float, op: int) -> Tensor:
        """1 with probability `kept`, else 0, in the shape and type of `like` (N, ...)."""
        shape = tuple(like.shape[1:])
        rows = []
        for row in range(like.shape[0]):
            random = np.random.default_rng((self.seed, self.iteration, op, self.first_clip + row))
            rows.append(random.random(shape, dtype=np.float32) < kept)
        mask = torch.from_numpy(np.stack(rows))
        if like.is_cuda:  # else the copy would wait for the whole forward pass
            mask = mask.pin_memory().to(like.device, non_blocking=True)
        return mask.to(like.dtype)


def import_training_net(
    model: Trainable, training: Training, values: Mapping[str, Tensor], seed: int = 0
) -> TrainingNet:
    """The module that computes the loss of `model`, with `values` {blob: tensor} as its parameters and statistics.

    Frozen batch norm uses its running statistics and leaves them; so does a frozen trunk, whose features are then those
    that testing sees. Raises VmzError for a net without loss or without classifier.
    """
    if model.loss is None:
        raise VmzError("the network has no loss to train by: a fully convolutional head is for testing only")
    written = {blob for op in read_ops(model.net) for blob in op.outputs}
    loss, accuracy = scoped("loss", model.scope), scoped("accuracy", model.scope)
    heads = blended_heads(model.net, model.scope)
    outputs = _outputs(loss, model.loss, model.prediction, accuracy if accuracy in written else None, heads)
    module = import_net(model.net, outputs=outputs, values=values)
    module.add_module(MASKS, masks := Masks(seed))
    _draw_masks(module.graph)
    if training.freeze_bn or training.freeze == "trunk":
        _freeze_statistics(module.graph)
    if training.precision != "fp32":
        _score_in_float32(module.graph)
    module.graph.lint()
    module.recompile()
    learning = dict(module.named_parameters())
    if training.freeze == "trunk":
        head = classifier_parameters(model.net, model.loss, [blob for blob, _ in model.params])
        if not head:
            raise VmzError(f"the network has no classifier before {model.loss} that could learn alone; freeze nothing")
        for blob, parameter in learning.items():
            parameter.requires_grad_(blob in head)
        learning = {blob: parameter for blob, parameter in learning.items() if blob in head}
    return TrainingNet(
        module=module,
        inputs=input_blobs(module),
        loss=loss,
        objective=model.loss,
        prediction=model.prediction,
        accuracy=accuracy if accuracy in written else None,
        learning=learning,
        masks=masks,
        heads=heads,
    )


def _outputs(
    loss: str, objective: str, prediction: str, accuracy: Optional[str], heads: Mapping[str, HeadBlobs]
) -> list[str]:
    """What a training module gives, each once."""
    of_heads = [blob for head in heads.values() for blob in head]
    return list(dict.fromkeys(blob for blob in (loss, objective, prediction, accuracy, *of_heads) if blob))


def _draw_masks(graph: Graph) -> None:
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target is torch.bernoulli:
            like, kept = node.args[0].args
            with graph.inserting_before(node):
                mask = graph.call_module(MASKS, (like, kept, node.meta["op"]))
            mask.meta = dict(node.meta)
            node.replace_all_uses_with(mask)
            graph.erase_node(node)


def _freeze_statistics(graph: Graph) -> None:
    for node in graph.nodes:
        if node.op == "call_function" and node.target is F.batch_norm:
            node.kwargs = {**node.kwargs, "training": False}


def _score_in_float32(graph: Graph) -> None:
    """Softmax and losses of float32 numbers, whatever the layers before compute in."""
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target is F.linear:
            with graph.inserting_after(node):
                wide = graph.call_method("float", (node,))
            wide.meta = dict(node.meta)
            node.replace_all_uses_with(wide)
            wide.args = (node,)


def check_training(training: Training, device: torch.device) -> None:
    """UsageError for what cannot be trained so on the device."""
    if training.accumulation < 1:
        raise UsageError(f"accumulation={training.accumulation} must be at least 1 batch")
    if training.freeze not in FREEZES:
        raise UsageError(f"unknown freeze {training.freeze!r}; it may be {', '.join(FREEZES)}")
    if not training.clip_gradient >= 0:
        raise UsageError(f"clip_gradient={training.clip_gradient} must not be negative; 0 clips nothing")
    check_precision(training.precision, device, TRAINING)
