"""How well a measured share is known: 95 % intervals, without chance and without a normal curve that leaves 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution

Interval = tuple[float, float]


def wilson(successes: float, trials: float) -> Interval:
    """Wilson's score interval of a share of independent trials (E. B. Wilson, 1927). trials: more than 0."""
    share, z2 = successes / trials, _Z * _Z
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # rounding left out share 0 and 1


def clustered(successes: Sequence[int], size: int) -> Interval:
    """Wilson's interval of a share of trials that come in clusters, such as the clips of videos.

    successes: of each cluster, out of `size`. The clips of a video are right or wrong together, so that they tell less
    than as many independent ones: the interval is Wilson's at the effective number of trials, share * (1 - share) over
    the variance of the share between clusters (N. Dean and M. Pagano, 2015). Where all are right, or none, a cluster
    counts as one trial.
    """
    shares = np.asarray(successes, np.float64) / size
    mean, clusters = float(shares.mean()), len(shares)
    spread = mean * (1 - mean)
    if clusters == 1 or not spread:
        effective = float(clusters)
    else:
        variance = float(shares.var(ddof=1)) / clusters
        effective = min(spread / variance, clusters * size) if variance else float(clusters * size)
    return wilson(mean * effective, effective)
