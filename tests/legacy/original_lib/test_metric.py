"""accuracy_metric and mean_ap_metric against plain arithmetic."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.legacy import original  # noqa: F401
from vmz.errors import UsageError

pytestmark = needs_caffe2


def test_accuracy_of_a_clip_and_of_several() -> None:
    from utils.metric import accuracy_metric

    random = np.random.RandomState(0)
    scores, labels = random.rand(50, 12).astype(np.float32), random.randint(0, 12, 50)
    expected = np.zeros(2, int)
    for row, label in zip(scores, labels):
        best = np.argsort(row)[::-1]
        right = (int(best[0] == label), int(label in best[:3]))
        assert accuracy_metric(row, label, 3) == right
        expected += right
    assert accuracy_metric(scores, labels, k=3) == tuple(expected)
    assert accuracy_metric(scores[0], labels[0], k=100)[1] == 1
    assert accuracy_metric([0.1, 0.7, 0.2], 1) == (1, 1) and accuracy_metric([0.1, 0.7, 0.2], 0, k=2) == (0, 0)


def test_equal_scores_count_for_the_lower_class() -> None:
    from utils.metric import accuracy_metric

    assert [accuracy_metric(np.ones(4), label, 2) for label in range(4)] == [(1, 1), (0, 1), (0, 0), (0, 0)]


def test_a_label_that_is_no_class_is_wrong_and_said(caplog: pytest.LogCaptureFixture) -> None:
    from utils.metric import accuracy_metric

    assert accuracy_metric(np.eye(3), [0, 1, 7]) == (2, 2)
    assert "label 7 is not one of the 3 classes" in caplog.text


def test_what_does_not_fit_is_refused() -> None:
    from utils.metric import accuracy_metric, mean_ap_metric

    with pytest.raises(UsageError, match=r"shape \(3, 3\) and labels of shape \(2,\)"):
        accuracy_metric(np.eye(3), [0, 1])
    with pytest.raises(UsageError, match=r"shape \(3, 3\) and targets of shape \(3,\)"):
        mean_ap_metric(np.eye(3), [0, 1, 2])


def by_hand(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Average precision and AUC of one class, of scores that differ."""
    order = np.argsort(-scores)
    hits = labels[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    pairs = scores[labels == 1][:, None] > scores[labels == 0][None]
    return float(precision[hits == 1].mean()), float(pairs.mean())


def test_mean_ap_metric() -> None:
    from utils.metric import mean_ap_metric

    random = np.random.RandomState(1)
    scores, labels = random.rand(40, 6), (random.rand(40, 6) < 0.3).astype(np.int32)
    labels[:, 4] = 0
    figures = {c: by_hand(scores[:, c], labels[:, c]) for c in range(6) if c != 4}
    auc, ap, weighted, each = mean_ap_metric(scores, labels)
    expected = np.array([figures[c][0] if c in figures else 0 for c in range(6)])
    assert auc == pytest.approx(np.mean([area for _, area in figures.values()]))
    assert ap == pytest.approx(np.mean([precision for precision, _ in figures.values()]))
    np.testing.assert_allclose(each, expected)
    share = labels.sum(axis=0) / labels.sum()
    assert weighted == pytest.approx((expected * share).sum())


def test_no_class_at_all(caplog: pytest.LogCaptureFixture) -> None:
    from utils.metric import mean_ap_metric

    caplog.set_level(logging.INFO)
    auc, ap, weighted, each = mean_ap_metric(np.random.rand(4, 3), np.zeros((4, 3), int))
    assert (auc, ap, weighted, list(each)) == (0, 0, 0, [0, 0, 0])
    assert "there is no mean AUC: no class has rows with it and without it" in caplog.text
    assert mean_ap_metric(np.random.rand(4, 1), np.ones((4, 1), int))[:2] == (0, 1)
