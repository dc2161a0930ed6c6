"""Blobs that hold shapes: their values are known before a net runs, and other operators' shapes depend on them."""

from __future__ import annotations

from typing import Any

from vmz.netdef.builder import get_arguments
from vmz.netdef.shape_rules.registry import Shape

# operator -> the argument that an input stands for, by the input's place
STANDS_FOR: dict[str, dict[int, str]] = {
    "Reshape": {1: "shape"},
    "Expand": {1: "shape"},
    "Tile": {1: "tiles", 2: "axis"},
    "Slice": {1: "starts", 2: "ends"},
    "Split": {1: "split"},
    "DepthSplit": {1: "split"},
    "ConstantFill": {0: "shape"},
    "UniformFill": {0: "shape"},
    "GaussianFill": {0: "shape"},
    "OneHot": {1: "classes"},
    "TopK": {1: "k"},
}
SINGLE = ("tiles", "axis", "classes", "k")


class Values:
    """What blobs hold, as far as it follows from shapes: {blob: list of int}."""

    def __init__(self) -> None:
        self._known: dict[str, list[int]] = {}

    def as_arguments(self, op: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments, and those that inputs with known values stand for."""
        found = dict(arguments)
        for place, name in STANDS_FOR.get(op.type, {}).items():
            if place < len(op.input) and op.input[place] in self._known and name not in arguments:
                values = self._known[op.input[place]]
                found[name] = values[0] if name in SINGLE else values
        return found

    def note(self, op: Any, inputs: list[Shape]) -> None:
        """Remember what an operator puts out, and forget what its outputs held."""
        arguments = get_arguments(op)
        for blob in op.output:
            self._known.pop(blob, None)
        if op.type == "Reshape" and len(op.output) > 1:
            self._known[op.output[1]] = list(inputs[0])
        elif op.type == "Shape":
            axes = arguments.get("axes") or range(len(inputs[0]))
            self._known[op.output[0]] = [inputs[0][axis] for axis in axes]
        elif op.type in ("GivenTensorIntFill", "GivenTensorInt64Fill"):
            self._known[op.output[0]] = list(arguments.get("values", []))
        elif op.type in ("Copy", "Cast", "EnsureCPUOutput", "StopGradient") and op.input[0] in self._known:
            self._known[op.output[0]] = self._known[op.input[0]]
