"""ReLUs whose decisions can be looked at and laid down, to compare runs that rounding would drive apart.

A ReLU passes a gradient where its input is above 0. Of millions of inputs a few are rounding noise: whether they pass
depends on the order in which a convolution adds up, and one such decision moves a sum of gradients by 1e-3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from tests.goldens.training import TrainingGolden
from vmz.engines.torch_engine.graph.importer import import_net
from vmz.engines.torch_engine.graph.op import REGISTRY, Op, leaf

DECISIONS = Path(__file__).with_name("measured") / "relu_decisions.json"


class Gates:
    """By operator number: the inputs of a net's ReLUs at the last forward pass, and which of them pass.

    They pass as they are above 0, until `are_laid_down`: then as `passing` says.
    """

    def __init__(self) -> None:
        self.inputs: dict[int, Tensor] = {}
        self.passing: dict[int, Tensor] = {}
        self.are_laid_down = self.keep_inputs = False

    def relu(self, x: Tensor, number: int) -> Tensor:
        if self.keep_inputs:
            self.inputs[number] = x.detach()
        if not self.are_laid_down:
            self.passing[number] = x > 0
        return _Gate.apply(x, self, number)

    def turn(self, number: int, place: int) -> None:
        """Decide the other way at one place of an input's flat memory."""
        passing = self.passing[number].view(-1)
        passing[place] = ~passing[place]


class _Gate(torch.autograd.Function):
    """Asks the gates in the backward pass anew, so that they may be turned between two of them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gates: Gates, number: int) -> Tensor:
        ctx.gates, ctx.number = gates, number
        return x * gates.passing[number]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        return gradient * ctx.gates.passing[ctx.number], None, None


_gates = Gates()


@leaf
def _gated_relu(x: Tensor, number: int) -> Tensor:
    return _gates.relu(x, number)


def _operator(op: Op, x: Tensor) -> Tensor:
    return _gated_relu(x, op.index)


@contextmanager
def gated() -> Iterator[Gates]:
    """Nets that are imported inside have ReLUs that ask these gates."""
    global _gates
    _gates, before = Gates(), REGISTRY["Relu"]
    REGISTRY["Relu"] = before._replace(function=_operator)
    try:
        yield _gates
    finally:
        REGISTRY["Relu"] = before


def network(golden: TrainingGolden, dtype: torch.dtype) -> GraphModule:
    """The network of a golden run in a type of numbers, with its loss as output."""
    model = golden.build("", None, 1.0)
    values = {blob: torch.from_numpy(array).to(dtype) for blob, array in golden.weights().items()}
    return import_net(model.net, outputs=["loss"], values=values)


def first_batch(golden: TrainingGolden, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """What the network takes: clips, or maps, or both, and labels of the first iteration."""
    fed = {blob: torch.from_numpy(array) for blob, array in golden.batch(1).items()}
    return tuple(value if blob == "label" else value.to(dtype) for blob, value in fed.items())


def decide_exactly(gates: Gates, golden: TrainingGolden) -> None:
    """Lay the gates down as float64 decides on the first batch."""
    gates.are_laid_down = False
    with torch.no_grad():
        network(golden, torch.float64)(*first_batch(golden, torch.float64))
    gates.are_laid_down = True


def decisions(job: str) -> list[tuple[int, int]]:
    """(operator, place): where the original decided otherwise than float64, as measure_relu_decisions.py found."""
    recorded = json.loads(DECISIONS.read_text())[job]
    return [(int(number), place) for number, places in recorded.items() for place in places]


def decide_as_recorded(gates: Gates, golden: TrainingGolden) -> None:
    """Lay the gates down as the original decided on the first batch."""
    decide_exactly(gates, golden)
    for number, place in decisions(golden.job):
        gates.turn(number, place)
