from __future__ import annotations

import numpy as np
import pytest

from vmz.intervals import clustered, wilson


# R. G. Newcombe, 1998, table I, method 3
@pytest.mark.parametrize(
    ("right", "videos", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson(right: int, videos: int, low: float, high: float) -> None:
    assert wilson(right, videos) == pytest.approx((low, high), abs=1e-4)


def test_clips_that_agree_count_as_one() -> None:
    agreeing = [10] * 60 + [0] * 40
    low, high = clustered(agreeing, 10)
    assert (low, high) == pytest.approx(wilson(60, 100), abs=2e-3)


def test_independent_clips_count_each() -> None:
    random = np.random.default_rng(0)
    right = random.binomial(10, 0.6, 2000)
    low, high = clustered(right.tolist(), 10)
    assert (low, high) == pytest.approx(wilson(right.sum(), 20_000), abs=1e-3)


def test_clustered_is_what_a_bootstrap_over_videos_gives() -> None:
    random = np.random.default_rng(1)
    right = random.binomial(10, random.beta(0.8, 0.5, 400))
    means = random.choice(right / 10, (4000, 400)).mean(axis=1)
    assert clustered(right.tolist(), 10) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=4e-3)


@pytest.mark.parametrize("right", [[10], [0], [5], [0] * 7, [10] * 7, [5, 5, 5]])
def test_it_stays_between_0_and_1(right: list[int]) -> None:
    low, high = clustered(right, 10)
    assert 0 <= low <= sum(right) / len(right) / 10 <= high <= 1
    assert high - low > 0.1
