"""One operator with one set of arguments and inputs: what Caffe2 and the PyTorch engine are both given."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import numpy as np

from tests.engines.small_nets import op
from vmz.netdef.protos import NetDef


@dataclass(frozen=True)
class Case:
    """inputs: {blob: how it is made, see `made`}. differentiated: outputs whose gradient flows back.

    stand_in: the operator that real Caffe2 runs in place of one that its wheel has not, and that does the same.
    differs: why the gradient is not Caffe2's, where it is not.
    """

    type: str
    inputs: Mapping[str, str]
    outputs: tuple[str, ...]
    arguments: Mapping[str, Any]
    differentiated: tuple[str, ...]
    engine: str = ""
    stand_in: Optional[str] = None
    differs: str = ""
    number: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        return f"{self.type}/{self.number}"

    def net(self, real: bool = False) -> Any:
        """A NetDef of the one operator; `real`: as real Caffe2 is given it."""
        kind = self.stand_in if real and self.stand_in else self.type
        found = NetDef(name="case")
        found.op.append(op(kind, " ".join(self.inputs), " ".join(self.outputs), **self.arguments))
        found.op[0].engine = self.engine
        found.external_input.extend(self.inputs)
        return found

    def feeds(self) -> dict[str, np.ndarray]:
        """{blob: array}, the same on every machine: a function of the case alone."""
        seed = zlib.crc32(repr((self.type, sorted(self.arguments.items()), dict(self.inputs))).encode())
        random = np.random.RandomState(seed)
        return {blob: made(how, random) for blob, how in self.inputs.items()}

    def weight(self, output: str, shape: Sequence[int]) -> np.ndarray:
        """The gradient that comes to an output from behind."""
        seed = zlib.crc32(f"{self.type} {output} {sorted(self.arguments.items())}".encode())
        return np.asarray(np.random.RandomState(seed).uniform(0.5, 1.5, shape), np.float32)


def made(how: str, random: np.random.RandomState) -> np.ndarray:
    """An array from "shape:kind", shape being extents divided by commas, or values: "=2,3" (int64), "i=2,3" (int32).

    kind: nothing (normal), pos (0.5 to 1.5), unit (between 0 and 1), prob (rows that sum to 1), distinct (no two alike,
    none near another), int5 and long5 (below 5; int32, int64), bool, half, u8.
    """
    if "=" in how:
        kind, _, values = how.partition("=")
        return np.array([float(v) if kind == "f" else int(v) for v in values.split(",")], _TYPES[kind])
    sides, _, kind = how.partition(":")
    shape = tuple(int(side) for side in sides.split(",")) if sides else ()
    size = int(np.prod(shape))
    if kind.startswith(("int", "long")):
        letters = "int" if kind.startswith("int") else "long"
        drawn = random.randint(0, int(kind[len(letters) :]), shape)
        return np.asarray(drawn, np.int32 if letters == "int" else np.int64)
    if kind == "bool":
        return np.asarray(random.rand(*shape) < 0.5)
    if kind == "u8":
        return np.asarray(random.randint(0, 255, shape), np.uint8)
    if kind == "distinct":
        return np.asarray((random.permutation(size).reshape(shape) - size / 2.3) / 7, np.float32)
    if kind == "prob":
        rows = random.uniform(0.2, 1.0, shape)
        return np.asarray(rows / rows.sum(-1, keepdims=True), np.float32)
    if kind in ("pos", "unit"):
        return np.asarray(random.uniform(0.5, 1.5, shape) if kind == "pos" else random.uniform(0.05, 0.95, shape), "f4")
    return np.asarray(random.standard_normal(shape), np.float16 if kind == "half" else np.float32)


_TYPES = {"": np.int64, "i": np.int32, "f": np.float32}


def case(
    type_: str,
    inputs: str,
    outputs: str = "y",
    differentiated: Optional[str] = None,
    engine: str = "",
    stand_in: Optional[str] = None,
    differs: str = "",
    **arguments: Any,
) -> Case:
    """inputs: "x:2,3 w:4,3:pos": a blob's name, then how it is made. differentiated: the first output by default."""
    made_of = dict(part.partition(":")[::2] for part in inputs.split())
    names = tuple(outputs.split())
    behind = names[:1] if differentiated is None else tuple(differentiated.split())
    return Case(type_, made_of, names, arguments, behind, engine, stand_in, differs)


def numbered(cases: Sequence[Case]) -> dict[str, Case]:
    """{name: case}: "Conv/0", "Conv/1", ..."""
    counts: dict[str, int] = {}
    found: dict[str, Case] = {}
    for each in cases:
        number = counts.get(each.type, 0)
        counts[each.type] = number + 1
        named = replace(each, number=number)
        found[named.name] = named
    return found
