"""Caffe2's trainer on the golden training runs: the original's code on another CPU than the recording's."""

from __future__ import annotations

import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.engines.training_goldens import (
    ITERATIONS,
    SNAPSHOTS,
    TrainingGolden,
    distances,
    jobs,
    limits,
    loss_distance,
    snapshot,
)
from tests.golden import needs_shared


def check(job: str, iterations: int) -> None:
    golden = TrainingGolden(job)
    with golden.trainer("caffe2") as trainer:
        for iteration in range(1, iterations + 1):
            step = golden.step(trainer, iteration)
            recorded = golden.recorded["iterations"][iteration - 1]
            assert (step.iteration, step.learning_rate) == (recorded["ITER"], recorded["LR"])
            if iteration in SNAPSHOTS:
                limit = limits(job, iteration)
                found = {"loss": (loss_distance(trainer.fetch("loss"), golden.recorded_loss(iteration)), "loss")}
                found.update(distances(snapshot(golden.arrays(trainer)), golden.recorded_snapshot(iteration)))
                for kind, (distance, blob) in found.items():
                    assert distance <= limit[kind], (iteration, kind, blob)


@needs_caffe2
@needs_shared
def test_the_first_iteration() -> None:
    check("r2plus1d10", 1)


@pytest.mark.slow
@needs_caffe2
@needs_shared
@pytest.mark.parametrize("job", jobs())
def test_five_iterations(job: str) -> None:
    check(job, ITERATIONS)
