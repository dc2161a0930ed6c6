"""The shape rules by operator, and what they are made with."""

from __future__ import annotations

from math import prod
from typing import Any, Callable

from vmz.errors import VmzError

Shape = tuple[int, ...]
Rule = Callable[[Any, dict[str, Any], list[Shape]], list[Shape]]  # (op, arguments, input shapes) -> output shapes
RULES: dict[str, Rule] = {}


class ShapeError(VmzError):
    """An op cannot take the shapes it is given."""


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of the operators `kinds`."""

    def register(function: Rule) -> Rule:
        for kind in kinds:
            assert kind not in RULES, kind
            RULES[kind] = function
        return function

    return register


def fail(op: Any, why: str) -> ShapeError:
    """The error about an op."""
    return ShapeError(f"{op.type} {op.output[0]}: {why}")


def needed(op: Any, arguments: dict[str, Any], name: str, input_name: str) -> Any:
    """An argument, or what the input that stands for it holds; ShapeError where neither is known."""
    if name not in arguments:
        raise fail(op, f"its {name} is in {input_name}, whose values are not known before the net runs")
    return arguments[name]


def axis_of(op: Any, arguments: dict[str, Any], rank: int, default: int = 1, name: str = "axis") -> int:
    """An axis argument, counted from the front."""
    axis = int(arguments.get(name, default))
    axis += rank if axis < 0 else 0
    if not 0 <= axis <= rank:
        raise fail(op, f"its {name}={axis} is not one of the {rank} axes of its input {op.input[0]}")
    return axis


def channels(arguments: dict[str, Any], rank: int) -> int:
    """The axis of the channels."""
    return rank - 1 if arguments.get("order", "NCHW") == "NHWC" else 1


def resized(op: Any, shape: Shape, wanted: Any) -> Shape:
    """`wanted` with its 0 and -1 worked out for a value of `shape`."""
    sides = [shape[axis] if side == 0 and axis < len(shape) else side for axis, side in enumerate(wanted)]
    if -1 in sides:
        rest = prod(side for side in sides if side != -1)
        sides[sides.index(-1)] = prod(shape) // rest if rest else 0
    if prod(sides) != prod(shape):
        raise fail(op, f"its input {op.input[0]} is {shape}, which is not {tuple(wanted)}")
    return tuple(sides)
