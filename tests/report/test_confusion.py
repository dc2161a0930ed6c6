from __future__ import annotations

import numpy as np

from vmz.report.confusion import matrix, pairs


def test_pairs_are_counted_in_their_direction_the_most_frequent_first() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    given = np.array([1, 1, 0, 0, 1, 0, 0, 2, 2])
    found = [(pair.label, pair.given, pair.videos, pair.of) for pair in pairs(labels, given)]
    assert found == [(0, 1, 2, 3), (2, 0, 2, 4), (1, 0, 1, 2)]


def test_nothing_is_confused() -> None:
    assert pairs(np.arange(3), np.arange(3)) == []
    assert matrix(np.arange(3), np.arange(3)).counts.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]


def test_a_small_matrix_is_whole() -> None:
    found = matrix(np.array([3, 3, 7]), np.array([3, 7, 9]))
    assert found.classes == [3, 7, 9] and found.whole and found.totals == [2, 1, 0]
    assert found.counts.tolist() == [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_a_large_matrix_holds_the_most_confused_side_by_side() -> None:
    labels = np.repeat(np.arange(100), 10)
    given = labels.copy()
    given[labels == 40] = 90
    given[np.flatnonzero(labels == 90)[:5]] = 40
    given[np.flatnonzero(labels == 7)[:3]] = 90
    given[np.flatnonzero(labels == 5)[0]] = 6
    found = matrix(labels, given, most=4)
    assert not found.whole and set(found.classes) >= {40, 90, 7} and len(found.classes) <= 4
    assert abs(found.classes.index(7) - found.classes.index(90)) == 1
    assert found.counts.sum(axis=1).tolist() == found.totals
