"""Initial values: the fill operators of a param_init_net, with Caffe2's distributions and a seed."""

from __future__ import annotations

import hashlib
from typing import Any, Callable

import torch
from torch import Generator, Tensor

from vmz.engines.torch_engine.graph.op import MOST_FILLED, REGISTRY, Op, check_filled, fitting, lookup, read_ops
from vmz.engines.torch_engine.graph.operators.constants import GIVEN, constant_type, given_tensor
from vmz.errors import VmzError
from vmz.netdef.blob_names import unscoped
from vmz.netdef.net_parts import CREATE_DB

Fill = Callable[[Op, list[int], Generator], Tensor]
# Fill -> (the function, the arguments it reads besides `shape`)
FILLS: dict[str, tuple[Fill, frozenset[str]]] = {}


def fill(name: str, arguments: str = "") -> Callable[[Fill], Fill]:
    """Register a function (op, shape, generator) -> tensor as the fill operator `name`."""

    def register(function: Fill) -> Fill:
        if name in FILLS:
            raise ValueError(f"fill {name} is registered twice")
        FILLS[name] = (function, frozenset(arguments.split()) | {"shape", "order"})
        return function

    return register


def run_fills(init_net: Any, seed: int = 0) -> dict[str, Tensor]:
    """{blob: its initial value} for the fills of a param_init_net, on the CPU; CreateDB is left to the reader.

    A blob's values depend on `seed`, on its name after the last "/" and on its shape, and on nothing else, so that the
    order of operators, other parameters and the number of devices do not change them. Other operators of the engine
    compute with what was filled before: Copy copies, as between devices.

    Raises VmzError for an operator that is not known, for a shape that is none, and where all make too much.
    """
    values: dict[str, Tensor] = {}
    filled = 0
    for op in read_ops(init_net):
        if op.type == CREATE_DB:
            continue
        if not op.outputs:
            raise VmzError(f"{op} of a param_init_net fills nothing: it has no output")
        if op.inputs and op.type in REGISTRY and all(blob in values for blob in op.inputs):
            with fitting(op):
                results = lookup(op)(op, *(values[blob] for blob in op.inputs))
            results = results if isinstance(results, tuple) else (results,)
            values.update({blob: result.clone() for blob, result in zip(op.outputs, results)})
            continue
        if op.type not in FILLS:
            known = ", ".join(sorted([*FILLS, CREATE_DB]))
            raise VmzError(f"{op} is not supported in a param_init_net, where the PyTorch engine supports {known}")
        function, arguments = FILLS[op.type]
        unknown = sorted(set(op.arguments) - arguments - {"cudnn_exhaustive_search", "use_cudnn", "ws_nbytes_limit"})
        if unknown:
            raise op.unsupported(unknown[0], f"the supported arguments are {', '.join(sorted(arguments))}")
        if op.inputs:
            raise VmzError(f"{op}: a fill shaped by another blob ({op.inputs[0]}) is not supported; give it a shape")
        with fitting(op):
            shape = list(op.arg("shape", [1]))
            filled += check_filled(op, shape)
            if filled > MOST_FILLED:
                raise VmzError(f"the fills up to {op} make {filled} values; a net may fill {MOST_FILLED} at most")
            values[op.outputs[0]] = function(op, shape, _generator(seed, op.outputs[0]))
    return values


def _generator(seed: int, blob: str) -> Generator:
    digest = hashlib.sha256(f"{seed}/{unscoped(blob)}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def _size(shape: list[int]) -> int:
    return int(torch.Size(shape).numel())


def _uniform(shape: list[int], low: float, high: float, generator: Generator) -> Tensor:
    return torch.empty(shape).uniform_(low, high, generator=generator)


def _normal(shape: list[int], mean: float, std: float, generator: Generator) -> Tensor:
    return torch.empty(shape).normal_(mean, std, generator=generator)


@fill("MSRAFill")
def msra(op: Op, shape: list[int], generator: Generator) -> Tensor:
    """Normal with std sqrt(2 / fan out), the fan out being size / dim 1, as Caffe2 counts it."""
    return _normal(shape, 0.0, (2.0 * shape[1] / _size(shape)) ** 0.5, generator)


@fill("XavierFill")
def xavier(op: Op, shape: list[int], generator: Generator) -> Tensor:
    """Uniform within sqrt(3 / fan in), the fan in being size / dim 0."""
    bound = (3.0 * shape[0] / _size(shape)) ** 0.5
    return _uniform(shape, -bound, bound, generator)


@fill("GaussianFill", "mean std")
def gaussian(op: Op, shape: list[int], generator: Generator) -> Tensor:
    """Normal with `mean` (0) and `std` (1)."""
    return _normal(shape, op.arg("mean", 0.0), op.arg("std", 1.0), generator)


@fill("UniformFill", "min max")
def uniform(op: Op, shape: list[int], generator: Generator) -> Tensor:
    """Uniform from `min` (0) to `max` (1)."""
    return _uniform(shape, op.arg("min", 0.0), op.arg("max", 1.0), generator)


@fill("ConstantFill", "value dtype")
def constant(op: Op, shape: list[int], generator: Generator) -> Tensor:
    """`value` (0) everywhere; see `constant_type`."""
    return torch.full(shape, op.arg("value", 0.0), dtype=constant_type(op))


def _given(op: Op, shape: list[int], generator: Generator) -> Tensor:
    return given_tensor(op)


for _name in GIVEN:
    fill(_name, "values")(_given)
