"""Questions about the nodes of a graph that several passes ask."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.fx import Node

CONVOLUTIONS = (F.conv2d, F.conv3d)


def calls(node: Any, targets: tuple[Any, ...]) -> bool:
    """Whether it is a call of one of these functions."""
    return isinstance(node, Node) and node.op == "call_function" and node.target in targets


def adds_two_values(node: Any) -> bool:
    """Whether it is a sum of two computed values, without a factor."""
    return calls(node, (torch.add,)) and len(node.args) == 2 and all(isinstance(term, Node) for term in node.args)
