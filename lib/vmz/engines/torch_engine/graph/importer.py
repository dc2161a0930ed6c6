"""NetDef -> torch.fx.GraphModule. Parameters and buffers are named by blob, and so is every value of the graph.

module = import_net(model.net, model.param_init_net, outputs=["softmax"])
module.load_state_dict({"gpu_0/conv1_w": ..., ...})
scores = module(data)["softmax"]
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, Optional

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node, Proxy
from torch.fx.proxy import GraphAppendingTracer

import vmz.engines.torch_engine.graph.operators  # noqa: F401  fills the registry
from vmz.engines.torch_engine.graph.fills import run_fills
from vmz.engines.torch_engine.graph.op import REGISTRY, Op, fitting, lookup, read_ops
from vmz.errors import VmzError
from vmz.netdef.blob_names import full_name, unscoped
from vmz.netdef.net_parts import READERS

# Operators whose further outputs are no results: statistics, old shapes, masks, scales.
BESIDE = (
    "SpatialBN",
    "InstanceNorm",
    "GroupNorm",
    "LayerNorm",
    "Reshape",
    "Concat",
    "DepthConcat",
    "Dropout",
    "LRN",
)


def import_net(
    net: Any,
    init_net: Optional[Any] = None,
    outputs: Optional[Sequence[str]] = None,
    seed: int = 0,
    values: Optional[Mapping[str, Tensor]] = None,
) -> GraphModule:
    """A PyTorch module that computes `outputs` of a NetDef.

    net, init_net: NetDef; init_net's fills, with `seed`, give the initial values, unless `values` {blob: tensor} does.
    What they fill are the module's parameters, except running statistics and integers, which are buffers; the keys of
    its state_dict are blob names. outputs: blob names, in full or the part after the last "/"; by default the external
    outputs of the net, or every result that no operator reads (no statistics, masks or old shapes). "blob@3" is the
    value that operator 3 gave a blob that later operators overwrite; a plain name is what its last writer left.
    Operators that no output needs are left out.

    The module takes the blobs that nothing fills or computes (data, then label; see `input_blobs(module)`) and returns
    a dict {name as asked for: tensor}. A net with is_test=0 normalises by batch statistics and updates its running
    statistics, a net with is_test=1 does not: module.train() and eval() change nothing. Autograd works through both.

    Raises VmzError for operators and arguments that are not supported, naming them all, and for an unknown output.
    """
    values = run_fills(init_net, seed) if values is None and init_net is not None else dict(values or {})
    writers = _Writers(read_ops(net))
    wanted = {name: writers.find(name, values) for name in (outputs if outputs is not None else _sinks(net, writers))}
    refuse_unsupported(writers.needed(wanted.values()), net.name)
    graph, root = Graph(), nn.Module()
    nodes = _Translation(graph, root, values, writers).translate(wanted)
    graph.output({name: nodes[value] for name, value in wanted.items()})
    remove_unused(graph)
    return GraphModule(root, graph, "NetDef")


def check_operators(net: Any, outputs: Optional[Sequence[str]] = None) -> None:
    """VmzError where operators that `outputs` need cannot be carried out: all of them, each with where it stands."""
    writers = _Writers(read_ops(net))
    wanted = [writers.find(name, ()) for name in (outputs if outputs is not None else _sinks(net, writers))]
    refuse_unsupported(writers.needed(wanted), net.name, listed=True)


def refuse_unsupported(ops: Sequence[Op], net_name: str, listed: bool = False) -> None:
    """VmzError where the engine cannot carry out some of the operators; a single one as a list too where `listed`."""
    problems = [(op, error) for op in ops if op.type not in READERS and (error := _problem(op)) is not None]
    if len(problems) == 1 and not listed:
        raise problems[0][1]
    if problems:
        each = "; ".join(f"{op.place}{_reason(op, error)}" for op, error in problems)
        raise VmzError(
            f"the PyTorch engine cannot run {len(problems)} of the operators of the net {net_name or '(no name)'}: "
            f"{each}; docs/reference/operators.md lists what it can"
        )


def _problem(op: Op) -> Optional[VmzError]:
    """Why an operator cannot be carried out, None where it can: it is tried on inputs without values."""
    graph = Graph()
    tracer = GraphAppendingTracer(graph)
    inputs = [Proxy(graph.placeholder(f"input_{place}"), tracer) for place in range(len(op.inputs))]
    try:
        _carry_out(lookup(op), op, inputs)
    except VmzError as error:
        return error
    return None


def _reason(op: Op, error: VmzError) -> str:
    """What is wrong beside the operator's type."""
    text = str(error)
    return f": {text.partition(f'{op}: ')[2] or text.partition(str(op))[2].strip()}" if op.type in REGISTRY else ""


