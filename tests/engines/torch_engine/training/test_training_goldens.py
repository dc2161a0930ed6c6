"""The recorded training runs on the PyTorch engine: as they are, and with the kinks of ReLU out of the comparison."""

from __future__ import annotations

import pytest

from tests.goldens.relu_gates import decide_as_recorded, gated
from tests.goldens.training import (
    TrainingGolden,
    distances,
    head_distance,
    limits,
    loss_distance,
    snapshot,
)

JOBS = ("mc3_10_multilabel", "r2plus1d10", "ircsn26_pool1")
HEARING = ("a_resnet18", "av_r3d18", "av_r2plus1d18_gblend")
LONG = [pytest.param("av_r3d18", marks=pytest.mark.long), pytest.param("av_r2plus1d18_gblend", marks=pytest.mark.slow)]


@pytest.mark.parametrize(
    "job", [JOBS[0], "a_resnet18", LONG[0], *(pytest.param(job, marks=pytest.mark.slow) for job in JOBS[1:])]
)
def test_the_first_iteration_but_for_the_kinks(job: str) -> None:
    """Where rounding decides which ReLU passes, as the original decided: then all is within 1e-4 of the recorded."""
    golden = TrainingGolden(job)
    with gated() as gates:
        decide_as_recorded(gates, golden)
        with golden.trainer("pytorch") as trainer:
            golden.step(trainer, 1)
            assert loss_distance(trainer.fetch("loss"), golden.recorded_loss(1)) <= 1e-5
            found = distances(snapshot(golden.arrays(trainer)), golden.recorded_snapshot(1))
    for kind, (largest, blob) in found.items():
        assert largest <= 1e-4, (kind, blob)


@pytest.mark.parametrize("job", [*HEARING[:1], *LONG, *(pytest.param(job, marks=pytest.mark.slow) for job in JOBS)])
def test_all_iterations(job: str) -> None:
    golden = TrainingGolden(job)
    with golden.trainer("pytorch") as trainer:
        for iteration in range(1, golden.iterations + 1):
            step = golden.step(trainer, iteration)
            recorded = golden.recorded["iterations"][iteration - 1]
            assert (step.iteration, step.learning_rate) == (recorded["ITER"], recorded["LR"])
            assert step.accuracy == recorded.get("accuracy")
            if iteration in golden.snapshots:
                allowed = limits(job, iteration)
                assert loss_distance(trainer.fetch("loss"), golden.recorded_loss(iteration)) <= allowed["loss"]
                assert head_distance(trainer, recorded) <= allowed["loss"]
                found = distances(snapshot(golden.arrays(trainer)), golden.recorded_snapshot(iteration))
                for kind, (largest, blob) in found.items():
                    assert largest <= allowed[kind], (iteration, kind, blob)
