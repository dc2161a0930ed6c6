"""Graph passes for inference: the same results to rounding, sooner. One call, `optimize`; what is asked for stays.

On the CPU the layout is channels last, and convolutions run as oneDNN's with weights laid out once and with the sum and
the ReLU that follow done in the same sweep, where this PyTorch offers them (2.0 and later, x86 and Arm builds).
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import Graph, GraphModule, Interpreter, Node

from vmz.engines.torch_engine.graph import few_products
from vmz.engines.torch_engine.graph.functions import let_go
from vmz.engines.torch_engine.graph.half import can_be_packed, use_half
from vmz.engines.torch_engine.graph.importer import device_of, remove_unused
from vmz.engines.torch_engine.graph.nodes import (
    CONVOLUTIONS,
    adds_two_values,
    calls,
    constant_before,
    like,
    only_user,
    tensor_of,
)
from vmz.engines.torch_engine.graph.op import leaf
from vmz.engines.torch_engine.graph.packed import Layout, packed, packed_sum, packed_weight
from vmz.engines.torch_engine.graph.pools import use_fast_pools
from vmz.engines.torch_engine.graph.space_to_depth import pair_columns

# Operations whose result is memory of its own: nothing else sees it, so it may be overwritten after its last use.
FRESH = (*CONVOLUTIONS, few_products.convolve, F.batch_norm, torch.add, F.max_pool2d, F.max_pool3d)


def optimize(
    module: GraphModule, inputs: Sequence[Tensor], half: Optional[torch.dtype] = None, in_channels_last: bool = True
) -> GraphModule:
    """A module for inference with the results of `module`, an imported net whose batch norms do not train.

    inputs: what it will be given, of which only shapes and types count: weights are laid out for them. Inputs of other
    shapes give the same results, perhaps later. half: bfloat16 or float16, in which convolutions and what lies between
    them compute. in_channels_last: the layout, without which nothing is laid out for oneDNN.
    Its parameters are no longer the blobs: they are folded and laid out. `module` itself is left as it was. Values that
    the module returns are computed as they are: a convolution that is returned keeps its batch norm to itself.
    """
    optimized = _copy(module)
    fold_batch_norms(optimized)
    packs = in_channels_last and device_of(module).type == "cpu" and has_fused_convolutions(half)
    extents = convolution_inputs(optimized, inputs) if packs else {}
    if half is not None:
        use_half(optimized, half, full_bias=packs)
    if packs:
        pair_columns(optimized, extents)
    if in_channels_last:
        use_channels_last(optimized)
        if packs:
            fuse_convolutions(optimized, extents)
            use_fast_pools(optimized, _is_rectified)
    relu_in_place(optimized.graph)
    remove_unused(optimized.graph)
    optimized.graph.lint()
    return _renamed(optimized, "OptimizedNetDef")


def in_half(module: GraphModule, half: torch.dtype) -> GraphModule:
    """A module that computes in `half` and is else as `module`, whose parameters it shares: nothing is folded."""
    copied = _copy(module)
    use_half(copied, half)
    remove_unused(copied.graph)
    return _renamed(copied, "HalfNetDef")


def fold_batch_norms(module: GraphModule) -> None:
    """Multiply the scale of a batch norm into the weights of the convolution before it, in float64."""
    for norm in _nodes(module.graph):
        if not calls(norm, (F.batch_norm,)) or norm.kwargs["training"]:
            continue
        conv = norm.args[0]
        if not calls(conv, CONVOLUTIONS) or len(conv.users) > 1 or conv.args[1].op != "get_attr":
            continue
        weight, bias = tensor_of(module, conv.args[1]), tensor_of(module, conv.args[2])
        mean, var = (tensor_of(module, node).double() for node in norm.args[1:3])
        scale, shift = (tensor_of(module, norm.kwargs[name]).double() for name in ("weight", "bias"))
        factor = scale / torch.sqrt(var + norm.kwargs["eps"])
        folded = weight.double() * factor.reshape(-1, *[1] * (weight.dim() - 1))
        offset = shift + factor * ((0.0 if bias is None else bias.double()) - mean)
        constants = [
            constant_before(module, conv, f"{norm.meta['blob']}+{part}", value.to(weight.dtype))
            for part, value in (("w", folded), ("b", offset))
        ]
        conv.args = (conv.args[0], *constants, *conv.args[3:])
        conv.meta.update(norm.meta)
        norm.replace_all_uses_with(conv)
        module.graph.erase_node(norm)


def use_channels_last(module: GraphModule) -> None:
    """Lay inputs and weights of convolutions out with channels innermost; the operations between keep that layout."""
    for node in _nodes(module.graph):
        if not calls(node, CONVOLUTIONS):
            continue
        source, weight = node.args[0], node.args[1]
        if weight.op == "get_attr":
            value = channels_last(tensor_of(module, weight))
            weight = constant_before(module, node, f"{weight.target}+channels_last", value)
        if not calls(source, FRESH) and not calls(source, (F.relu,)):
            with module.graph.inserting_before(node):
                source = like(node, module.graph.call_function(channels_last, (source,)))
        node.args = (source, weight, *node.args[2:])


@leaf
def channels_last(x: Tensor) -> Tensor:
    """x with channels innermost in memory; its shape and numbers stay."""
    if x.dim() == 5:
        return x.contiguous(memory_format=torch.channels_last_3d)
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


@functools.cache
def has_fused_convolutions(half: Optional[torch.dtype] = None) -> bool:
    """Whether oneDNN's fused convolutions are there and right on a small case: PyTorch does not promise them.

    half: of values of this type, None for float32.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    x, other, weight = torch.randn(2, 3, 4, 5, 5), torch.randn(2, 4, 4, 5, 5), torch.randn(4, 3, 1, 3, 3)
    if half is not None:
        x, other, weight = x.to(half), other.to(half), weight.to(half)
    layout = [0, 1, 1], [1, 1, 1], [1, 1, 1], 1
    expected = F.relu(F.conv3d(x.float(), weight.float(), padding=(0, 1, 1)) + other.float())
    try:
        ops = torch.ops.mkldnn
        packed = ops._reorder_convolution_weight(weight, *layout)
        ops._convolution_pointwise.default(x, packed, torch.zeros(4), *layout, "relu", [], "")
        found = ops._convolution_pointwise_.binary(
            channels_last(other.clone()), channels_last(x), packed, None, *layout, "add", 1.0, "relu", [], ""
        )
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return False
    near = 1e-5 if half is None else 0.05
    return found.dtype == x.dtype and torch.allclose(found.float(), expected, atol=near, rtol=near)


