"""Questions about the nodes of a graph that several passes ask."""

from __future__ import annotations

import operator
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule, Node

CONVOLUTIONS = (F.conv2d, F.conv3d)
SUMS = (torch.add, operator.add)


def calls(node: Any, targets: tuple[Any, ...]) -> bool:
    """Whether it is a call of one of these functions."""
    return isinstance(node, Node) and node.op == "call_function" and node.target in targets


def only_user(node: Node, targets: tuple[Any, ...]) -> Optional[Node]:
    """The one node that reads it, if that is a call of one of these functions."""
    user = next(iter(node.users), None)
    return user if len(node.users) == 1 and calls(user, targets) else None


def adds_two_values(node: Any) -> bool:
    """Whether it is a sum of two computed values, without a factor."""
    return calls(node, (torch.add,)) and len(node.args) == 2 and all(isinstance(term, Node) for term in node.args)


def tensor_of(module: GraphModule, node: Optional[Node]) -> Any:
    """The parameter or constant that a node reads; None for no node."""
    return None if node is None else getattr(module, str(node.target)).detach()


def constant_before(module: GraphModule, before: Any, name: str, value: Tensor) -> Node:
    """A new node that reads a new constant of the module."""
    module.register_buffer(name, value)
    with module.graph.inserting_before(before):
        return like(before, module.graph.create_node("get_attr", name))


def like(node: Node, made: Node) -> Node:
    """`made`, which says that it comes of the same operator of the net."""
    made.meta = dict(node.meta)
    return made
