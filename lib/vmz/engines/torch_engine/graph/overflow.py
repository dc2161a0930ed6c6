"""Whether values of a network overflow where its fused ReLUs would hide it.

oneDNN's ReLU makes 0 of not-a-number, so what overflowed in a clip would score like any other clip. No value can
overflow as long as inputs and some ReLUs on the way, where `guarded` measures, stay below LIMIT: the weights bound what
lies between. Measuring every twentieth layer or so takes no time beside the convolutions.
"""

from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule, Node

from vmz.engines.torch_engine.graph.nodes import SUMS
from vmz.engines.torch_engine.graph.op import leaf

LARGEST = "largest of what is measured"  # the output of a guarded module that says it: no blob has such a name
LIMIT = 1e5  # of what is measured; activations are rarely above 1000
MEASURED_ABOVE = {True: 1e23, False: 1e29}  # ReLUs that may be larger are measured; at the end of a block sooner
MOST = 1e35  # that the weights may allow: three digits below float32's largest, for what a convolution adds up inside

_CONVOLUTIONS = (F.conv2d, F.conv3d)
_BY_CHANNEL = (F.relu, F.max_pool2d, F.max_pool3d, F.avg_pool2d, F.avg_pool3d)
_REARRANGED = (F.dropout, torch.flatten, torch.reshape)


def guarded(module: GraphModule, optimized: GraphModule) -> Optional[GraphModule]:
    """`optimized` (of passes.optimize on `module`) with one more output, LARGEST: the largest value that is measured.

    As long as it is at most LIMIT, and no NaN, no value that a ReLU reads has overflowed. None where the weights are so
    large that nothing can be said.
    """
    measured = _Bounds(module).measured()
    if not measured:
        return None if measured is None else optimized
    graph = optimized.graph
    last = {node.meta.get("op"): node for node in graph.nodes if node.op == "call_function"}
    inputs = {node.target: node for node in graph.nodes if node.op == "placeholder"}
    found = []
    for node in measured:
        at = inputs.get(node.target) if node.op == "placeholder" else last.get(node.meta.get("op"))
        if at is None:
            return None
        with graph.inserting_after(at):
            found.append(graph.call_function(largest, (at, node.target is F.relu)))
    output = next(node for node in graph.nodes if node.op == "output")
    with graph.inserting_before(output):
        every = graph.call_function(torch.stack, (found,))
    output.args = ({**output.args[0], LARGEST: every},)
    graph.lint()
    return GraphModule(optimized, graph, "GuardedNetDef")


def is_sound(found: Tensor) -> bool:
    """Whether the output LARGEST says that nothing has overflowed."""
    return bool((found <= LIMIT).all())


@leaf
def largest(x: Tensor, rectified: bool = False) -> Tensor:
    """The largest absolute value, float32 (); NaN where there is one. rectified: x is a ReLU's, 0 or more."""
    if not x.numel():
        return torch.zeros(())
    if x.dim() > 2 and not x.is_contiguous():  # channels last: what is not in the order of memory would be copied
        x = x.permute(0, *range(2, x.dim()), 1)
    if rectified:
        return torch.max(x).float()
    low, high = torch.aminmax(x)
    return torch.maximum(high, -low).float()


class _Bounds:
    """How large each value can be: by the weights, from the inputs and from what is measured on."""

    def __init__(self, module: GraphModule) -> None:
        self._module = module
        self._bounds: dict[Node, Tensor] = {}  # float64, of each channel or of all

    def measured(self) -> Optional[list[Node]]:
        """What has to be measured for the ReLUs to be bounded; None where they are not even then."""
        found = []
        for node in self._before_a_relu():
            bound = self._bound(node)
            if bound is None or (node.target is F.relu and float(bound.max()) > MEASURED_ABOVE[_ends_a_block(node)]):
                found.append(node)
                bound = torch.tensor([LIMIT], dtype=torch.float64)
            if not float(bound.max()) <= MOST:
                return None
            self._bounds[node] = bound
        return found

    def _before_a_relu(self) -> list[Node]:
        nodes = list(self._module.graph.nodes)
        wanted: set[Node] = set()
        for node in reversed(nodes):
            if node.target is F.relu or any(user in wanted for user in node.users):
                wanted.add(node)
        return [node for node in nodes if node in wanted]

    def _bound(self, node: Any) -> Optional[Tensor]:
        """None for what is not known: an input, an operator of another kind."""
        if node.op == "get_attr":
            return _most(self._value(node)) if self._value(node).numel() else torch.zeros(1, dtype=torch.float64)
        if node.op == "call_method" and node.target == "detach":  # StopGradient, after each reader
            return self._bounds[node.args[0]]
        if node.op != "call_function" or not node.args or not isinstance(node.args[0], Node):
            return None
        source = self._bounds[node.args[0]]
        if node.target in (*_CONVOLUTIONS, F.linear):
            if node.kwargs or len(node.args) < 2:
                return None
            bias = node.args[2] if len(node.args) > 2 else None
            return self._of_weights(source, node.args[1], bias, node.args[6] if len(node.args) > 6 else 1)
        if node.target is F.batch_norm:
            return self._of_norm(source, node)
        if node.target in SUMS and len(node.args) == 2 and isinstance(node.args[1], Node):
            other = self._bounds[node.args[1]]
            return source + other if source.shape == other.shape else source.max().reshape(1) + other.max()
        if node.target in _REARRANGED:
            return source.max().reshape(1)
        return source if node.target in _BY_CHANNEL else None

    def _of_weights(self, source: Tensor, weight: Any, bias: Any, groups: Any) -> Optional[Tensor]:
        if not all(part is None or (isinstance(part, Node) and part.op == "get_attr") for part in (weight, bias)):
            return None
        value = self._value(weight).abs()
        sums = value.reshape(*value.shape[:2], -1).sum(dim=2)  # (channels, those of its group)
        if groups == 1 and source.numel() == sums.shape[1]:
            largest = sums @ source
        elif sums.shape[1] == 1 and source.numel() == sums.shape[0] == groups:
            largest = sums[:, 0] * source
        else:
            largest = sums.sum(dim=1) * source.max()
        return largest + (0.0 if bias is None else self._value(bias).abs())

    def _of_norm(self, source: Tensor, node: Any) -> Optional[Tensor]:
        parts = [*node.args[1:3], node.kwargs.get("weight"), node.kwargs.get("bias")]
        if node.kwargs.get("training") or not all(isinstance(part, Node) and part.op == "get_attr" for part in parts):
            return None
        mean, var, scale, shift = map(self._value, parts)
        return (source + mean.abs()) * scale.abs() / torch.sqrt(var + node.kwargs["eps"]) + shift.abs()

    def _value(self, node: Any) -> Tensor:
        value: Tensor = getattr(self._module, str(node.target)).detach()
        return value.double()


def _ends_a_block(relu: Any) -> bool:
    """Whether it reads a sum: the sum of the next block starts from it."""
    return bool(relu.args) and getattr(relu.args[0], "target", None) in SUMS


def _most(value: Tensor) -> Tensor:
    return value.abs().max().reshape(1)
