"""A translated net as OpenVINO's: converted once, compiled for each number of clips."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from vmz.engines.torch_engine.graph.functions import let_go
from vmz.extras import require

HINTS = {"fp32": "f32", "bf16": "bf16"}
KEPT = 2  # compiled nets at a time, each with its weights: of a whole batch, and of the rest at the end of the data


def import_openvino() -> Any:
    """OpenVINO. Raises UsageError, naming the extra, where it is not installed."""
    return require("openvino", "openvino", "--engine=openvino")


class CompiledNet:
    """What runs in place of a GraphModule: `forward` takes its inputs and gives its {blob: value}.

    inputs: as they will come, but for the number of clips, which may differ from run to run. What depends on labels,
    the losses and the accuracy, PyTorch computes: OpenVINO has no such operators. Raises RuntimeError, as PyTorch's
    operators do, for a net that OpenVINO cannot convert.
    """

    def __init__(self, module: GraphModule, inputs: Sequence[Tensor], precision: str) -> None:
        openvino = import_openvino()
        self._core = openvino.Core()
        self._settings = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
        }
        self._parts = divided(module, inputs)
        self._compiled: dict[tuple[tuple[int, ...], ...], Any] = {}
        self._model: Any = None
        if self._parts.has_trunk:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it traces, of which PyTorch warns
                self._model = openvino.convert_model(
                    self._parts.trunk, example_input=tuple(inputs[place] for place in self._parts.read)
                )
        let_go(self._parts.trunk)  # the converted one has weights of its own

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """{blob: value} of one run."""
        found: list[Tensor] = []
        if self._model is not None:
            arrays = [inputs[place].contiguous().numpy() for place in self._parts.read]
            compiled = self._for_shapes(tuple(array.shape for array in arrays))
            results = compiled(arrays, share_inputs=True)
            found = [torch.from_numpy(results[port]) for port in compiled.outputs]
        made: dict[str, Tensor] = self._parts.rest.forward(*inputs, *found)
        return made

    def _for_shapes(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        if shapes not in self._compiled:
            while len(self._compiled) >= KEPT:
                del self._compiled[next(iter(self._compiled))]
            self._model.reshape({port: list(shape) for port, shape in zip(self._model.inputs, shapes)})
            self._compiled[shapes] = self._core.compile_model(self._model, "CPU", self._settings)
        return self._compiled[shapes]


@dataclass(frozen=True)
class Parts:
    """A net in two: `trunk` takes the inputs numbered `read` and gives a tuple; `rest` takes all inputs and these."""

    trunk: GraphModule
    read: list[int]
    rest: GraphModule
    has_trunk: bool


def divided(module: GraphModule, inputs: Sequence[Tensor]) -> Parts:
    """The net as what does not depend on labels, and the rest, which gives what the net gives."""
    nodes: list[Any] = list(module.graph.nodes)
    given = [node for node in nodes if node.op == "placeholder"]
    returned: dict[str, Any] = nodes[-1].args[0]
    late = {node for node, value in zip(given, inputs) if not value.is_floating_point()}
    for node in nodes[:-1]:
        if late.intersection(node.all_input_nodes):
            late.add(node)
    computed = [node for node in nodes[:-1] if node.op not in ("placeholder", "get_attr") and node not in late]
    wanted = set(returned.values())
    handed = [node for node in computed if node in wanted or late.intersection(node.users)]

    trunk = Graph()
    copies: dict[Any, Node] = {}
    for node in nodes[:-1]:
        if node not in late:
            copies[node] = trunk.node_copy(node, lambda node: copies[node])
    trunk.output(tuple(copies[node] for node in handed))
    trunk.eliminate_dead_code()
    read = [place for place, node in enumerate(given) if node in copies and copies[node].users]
    for node in given:
        if node in copies and not copies[node].users:
            trunk.erase_node(copies[node])

    rest = Graph()
    copies = {}
    for node in given:
        copies[node] = rest.node_copy(node)
    for node in handed:
        copies[node] = rest.placeholder(f"of_{node.name}")
    for node in nodes[:-1]:
        if node not in copies and (node.op == "get_attr" or node in late):
            copies[node] = rest.node_copy(node, lambda node: copies[node])
    rest.output({name: copies[node] for name, node in returned.items()})
    rest.eliminate_dead_code()
    return Parts(GraphModule(module, trunk), read, GraphModule(module, rest), bool(handed))
