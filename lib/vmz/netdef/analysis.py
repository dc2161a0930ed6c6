"""What a NetDef computes, without running it: the shape of every blob, multiply-adds, parameters.

Counting follows the original's GetFlopsAndParams: only Conv and FC, weights without biases, one clip. "Interactions"
are the pairs of input channels that each filter sees (CSN, arXiv:1904.02811), not multiplied by positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, prod
from typing import Any, Optional

from vmz.netdef.builder import get_arguments
from vmz.netdef.net_parts import READERS
from vmz.netdef.shape_rules import RULES, Shape, ShapeError
from vmz.netdef.shape_values import Values

__all__ = ["OpCost", "Shape", "ShapeError", "Totals", "analyse", "costs", "infer_shapes", "param_shapes", "totals"]


@dataclass(frozen=True)
class OpCost:
    """One op: the shape of its first output; weights, multiply-adds a clip and interactions of Conv and FC."""

    kind: str
    blob: str
    shape: Shape
    weights: int = 0
    macs: int = 0
    interactions: int = 0


@dataclass(frozen=True)
class Totals:
    """GMACs a clip, parameters in millions (weights of Conv and FC), interactions in billions."""

    gmacs: float
    params_m: float
    interactions_g: float


def param_shapes(init_net: Any) -> dict[str, Shape]:
    """The shapes of the blobs that the fill ops of an init net make."""
    shapes: dict[str, Shape] = {}
    for op in init_net.op:
        arguments = get_arguments(op)
        if "shape" in arguments:
            shapes.update({blob: tuple(arguments["shape"]) for blob in op.output})
    return shapes


def infer_shapes(net: Any, inputs: Mapping[str, Sequence[int]]) -> dict[str, Shape]:
    """The shape of every blob of `net`, given those of its external inputs (parameters included).

    Raises ShapeError, naming op and blob, where shapes do not fit or an operator's shape rule is not known.
    """
    shapes: dict[str, Shape] = {blob: tuple(shape) for blob, shape in inputs.items()}
    values = Values()
    for op in net.op:
        rule = RULES.get(op.type)
        if rule is None:
            output = ", ".join(op.output) or "none"
            raise ShapeError(f"no shape rule for operator {op.type} (output {output}); known: {', '.join(RULES)}")
        missing = [blob for blob in op.input if blob not in shapes]
        if missing and op.type not in READERS:  # a database has no shape
            raise ShapeError(f"{op.type} {op.output[0]}: the shape of its input {missing[0]} is not known; give it")
        found_in = [shapes.get(blob, ()) for blob in op.input]
        found = rule(op, values.as_arguments(op, get_arguments(op)), found_in)
        shapes.update(zip(op.output, found))
        values.note(op, found_in)
    return shapes


def costs(net: Any, shapes: Mapping[str, Shape]) -> list[OpCost]:
    """Every op with what it costs for one clip (the first axis is not counted)."""
    found = []
    for op in net.op:
        blob, shape = op.output[0], shapes[op.output[0]]
        if op.type in ("Conv", "FC"):
            weight = shapes[op.input[1]]
            positions = prod(shape[2:]) if op.type == "Conv" else 1
            interactions = weight[0] * comb(weight[1], 2) if op.type == "Conv" else 0
            found.append(OpCost(op.type, blob, shape, prod(weight), prod(weight) * positions, interactions))
        else:
            found.append(OpCost(op.type, blob, shape))
    return found


def totals(found: Sequence[OpCost]) -> Totals:
    """The sums, added up op by op in billions (and millions) as the original does, so that its last digits come out."""
    gmacs = params = interactions = 0.0
    for cost in found:
        gmacs += cost.macs / 1e9
        params += cost.weights / 1e6
        interactions += cost.interactions / 1e9
    return Totals(gmacs, params, interactions)


def analyse(net: Any, init_net: Any, inputs: Optional[Mapping[str, Sequence[int]]] = None) -> list[OpCost]:
    """Shapes and costs in one call: `inputs` are the shapes of the fed blobs, parameters come from the init net."""
    return costs(net, infer_shapes(net, {**param_shapes(init_net), **(inputs or {})}))
