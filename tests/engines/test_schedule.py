from __future__ import annotations

import math

import numpy as np
import pytest

from vmz.engines.schedule import Schedule
from vmz.errors import UsageError


def test_the_iteration_numbered_stepsize_is_the_first_with_the_lower_rate() -> None:
    schedule = Schedule(0.01, stepsize=3)
    rates = [schedule.rate(iteration) for iteration in range(1, 8)]
    assert [round(rate, 7) for rate in rates] == [0.01, 0.01, 0.001, 0.001, 0.001, 0.0001, 0.0001]
    assert all(rate == float(np.float32(rate)) for rate in rates)
    assert schedule.is_original


@pytest.mark.parametrize(
    ("base", "stepsize", "gamma"), [(0.01, 7, 0.1), (0.04, 3, 0.3), (0.003, 1, 0.94), (0.016, 11, 0.5), (1.6, 5, 0.7)]
)
def test_every_rate_is_that_of_the_operator(base: float, stepsize: int, gamma: float) -> None:
    workspace = pytest.importorskip("caffe2.python.workspace")
    core = pytest.importorskip("caffe2.python.core")
    workspace.ResetWorkspace()
    workspace.FeedBlob("ITER", np.array([0], np.int64))
    net = core.Net("rates")
    net.Iter("ITER", "ITER")
    net.LearningRate("ITER", "LR", base_lr=base, policy="step", stepsize=stepsize, gamma=gamma)
    workspace.CreateNet(net)
    schedule = Schedule(base, "step", stepsize, gamma)
    for iteration in range(1, 101):
        workspace.RunNet(net)
        assert workspace.FetchBlob("ITER")[0] == iteration
        assert schedule.rate(iteration) == float(workspace.FetchBlob("LR")), iteration


def test_cosine_goes_down_to_nothing() -> None:
    schedule = Schedule(0.5, "cosine", iterations=100)
    assert schedule.rate(1) == 0.5 and schedule.rate(51) == pytest.approx(0.25) and not schedule.is_original
    assert schedule.rate(100) == pytest.approx(0.25 * (1 + math.cos(0.99 * math.pi)))
    assert schedule.rate(101) == 0 == schedule.rate(500)


def test_warm_up_rises_to_the_rate_that_would_be() -> None:
    schedule = Schedule(0.1, stepsize=4, warmup_iterations=5)
    found = [schedule.rate(iteration) for iteration in range(1, 8)]
    np.testing.assert_allclose(found, [0.02, 0.04, 0.06, 0.008, 0.01, 0.01, 0.01], rtol=1e-6)
    assert not schedule.is_original


def gradual(iteration: int, one: float, many: float, length: int) -> float:
    return one + (many - one) * (iteration - 1) / length


def test_warm_up_from_the_rate_of_one_device_then_the_steps_by_a_clock_of_their_own() -> None:
    """R(2+1)D: 10 epochs of warm-up, then a tenth every 10, here of 5 iterations each and on 8 devices."""
    schedule = Schedule(0.08, warmup_iterations=50, warmup_rate=0.01, milestones=(50, 100, 150))
    rates = [schedule.rate(iteration) for iteration in range(1, 226)]
    np.testing.assert_allclose(rates[:50], [gradual(number, 0.01, 0.08, 50) for number in range(1, 51)], rtol=1e-6)
    assert [round(rates[5 * epoch], 8) for epoch in (10, 19, 20, 30, 40)] == [0.08, 0.08, 0.008, 0.0008, 0.00008]
    assert (
        rates[50] == rates[98] > rates[99]
    )  # iteration 50 after the warm-up is the first lower one, as stepsize=50 has it
    by_steps = Schedule(0.08, stepsize=50, warmup_iterations=50, warmup_rate=0.01, after_warmup=True)
    assert [by_steps.rate(iteration) for iteration in range(1, 226)] == rates
    plain = Schedule(0.08, stepsize=50)
    assert [plain.rate(iteration) for iteration in range(1, 176)] == rates[50:]
    assert not schedule.is_original and not by_steps.is_original
    assert Schedule(0.08, stepsize=50, after_warmup=True).is_original  # with no warm-up there is nothing to wait for
    assert not Schedule(0.08, milestones=(50,)).is_original


def test_half_a_cosine_after_the_warm_up() -> None:
    """CSN: 0.64 on 64 devices, 10 epochs of warm-up and 35 of half a cosine, here of 2 iterations each."""
    schedule = Schedule(0.64, "cosine", iterations=90, warmup_iterations=20, warmup_rate=0.01, after_warmup=True)
    rates = [schedule.rate(iteration) for iteration in range(1, 91)]
    np.testing.assert_allclose(rates[:20], [gradual(number, 0.01, 0.64, 20) for number in range(1, 21)], rtol=1e-6)
    wanted = [0.32 * (1 + math.cos(math.pi * number / 70)) for number in range(70)]
    np.testing.assert_allclose(rates[20:], wanted, rtol=1e-5)
    assert schedule.rate(91) == 0


def test_wrong_schedules() -> None:
    for milestones in ((0, 3), (3, 3), (5, 2)):
        with pytest.raises(UsageError, match="must rise"):
            Schedule(0.1, milestones=milestones)
    with pytest.raises(UsageError, match="for the schedule step, not for cosine"):
        Schedule(0.1, "cosine", milestones=(3,))
    with pytest.raises(UsageError, match="unknown schedule 'linear'; the schedules are step, cosine"):
        Schedule(0.1, "linear")
    with pytest.raises(UsageError, match="a step of the learning rate would take no iteration"):
        Schedule(0.1, stepsize=0)
