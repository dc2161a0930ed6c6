"""The networks as a port to PyTorch has them: ordinary torch.nn modules, of the same layers and weights."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from vmz.checkpoints.seeded import seeded_weights
from vmz.engines.torch_engine.graph.op import Op, read_ops
from vmz.models.registry import Model
from vmz.netdef.blob_names import unscoped


class Eager(nn.Module):
    """The network as a port to PyTorch has it: nn.Conv3d, nn.BatchNorm3d, nn.ReLU(inplace), pools and nn.Linear."""

    def __init__(self, model: Model, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.plan: list[tuple[Op, Optional[nn.Module]]] = []
        self.layers = nn.ModuleList()
        for op in read_ops(model.net):
            layer = _layer(op, [torch.from_numpy(weights[blob]) for blob in op.inputs if blob in weights])
            if layer is not None:
                self.layers.append(layer)
            self.plan.append((op, layer))
        self.data, self.prediction = model.blob("data"), model.prediction

    def forward(self, data: Tensor) -> Tensor:
        blobs = {self.data: data}
        for op, layer in self.plan:
            if op.type in ("Sum", "Add"):
                blobs[op.outputs[0]] = blobs[op.inputs[0]] + blobs[op.inputs[1]]
            elif layer is not None:
                blobs[op.outputs[0]] = layer(blobs[op.inputs[0]])
            if self.prediction in op.outputs:
                break
        return blobs[self.prediction]


def _layer(op: Op, values: list[Tensor]) -> Optional[nn.Module]:
    """The torch.nn layer that an author of a port would write for an operator."""
    layer: Any = None
    window = {name: tuple(op.arg(f"{name}s", default)) for name, default in (("kernel", ()), ("stride", (1, 1, 1)))}
    pads = tuple(op.arg("pads", [0] * 6)[:3])
    if op.type == "Conv":
        group = op.arg("group", 1)
        outputs, inputs = values[0].shape[0], values[0].shape[1] * group
        kernel, stride = window["kernel"], window["stride"]
        layer = nn.Conv3d(inputs, outputs, kernel, stride, pads, groups=group, bias=len(values) > 1)  # type: ignore[arg-type]
    elif op.type == "SpatialBN":
        layer = nn.BatchNorm3d(len(values[0]), eps=op.arg("epsilon", 1e-5))
        layer.running_mean, layer.running_var = values[2:]
    elif op.type == "Relu":
        return nn.ReLU(inplace=True)
    elif op.type == "MaxPool":
        return nn.MaxPool3d(window["kernel"], window["stride"], pads)  # type: ignore[arg-type]
    elif op.type == "AveragePool":
        return nn.AvgPool3d(window["kernel"], window["stride"])  # type: ignore[arg-type]
    elif op.type == "FC":
        layer = nn.Sequential(nn.Flatten(), nn.Linear(values[0].shape[1], values[0].shape[0]))
        layer[1].weight.data, layer[1].bias.data = values
        return layer
    elif op.type == "SoftmaxWithLoss":
        return nn.Softmax(1)
    elif op.type == "Dropout":
        return nn.Identity()
    if layer is not None:
        layer.weight.data = values[0]
        if len(values) > 1:
            layer.bias.data = values[1]
    return layer


def initial_values(model: Model) -> dict[str, np.ndarray]:
    """Weights and running statistics by a rule that keeps values of deep networks in bounds, by full blob name."""
    shapes = [*model.params, *model.computed_params]
    values = seeded_weights(shapes)
    return {blob: values[unscoped(blob)] for blob, _ in shapes}