def fuse_convolutions(module: GraphModule, extents: Mapping[Node, torch.Size]) -> None:
    """Convolution (+ another value) (+ ReLU) as one call each, with the weights laid out as oneDNN likes them.

    extents: of the inputs of the convolutions, see `convolution_inputs`.
    """
    for node in _nodes(module.graph):
        if _can_be_packed(module, node):
            _pack(module, node, extents[node])
    order = {node: place for place, node in enumerate(module.graph.nodes)}
    for node in _nodes(module.graph):
        if adds_two_values(node):
            _fuse_sum(module, node, order)


def _is_rectified(node: Any) -> bool:
    """Whether it is a packed convolution with a ReLU: its values are 0 or more, and none is not-a-number."""
    return (calls(node, (packed(),)) and node.args[7] == "relu") or (
        calls(node, (packed_sum(),)) and node.args[10] == "relu"
    )


def _can_be_packed(module: GraphModule, node: Any) -> bool:
    """Whether it is a convolution by float32 or bfloat16 weights, padded by numbers."""
    if not calls(node, CONVOLUTIONS) or not can_be_packed(node):
        return False
    return tensor_of(module, node.args[1]).dtype in (torch.float32, torch.bfloat16)


def _pack(module: GraphModule, conv: Any, extent: torch.Size) -> None:
    """Have oneDNN do a convolution, and the ReLU after it if that is all that reads it."""
    source, weight, bias, stride, padding, dilation, group = conv.args
    layout = Layout(list(padding), list(stride), list(dilation), group)
    axis = few_products.axis_of(extent, tensor_of(module, weight), layout)
    if axis is not None:
        _pack_few_products(module, conv, extent, layout, axis)
        return
    laid_out = packed_weight(tensor_of(module, weight), layout, extent)
    constant = constant_before(module, conv, f"{weight.target}+packed", laid_out)
    relu = only_user(conv, (F.relu,))
    arguments: tuple[Any, ...] = (source, constant, bias, *layout, "relu" if relu else "none", [], "")
    with module.graph.inserting_before(conv):
        fused = module.graph.call_function(packed(), arguments)
    _take_over(module.graph, fused, conv, relu)


def _pack_few_products(module: GraphModule, conv: Any, extent: torch.Size, layout: Layout, axis: int) -> None:
    """The same with fewer products, and with the sum that follows if that is all that reads it."""
    graph, (source, weight, bias, *_) = module.graph, conv.args
    parts = [
        constant_before(module, conv, f"{weight.target}+part{number}", part)
        for number, part in enumerate(few_products.packed_parts(tensor_of(module, weight), layout, axis, extent))
    ]
    add: Any = only_user(conv, (torch.add,))
    if not adds_two_values(add) or add.args[0] is add.args[1]:
        add = None
    last = conv if add is None else add
    other = None if add is None else next(term for term in add.args if term is not conv)
    relu = only_user(last, (F.relu,))
    with graph.inserting_before(last):
        fused = graph.call_function(
            few_products.convolve, (source, parts, bias, tuple(layout), axis, relu is not None, other)
        )
    _take_over(graph, fused, last, relu)
    if add is not None:
        graph.erase_node(conv)


