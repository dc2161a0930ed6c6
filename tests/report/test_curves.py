from __future__ import annotations

import math

import pytest

from vmz.report.curves import Series, plot


def ticks(values: list[float], zero: bool = False) -> list[str]:
    return [tick.text for tick in plot("", "", [Series("a", range(len(values)), values)], zero).y_ticks]


def test_scales_begin_and_end_at_round_numbers() -> None:
    assert ticks([0.13, 0.87], zero=True) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert ticks([2.1, 6.9]) == ["2", "3", "4", "5", "6", "7"]
    assert ticks([1e-5, 1e-1]) == ["1e-5", "0.0001", "0.001", "0.01", "0.1"]
    assert ticks([-1, 1]) == ["-1", "-0.5", "0", "0.5", "1"]


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e-9, 1e9])
def test_a_constant_lies_within_its_scale(value: float) -> None:
    drawn = plot("", "", [Series("a", [1, 2], [value, value])])
    heights = [float(point.split(",")[1]) for point in drawn.series[0].line[1:].split("L")]
    assert all(0 < height < 1000 for height in heights) and len(drawn.y_ticks) >= 2


def test_points_lie_where_their_values_say() -> None:
    drawn = plot("", "", [Series("a", [0, 50, 100], [0, 5, 10])])
    assert drawn.series[0].line == "M0,1000L500,500L1000,0"
    assert (drawn.y_ticks[0].place, drawn.y_ticks[0].text) == (0, "0")
    assert drawn.readings == {"first": 0, "last": 100, "series": [{"at": [0.0, 0.5, 1.0], "values": [0.0, 5.0, 10.0]}]}


def test_many_points_become_means_in_a_band() -> None:
    values = [0.0, 10.0] * 5000
    drawn = plot("", "", [Series("a", range(len(values)), values)]).series[0]
    assert len(drawn.at) == 300
    assert all(abs(value - 5) < 0.5 for value in drawn.values)
    assert "1000Z" in drawn.band or ",1000" in drawn.band


def test_values_that_are_not_finite_leave_their_place() -> None:
    drawn = plot("", "", [Series("a", [1, 2, 3], [1.0, math.nan, math.inf])]).series[0]
    assert drawn.values == [1.0] and drawn.left_out == 2