def _carry_out(function: Callable[..., Any], op: Op, arguments: Sequence[Any]) -> Any:
    with fitting(op):
        try:
            return function(op, *arguments)
        except (TypeError, ValueError) as error:
            if not re.search("positional argument|to unpack", str(error)):
                raise
            raise VmzError(f"{op} has {len(arguments)} inputs, which is not supported by the PyTorch engine") from error


def input_blobs(module: GraphModule) -> list[str]:
    """Full names of the blobs that the module takes, in the order of its arguments."""
    return [node.meta["blob"] for node in module.graph.nodes if node.op == "placeholder"]


def outside_blobs(net: Any) -> list[str]:
    """Full names of the blobs that a net reads before any of its operators writes them."""
    return _Writers(read_ops(net)).inputs


def remove_unused(graph: Graph) -> None:
    """Take out what no output needs, inputs included; a batch norm that updates its statistics stays."""
    for node in reversed(list(graph.nodes)):
        if node.op != "output" and not node.users and not node.kwargs.get("training"):
            graph.erase_node(node)


Value = tuple[str, int]  # a blob and the operator that wrote it; -1 is a value from outside


class _Writers:
    """Who writes what: Caffe2 overwrites blobs, torch.fx must not, so that each write is a value of its own."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self.ops = ops
        self.reads: list[list[Value]] = []
        self.last: dict[str, int] = {}
        self.written: set[Value] = set()
        self.inputs: list[str] = []
        for op in ops:
            for blob in op.inputs:
                if blob not in self.last:
                    self.last[blob] = -1
                    self.inputs.append(blob)
            self.reads.append([(blob, self.last[blob]) for blob in op.inputs])
            self.written.update((blob, op.index) for blob in op.outputs)
            self.last.update((blob, op.index) for blob in op.outputs)

    def find(self, name: str, values: Iterable[str]) -> Value:
        blob, at, index = name.partition("@")
        full = blob if blob in self.last else full_name(blob, [*self.last, *values])
        if not at:
            return full, self.last.get(full, -1)
        if not index.isdigit() or (full, int(index)) not in self.written:
            of = ", ".join(f"{full}@{i}" for b, i in sorted(self.written) if b == full)
            raise VmzError(f"operator {index} does not write blob {full}; what is written is {of or 'nothing'}")
        return full, int(index)

    def needed(self, wanted: Iterable[Value]) -> list[Op]:
        """The operators on which the wanted values depend, in order."""
        chosen: set[int] = set()
        pending = [index for _, index in wanted]
        while pending:
            index = pending.pop()
            if index >= 0 and index not in chosen:
                chosen.add(index)
                pending.extend(writer for _, writer in self.reads[index])
        return [self.ops[index] for index in sorted(chosen)]


def _sinks(net: Any, writers: _Writers) -> list[str]:
    if net.external_output:
        return list(net.external_output)
    read = {value for reads in writers.reads for value in reads}
    unread = [(blob, index) for blob, index in writers.last.items() if index >= 0 and (blob, index) not in read]
    results = [(blob, writers.ops[index]) for blob, index in unread if blob not in left_out(writers.ops[index])]
    return [blob for blob, op in results if op.type not in BESIDE or blob == op.outputs[0]] or [b for b, _ in results]


def left_out(op: Op) -> tuple[str, ...]:
    """The outputs that an operator does not write: Dropout has no mask in testing, here as in Caffe2."""
    return op.outputs[1:] if op.type == "Dropout" and op.arg("is_test", 0) else ()


class _Translation:
    """Operators to nodes of a graph. `values` become parameters and buffers of `root`."""

    def __init__(self, graph: Graph, root: nn.Module, values: Mapping[str, Tensor], writers: _Writers) -> None:
        self.graph, self.root, self.values, self.writers = graph, root, values, writers
        self.tracer = GraphAppendingTracer(graph)
        self.nodes: dict[Value, Node] = {}
        self.databases = {blob for op in writers.ops if op.type in READERS for blob in op.inputs}
        self.taken: dict[str, str] = {}  # {the part of an input's name after the last "/": the first that has it}
        self.statistics = {
            blob for op in writers.ops if op.type == "SpatialBN" for blob in op.inputs[3:5]
        }  # what SpatialBN accumulates is no parameter

    def translate(self, wanted: Mapping[str, Value]) -> dict[Value, Node]:
        """The nodes of all values that `wanted` {name as asked for: value} needs, written into the graph."""
        ops = self.writers.needed(wanted.values())
        outside = self._outside(ops, wanted.values())
        for blob in self._inputs(ops, outside):  # torch.fx wants the inputs first
            self._input(blob)
        for blob in outside:
            if blob in self.values:
                self._attribute(blob)
        for op in ops:
            if op.type in READERS:
                self._take_from_outside(op)
            else:
                self._call(op)
        self._refuse_left_out(wanted)
        return self.nodes

    def _outside(self, ops: Sequence[Op], wanted: Iterable[Value]) -> list[str]:
        """The blobs that the operators, or those who ask, read and no operator has written before, each once."""
        read = [value for op in ops for value in self.writers.reads[op.index]]
        return list(dict.fromkeys(blob for blob, writer in (*read, *wanted) if writer == -1))

    def _inputs(self, ops: Sequence[Op], outside: Sequence[str]) -> list[str]:
        """The blobs that the module takes: what readers put out, and what else has no value; each once."""
        of_readers = [blob for op in ops if op.type in READERS for blob in op.outputs]
        without_value = [blob for blob in outside if blob not in self.values and blob not in self.databases]
        return list(dict.fromkeys([*of_readers, *without_value]))

    def _take_from_outside(self, reader: Op) -> None:
        """A reader runs outside of the graph, which takes its outputs as inputs."""
        self.nodes.update({(blob, reader.index): self.nodes[blob, -1] for blob in reader.outputs})

    def _refuse_left_out(self, wanted: Mapping[str, Value]) -> None:
        for name, (blob, writer) in wanted.items():
            if (blob, writer) not in self.nodes:
                raise VmzError(f"blob {name} is not computed: {self.writers.ops[writer]} leaves it out here")

    def _input(self, blob: str) -> None:
        short = unscoped(blob)
        name = _identifier(short if self.taken.setdefault(short, blob) == blob else blob)
        self._add(blob, -1, self.graph.placeholder(name))

    def _attribute(self, blob: str) -> None:
        if "." in blob:
            raise VmzError(f"blob {blob} cannot be a parameter: PyTorch allows no dot in a name; rename it")
        tensor = self.values[blob]
        if blob in self.statistics or not tensor.is_floating_point():
            self.root.register_buffer(blob, tensor)
        else:
            self.root.register_parameter(blob, nn.Parameter(tensor))
        self._add(blob, -1, self.graph.create_node("get_attr", blob, name=_identifier(blob)))

    def _call(self, op: Op) -> None:
        function = lookup(op)
        last = next(iter(reversed(self.graph.nodes)), None)
        results = _carry_out(function, op, self._arguments(op))
        for node in itertools.takewhile(lambda node: node is not last, reversed(self.graph.nodes)):
            node.meta.update(blob=op.outputs[0], op=op.index, type=op.type)
        for blob, result in zip(op.outputs, results if isinstance(results, tuple) else (results,)):
            self._add(blob, op.index, result.node if isinstance(result, Proxy) else self._constant(blob, op, result))

    def _arguments(self, op: Op) -> list[Proxy]:
        for blob, writer in self.writers.reads[op.index]:
            if (blob, writer) not in self.nodes:
                raise VmzError(f"{op} reads {blob}, which {self.writers.ops[writer]} leaves out here")
        return [Proxy(self.nodes[value], self.tracer) for value in self.writers.reads[op.index]]

    def _constant(self, blob: str, op: Op, value: Tensor) -> Node:
        """What an operator makes of nothing is a buffer."""
        name = f"{blob}@{op.index}".replace(".", "_")
        self.root.register_buffer(name, value)
        node = self.graph.create_node("get_attr", name, name=_identifier(name))
        node.meta.update(blob=blob, op=op.index, type=op.type)
        return node

    def _add(self, blob: str, index: int, node: Node) -> None:
        self.nodes[blob, index] = node
        if "blob" not in node.meta or node.meta.get("op") == index:
            node.meta.update(blob=blob)
            node.meta.setdefault("op", index)


def _identifier(blob: str) -> str:
    name = "".join(character if character.isalnum() else "_" for character in blob[:100])
    return name if name.isidentifier() and not name.startswith("__") else f"blob_{name}"  # torch.fx cuts off __


def device_of(module: nn.Module) -> torch.device:
    """Where the module's parameters lie; the CPU when it has none."""
    for tensor in [*module.parameters(), *module.buffers()]:
        return tensor.device
    return torch.device("cpu")
