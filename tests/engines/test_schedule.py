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


def test_wrong_schedules() -> None:
    with pytest.raises(UsageError, match="unknown schedule 'linear'; the schedules are step, cosine"):
        Schedule(0.1, "linear")
    with pytest.raises(UsageError, match="a step of the learning rate would take no iteration"):
        Schedule(0.1, stepsize=0)
