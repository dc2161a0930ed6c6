"""A net whose convolutions, and what lies between them, compute in 16 bits; all else, and all results, in float32."""

from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from vmz.engines.torch_engine.graph.nodes import CONVOLUTIONS, adds_two_values, calls, like
from vmz.engines.torch_engine.graph.op import leaf

LAYERS = (*CONVOLUTIONS, F.linear)
# What gives of 16 bits what it takes: each adds up in float32 inside, or adds up nothing.
FOLLOWING = (F.relu, F.max_pool2d, F.max_pool3d, F.batch_norm)


def use_half(module: GraphModule, dtype: torch.dtype, full_bias: bool = False) -> None:
    """Round what convolutions read to `dtype`, with their weights, and keep their results so until another layer reads.

    Average pools, linear layers, a classifier that is a convolution and softmaxes read float32; so does who gets
    a result. full_bias: biases stay float32, for oneDNN, which adds them before it rounds. To be called after batch
    norms are folded: weights are rounded once.
    """
    casts, last = _Casts(module, dtype), set(last_layers(module.graph))
    for node in list(module.graph.nodes):
        if calls(node, CONVOLUTIONS) and node not in last:
            source, weight, *others = node.args
            if others and not (full_bias and can_be_packed(node) and _is_constant(others[0])):
                others[0] = casts.weight(others[0])
            node.args = (casts.half(source), casts.weight(weight), *others)
            casts.halves.add(node)
        elif calls(node, FOLLOWING) and node.args[0] in casts.halves:
            casts.halves.add(node)
        elif adds_two_values(node) and any(term in casts.halves for term in node.args):
            node.args = tuple(casts.half(term) for term in node.args)
            casts.halves.add(node)
        else:
            for source in node.all_input_nodes:
                if source in casts.halves:
                    node.replace_input_with(source, casts.full(source))
    module.graph.lint()


def last_layers(graph: Graph) -> list[Node]:
    """Convolutions and linear layers whose results no other layer and no ReLU reads: the classifier, mostly."""
    before: set[Node] = set()
    found = []
    for node in reversed(graph.nodes):
        if any(user in before for user in node.users):
            before.add(node)
        elif calls(node, LAYERS):
            before.add(node)
            found.append(node)
        elif calls(node, (F.relu,)):
            before.add(node)
    return found


def classify_in_float32(graph: Graph) -> None:
    """Have the last layers compute in float32 where autocast would have them round the logits."""
    for node in last_layers(graph):
        if not node.kwargs:
            node.target = without_autocast
    graph.lint()


@leaf
def without_autocast(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None, *layout: Any) -> Tensor:
    """A convolution, or without `layout` a linear layer, in float32, whatever autocast is on."""
    with torch.autocast(x.device.type, enabled=False):
        bias = None if bias is None else bias.float()
        if not layout:
            return F.linear(x.float(), weight.float(), bias)
        return (F.conv3d if x.dim() == 5 else F.conv2d)(x.float(), weight.float(), bias, *layout)


def can_be_packed(conv: Any) -> bool:
    """Whether oneDNN's own convolution can do it: by weights that are constants, padded by numbers."""
    padding = conv.args[4] if len(conv.args) > 4 else None
    return bool(_is_constant(conv.args[1]) and not isinstance(padding, str))


@leaf
def rounded(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x in another floating-point type; its layout in memory stays."""
    return x.to(dtype)


class _Casts:
    """The conversions of a graph, each value's once. halves: the nodes whose values have 16 bits."""

    def __init__(self, module: GraphModule, dtype: torch.dtype) -> None:
        self._module, self._dtype = module, dtype
        self._made: dict[tuple[Node, torch.dtype], Node] = {}
        self.halves: set[Node] = set()

    def half(self, node: Any) -> Any:
        return node if node in self.halves else self._cast(node, self._dtype)

    def full(self, node: Node) -> Node:
        return self._cast(node, torch.float32)

    def weight(self, node: Any) -> Any:
        """A parameter becomes a constant of 16 bits. Any: a bias may be None."""
        if not _is_constant(node):
            return None if node is None else self.half(node)
        name = f"{node.target}+{str(self._dtype).rpartition('.')[2]}"
        if not hasattr(self._module, name):
            self._module.register_buffer(name, getattr(self._module, str(node.target)).detach().to(self._dtype))
        with self._module.graph.inserting_before(node):
            return like(node, self._module.graph.create_node("get_attr", name))

    def _cast(self, node: Node, dtype: torch.dtype) -> Node:
        if (node, dtype) not in self._made:
            with self._module.graph.inserting_after(node):
                self._made[node, dtype] = self._module.graph.call_function(rounded, (node, dtype))
        return self._made[node, dtype]


def _is_constant(node: Any) -> bool:
    return isinstance(node, Node) and node.op == "get_attr"
