"""A net for inference whose depth-wise and 1x1x1 convolutions run as our Triton kernels, with what follows them."""

from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule, Node

from vmz.engines.torch_engine.graph.importer import remove_unused
from vmz.engines.torch_engine.graph.nodes import only_user
from vmz.engines.torch_engine.graph.op import leaf
from vmz.engines.torch_engine.kernels import depthwise_conv3d, pointwise_conv3d


@leaf
def depthwise_layer(x: Tensor, weight: Tensor, bias: Optional[Tensor], stride: Any, relu: bool) -> Tensor:
    """See vmz.engines.torch_engine.kernels.depthwise_conv3d."""
    return depthwise_conv3d(x, weight, stride, shift=bias, relu=relu)


@leaf
def pointwise_layer(
    x: Tensor, weight: Tensor, bias: Optional[Tensor], stride: Any, residual: Optional[Tensor], relu: bool
) -> Tensor:
    """See vmz.engines.torch_engine.kernels.pointwise_conv3d."""
    return pointwise_conv3d(x, weight, stride, shift=bias, residual=residual, relu=relu)


def use_kernels(module: GraphModule) -> int:
    """Call the kernels in place of the convolutions that they are for; a sum of two values and the ReLU that follow go
    along. To be called on an optimized net, whose batch norms are folded. Returns how many convolutions they do."""
    count = 0
    for node in list(module.graph.nodes):
        if not _is_convolution(module, node):
            continue
        x, weight, bias, stride, padding, _, group = node.args
        shape = tuple(getattr(module, str(weight.target)).shape)
        if shape == (group, 1, 3, 3, 3) and tuple(padding) == (1, 1, 1) and set(stride) <= {1, 2}:
            relu = only_user(node, (F.relu,))
            _replace(module, relu or node, depthwise_layer, (x, weight, bias, tuple(stride), relu is not None))
        elif shape[2:] == (1, 1, 1) and group == 1 and tuple(padding) == (0, 0, 0):
            add = only_user(node, (torch.add,))
            residual = _other_term(add, node)
            last = node if residual is None else add
            assert last is not None
            relu = only_user(last, (F.relu,))
            arguments = (x, weight, bias, tuple(stride), residual, relu is not None)
            _replace(module, relu or last, pointwise_layer, arguments)
        else:
            continue
        count += 1
    remove_unused(module.graph)
    module.graph.lint()
    module.recompile()
    return count


def _is_convolution(module: GraphModule, node: Any) -> bool:
    """Whether it is one of clips by constant weights, padded by numbers, without dilation."""
    if node.op != "call_function" or node.target is not F.conv3d or len(node.args) < 7 or node.args[1].op != "get_attr":
        return False
    padding, dilation = node.args[4:6]
    return not isinstance(padding, str) and tuple(dilation) == (1, 1, 1)


def _other_term(add: Optional[Node], node: Node) -> Optional[Node]:
    """What a sum of two values adds to `node`."""
    if add is None or len(add.args) != 2 or add.kwargs or not all(isinstance(term, Node) for term in add.args):
        return None
    others = [term for term in add.args if term is not node]
    return others[0] if len(others) == 1 else None  # type: ignore[return-value]


def _replace(module: GraphModule, last: Node, layer: Any, arguments: tuple[Any, ...]) -> None:
    """Have `layer` compute what `last` did, in its place: what is added is there by then."""
    with module.graph.inserting_before(last):
        call = module.graph.call_function(layer, arguments)
    call.meta = dict(last.meta)
    last.replace_all_uses_with(call)
    module.graph.erase_node(last)
