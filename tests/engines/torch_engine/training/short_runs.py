from __future__ import annotations

from typing import Any

import numpy as np

from tests.engines.small_training import (
    small_batch,
)
from vmz.engines.trainer import Step, Trainer

State = dict[str, np.ndarray]


def train(trainer: Trainer, iterations: int, first: int = 1, **kind: Any) -> list[Step]:
    """Iterations on fed batches, numbered from `first`."""
    steps = []
    for iteration in range(first, first + iterations):
        for blob, array in small_batch(iteration, **kind).items():
            trainer.feed(blob, array)
        steps.append(trainer.step())
    return steps


def assert_same(one: State, other: State) -> None:
    assert one.keys() == other.keys()
    for blob, array in one.items():
        np.testing.assert_array_equal(array, other[blob], err_msg=blob)


def apart(one: State, other: State) -> float:
    """The largest difference of parameters, statistics and momenta over the largest value of its blob."""
    named = [blob for blob in one if one[blob].dtype.kind == "f"]
    return max(float(np.abs(one[b] - other[b]).max() / max(np.abs(other[b]).max(), 1e-6)) for b in named)
