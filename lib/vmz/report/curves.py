"""Curves as data that a template draws: paths in a box of 1000 x 1000, ticks in percent, and the values behind them.

A long run has more points than a screen has columns: they are gathered into bins, drawn as their (weighted) mean within
the band from their least to their greatest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np

from vmz.report.page import number

BOX = 1000
BINS = 300  # columns of a curve; a plot is rarely wider than twice as many pixels
LOGARITHMIC_FROM = 50  # times that the largest value is the smallest


@dataclass(frozen=True)
class Series:
    """One curve: its name and its points, in the order of x. Values that are not finite are left out, and counted."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False  # few points that count each: marked
    weights: Optional[Sequence[float]] = None  # what each counts in the mean of several; None: all as much


@dataclass(frozen=True)
class Drawn:
    """A series ready to draw. `x` are shares of the width, for the reading under the cursor."""

    name: str
    line: str
    band: str
    dots: bool
    at: list[float]
    values: list[float]
    left_out: int


@dataclass(frozen=True)
class Tick:
    """`place` in percent, from the left or from the bottom."""

    place: float
    text: str


@dataclass(frozen=True)
class Plot:
    """A box with its curves. `first`, `last`: the range of x. mark: a place to point out, and what it is."""

    title: str
    note: str
    series: list[Drawn]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    first: float
    last: float
    mark: Optional[Tick] = None

    @property
    def readings(self) -> dict[str, Any]:
        """What the script needs to tell the values under the cursor."""
        series = [{"at": drawn.at, "values": drawn.values} for drawn in self.series]
        return {"first": self.first, "last": self.last, "series": series}

    @property
    def description(self) -> str:
        """What the picture shows, in words."""
        parts = [
            f"{drawn.name} from {number(drawn.values[0])} to {number(drawn.values[-1])}, "
            f"least {number(min(drawn.values))}, greatest {number(max(drawn.values))}"
            for drawn in self.series
        ]
        return f"{self.title}: " + "; ".join(parts)


def plot(
    title: str,
    note: str,
    series: Sequence[Series],
    zero: bool = False,
    mark: Optional[tuple[float, str]] = None,
) -> Plot:
    """Lay out `series`, each with a finite point at least. zero: the scale begins at 0 at the latest. mark: an x that
    is pointed out, and what it is called.

    The scale is logarithmic when all values are positive and far apart.
    """
    xs = np.concatenate([np.asarray(one.x, np.float64) for one in series])
    ys = np.concatenate([np.asarray(one.y, np.float64) for one in series])
    first, last = float(xs.min()), float(xs.max())
    ys = ys[np.isfinite(ys)]
    least, greatest = float(ys.min()), float(ys.max())
    logarithmic = not zero and least > 0 and greatest / least >= LOGARITHMIC_FROM
    low, high, ticks = (
        _log_scale(least, greatest) if logarithmic else _scale(min(least, 0) if zero else least, greatest)
    )

    def up(values: np.ndarray) -> np.ndarray:
        values = np.log10(values) if logarithmic else values
        return (values - low) / (high - low)

    return Plot(
        title=title,
        note=note,
        series=[_draw(one, first, last, up) for one in series],
        x_ticks=[Tick(100 * (x - first) / max(last - first, 1e-12), number(x)) for x in _whole_ticks(first, last)],
        y_ticks=[Tick(100 * float(up(np.array(y))), number(y)) for y in ticks],
        first=first,
        last=last,
        mark=None
        if mark is None
        else Tick(min(max(100 * (mark[0] - first) / max(last - first, 1e-12), 0), 100), mark[1]),
    )


def _draw(one: Series, first: float, last: float, up: Callable[[np.ndarray], np.ndarray]) -> Drawn:
    x, y = np.asarray(one.x, np.float64), np.asarray(one.y, np.float64)
    finite = np.isfinite(y)
    left_out = int((~finite).sum())
    x, y = x[finite], y[finite]
    share = (x - first) / (last - first) if last > first else np.full(len(x), 0.5)
    if one.dots or len(x) <= BINS:
        middle, least, greatest = y, y, y
    else:
        bins = np.minimum((share * BINS).astype(int), BINS - 1)
        _, starts = np.unique(bins, return_index=True)
        counts = np.diff(np.append(starts, len(x)))
        share = np.add.reduceat(share, starts) / counts
        weights = np.ones(len(y)) if one.weights is None else np.asarray(one.weights, np.float64)[finite]
        middle = np.add.reduceat(weights * y, starts) / np.add.reduceat(weights, starts)
        least, greatest = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    line = _path(share, up(middle))
    band = ""
    if least is not middle:
        there, back = _path(share, up(greatest)), _path(share[::-1], up(least[::-1]))
        band = f"{there}L{back[1:]}Z"
    values = [float(f"{value:.5g}") for value in middle]
    return Drawn(one.name, line, band, one.dots, [round(float(s), 4) for s in share], values, left_out)


def _path(share: np.ndarray, height: np.ndarray) -> str:
    points = [f"{BOX * x:.4g},{BOX * (1 - y):.4g}" for x, y in zip(share, height)]
    return "M" + "L".join(points) + ("h0" if len(points) == 1 else "")  # a line of no length is a dot


def _scale(least: float, greatest: float) -> tuple[float, float, list[float]]:
    """The range shown and some round numbers in it."""
    if greatest <= least:
        greatest, least = least + (abs(least) or 1) / 10, least - (abs(least) or 1) / 10
    step = _round_step((greatest - least) / 5)
    low, high = step * math.floor(least / step + 1e-9), step * math.ceil(greatest / step - 1e-9)
    return low, high, [round(low + step * place, 12) for place in range(round((high - low) / step) + 1)]


def _log_scale(least: float, greatest: float) -> tuple[float, float, list[float]]:
    low, high = math.floor(math.log10(least) + 1e-9), math.ceil(math.log10(greatest) - 1e-9)
    return low, high, [10.0**power for power in range(low, high + 1, max(1, (high - low) // 5))]


def _whole_ticks(first: float, last: float) -> list[float]:
    """The ends and round numbers well between them: x counts things."""
    if last <= first:
        return [first]
    step = max(1.0, _round_step((last - first) / 3))
    between = [step * place for place in range(math.ceil(first / step), math.floor(last / step) + 1)]
    margin = (last - first) / 6
    return [first, *(x for x in between if first + margin < x < last - margin), last]


def _round_step(size: float) -> float:
    """The first of 1, 2, 5, 10, ... that is not below `size`."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= size * (1 - 1e-9))
