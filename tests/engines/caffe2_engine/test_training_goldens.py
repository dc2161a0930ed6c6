"""Caffe2's trainer on the golden training runs: the original's code on another CPU than the recording's."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.goldens.relu_gates import decide_as_recorded, gated
from tests.goldens.training import (
    TrainingGolden,
    distances,
    head_distance,
    jobs,
    limits,
    loss_distance,
    snapshot,
    sound_jobs,
)
from vmz.engines.trainer import Trainer
from vmz.models.registry import Model
from vmz.netdef.protos import OperatorDef


def check(job: str, iterations: Optional[int] = None) -> None:
    """As many iterations, all that were recorded where no number is given."""
    golden = TrainingGolden(job)
    with golden.trainer("caffe2") as trainer:
        for iteration in range(1, (iterations or golden.iterations) + 1):
            step = golden.step(trainer, iteration)
            recorded = golden.recorded["iterations"][iteration - 1]
            assert (step.iteration, step.learning_rate) == (recorded["ITER"], recorded["LR"])
            if iteration in golden.snapshots:
                limit = limits(job, iteration)
                limit["heads"] = limit["loss"]
                found = {"loss": (loss_distance(trainer.fetch("loss"), golden.recorded_loss(iteration)), "loss")}
                found["heads"] = head_distance(trainer, recorded), "heads"
                found.update(distances(snapshot(golden.arrays(trainer)), golden.recorded_snapshot(iteration)))
                for kind, (distance, blob) in found.items():
                    assert distance <= limit[kind], (iteration, kind, blob)


@needs_caffe2
def test_the_first_iteration() -> None:
    check("r2plus1d10", 1)


@pytest.mark.slow
@needs_caffe2
@pytest.mark.parametrize("job", jobs())
def test_five_iterations(job: str) -> None:
    check(job)


@pytest.mark.long
@needs_caffe2
@pytest.mark.parametrize("job", sound_jobs())
def test_three_iterations_of_networks_that_hear(job: str) -> None:
    check(job)


@needs_caffe2
@pytest.mark.parametrize(
    "job", [jobs()[1], *(pytest.param(job, marks=pytest.mark.slow) for job in [*jobs()[::2], "a_resnet18", "av_r3d18"])]
)
def test_the_first_iteration_but_for_the_kinks(job: str) -> None:
    """Where rounding decides which ReLU passes, as the original decided: then all is within 1e-4 of the recorded."""
    golden = TrainingGolden(job)
    passing = recorded_decisions(golden)
    with golden.trainer("caffe2", lambda *where: with_offsets(golden.build(*where), passing)) as trainer:
        offsets = {number: np.zeros(mask.shape, np.float32) for number, mask in passing.items()}
        turned = turn(trainer, golden, passing, offsets)
        assert turned <= 40  # with some numbers of threads none
    for _ in range(3):  # a value moved by rounding noise may move another one's sign
        with golden.trainer("caffe2", lambda *where: with_offsets(golden.build(*where), passing)) as trainer:
            if turn(trainer, golden, passing, offsets):
                continue
            assert loss_distance(trainer.fetch("loss"), golden.recorded_loss(1)) <= 1e-5
            found = distances(snapshot(golden.arrays(trainer)), golden.recorded_snapshot(1))
            for kind, (largest, blob) in found.items():
                assert largest <= 1e-4, (kind, blob)
            return
    raise AssertionError("the ReLUs do not decide as the original's")


def recorded_decisions(golden: TrainingGolden) -> dict[int, np.ndarray]:
    """By operator number: which inputs of a ReLU passed in the original's first iteration."""
    with gated() as gates:
        decide_as_recorded(gates, golden)
        return {number: mask.numpy() for number, mask in gates.passing.items()}


def with_offsets(model: Model, numbers: Any) -> Model:
    """The net with something to be fed, offset_<number>, added to the input of every ReLU: <input>_moved_<number>."""
    ops = list(model.net.op)
    del model.net.op[:]
    for number, op in enumerate(ops):
        if number in numbers:
            offset, moved = f"{model.scope}/offset_{number}", f"{op.input[0]}_moved_{number}"
            sum_op = OperatorDef(type="Sum", input=[op.input[0], offset], output=[moved])
            sum_op.device_option.CopyFrom(op.device_option)
            model.net.op.append(sum_op)
            model.net.external_input.append(offset)
            op.input[0] = moved
        model.net.op.append(op)
    return model


def turn(
    trainer: Trainer, golden: TrainingGolden, passing: dict[int, np.ndarray], offsets: dict[int, np.ndarray]
) -> int:
    """One iteration with `offsets`; then add to them what turns the ReLUs that did not decide as told. How many."""
    for number, offset in offsets.items():
        trainer.feed(f"offset_{number}", offset)
    golden.step(trainer, 1)
    turned = 0
    model = golden.build("", None, 1.0)
    for number, wanted in passing.items():
        moved = trainer.fetch(f"{model.net.op[number].input[0]}_moved_{number}")
        wrong = (moved > 0) != wanted
        assert np.abs(moved[wrong]).max(initial=0) < 1e-4, "no rounding"
        offsets[number][wrong] += np.where(moved[wrong] == 0, np.float32(1e-30), -2 * moved[wrong])
        turned += int(wrong.sum())
    return turned