def _fuse_sum(module: GraphModule, add: Any, order: dict[Node, int]) -> None:
    """Have a convolution add its result into the memory of the sum's other term, if this is that term's last use."""
    for conv, other in (add.args, add.args[::-1]):
        if _is_for_sum_alone(conv) and _is_overwritable_at(conv, other, add, order):
            _add_in_place(module, conv, other, add, order)
            return


def _is_for_sum_alone(conv: Any) -> bool:
    """Whether it is a packed convolution without ReLU that nothing else reads."""
    return calls(conv, (packed(),)) and len(conv.users) == 1 and conv.args[7] == "none"


def _is_overwritable_at(conv: Any, other: Any, add: Any, order: Mapping[Node, int]) -> bool:
    """Whether `other` is there when the convolution runs, in memory of its own, and all but the sum have read it.

    order: places of the nodes in the graph; nodes made since have none, and count as after all others.
    """
    if not calls(other, (packed(), packed_sum(), *FRESH)) or order.get(other, -1) > order.get(conv, -1):
        return False
    others = [user for user in other.users if user is not add]
    returned = any(user.op == "output" for user in other.users)
    return not returned and all(order.get(user, len(order)) < order.get(conv, -1) for user in others)


def _add_in_place(module: GraphModule, conv: Any, other: Any, add: Any, order: dict[Node, int]) -> None:
    graph, relu = module.graph, only_user(add, (F.relu,))
    source, weight, bias, *layout = conv.args[:7]
    dtype = tensor_of(module, weight).dtype
    if bias is not None and bias.op == "get_attr" and tensor_of(module, bias).dtype != dtype:  # this one takes no other
        bias = constant_before(module, conv, f"{bias.target}+rounded", tensor_of(module, bias).to(dtype))
    arguments = (other, source, weight, bias, *layout, "add", 1.0, "relu" if relu else None, [], "")
    with graph.inserting_before(conv):
        fused = graph.call_function(packed_sum(), arguments)
    order[fused] = order[conv]
    _take_over(graph, fused, add, relu)
    graph.erase_node(conv)


def convolution_inputs(module: GraphModule, inputs: Sequence[Tensor]) -> dict[Node, torch.Size]:
    """{convolution: the shape of what it reads} when the module is given `inputs`, without computing anything."""
    interpreter = _Shapes(module)
    with torch.no_grad():
        interpreter.run(*(value.to("meta") for value in inputs))
    _free_frames()
    return interpreter.found


class _Shapes(Interpreter):
    def __init__(self, module: GraphModule) -> None:
        super().__init__(module)
        self.found: dict[Node, torch.Size] = {}

    def fetch_attr(self, target: Any) -> Any:
        return getattr(self.module, target).to("meta")

    def run_node(self, n: Any) -> Any:
        if calls(n, CONVOLUTIONS):
            self.found[n] = self.env[n.args[0]].shape
        return super().run_node(n)


@functools.cache
def _free_frames() -> None:
    """PyTorch loads its compiler when it meets the first meta tensor. That leaves all calls that led there, with their
    variables, nets and weights among them, to Python's collector."""
    gc.collect()


def relu_in_place(graph: Graph) -> None:
    """Let a ReLU overwrite what it reads where nothing else reads it."""
    for node in _nodes(graph):
        if calls(node, (F.relu,)) and calls(node.args[0], FRESH) and len(node.args[0].users) == 1:
            node.kwargs = {"inplace": True}


def _copy(module: GraphModule) -> GraphModule:
    graph = Graph()
    values: dict[Node, Node] = {}
    returned: Any = graph.graph_copy(module.graph, values)
    for node, copied in values.items():
        copied.meta = dict(node.meta)
    graph.output(returned)
    return GraphModule(module, graph)


def _renamed(module: GraphModule, name: str) -> GraphModule:
    """The same without what its graph no longer uses. The module is let go."""
    renamed = GraphModule(module, module.graph, name)
    let_go(module)
    return renamed


def _nodes(graph: Graph) -> list[Any]:
    """The nodes as they are now, for a loop that changes the graph. Any: what a node's arguments may be is vast."""
    return list(graph.nodes)


def _take_over(graph: Graph, fused: Node, node: Node, relu: Optional[Node]) -> None:
    last = node if relu is None else relu
    like(last, fused)
    last.replace_all_uses_with(fused)
    if relu is not None:
        graph.erase_node(relu)
    graph.erase_node(node)
