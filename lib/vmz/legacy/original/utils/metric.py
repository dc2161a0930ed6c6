"""Accuracy of clips and videos, and quality of rankings, as the original's programs ask for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from vmz import metrics
from vmz.engines.caffe2_engine.programs import program_logger
from vmz.errors import UsageError

log = program_logger("metric")


def accuracy_metric(softmax: Any, label: Any, k: int = 5) -> tuple[int, int]:
    """How many labels have the highest score, and how many are among the k highest.

    softmax: scores of one clip or video, (classes,), with its label; or of several, (rows, classes), with a label each.
    Of equal scores the lower class counts as the higher one. Raises UsageError where they do not fit.
    """
    scores, labels = np.atleast_2d(np.asarray(softmax)), np.atleast_1d(np.asarray(label))
    if scores.ndim != 2 or labels.ndim != 1 or len(scores) != len(labels):
        raise UsageError(
            f"scores of shape {np.shape(softmax)} and labels of shape {np.shape(label)} do not fit; give a row of "
            "scores and a label, or the same number of each"
        )
    classes = scores.shape[1]
    known = (labels >= 0) & (labels < classes)  # one that is no class is never right
    if not known.all():
        log.warning("label %s is not one of the %s classes: counted as wrong", labels[~known][0], classes)
    scores, labels = scores[known], labels[known].astype(np.int64)
    return tuple(int(metrics.in_top_k(scores, labels, rank).sum()) for rank in (1, k))  # type: ignore[return-value]


def mean_ap_metric(predicts: Any, targets: Any) -> tuple[float, float, float, np.ndarray]:
    """Mean AUC, mean AP, AP weighted by how many rows have the class, and the AP of every class, 0 for absent ones.

    predicts: scores (rows, classes); targets: 0 or 1 (rows, classes). A mean over no class is 0, and is logged.
    Raises UsageError where they do not fit.
    """
    scores, labels = np.asarray(predicts), np.asarray(targets)
    if scores.ndim != 2 or scores.shape != labels.shape:
        raise UsageError(
            f"scores of shape {scores.shape} and targets of shape {labels.shape} do not fit; give a row of one score "
            "and one 0 or 1 for each class"
        )
    found = metrics.multi_label(scores, labels)
    figures = {"mean AUC": found.mauc, "mean AP": found.map, "weighted mean AP": found.mwap}
    for name, figure in figures.items():
        if np.isnan(figure):
            log.info("there is no %s: no class has rows with it%s", name, " and without it" * ("AUC" in name))
    auc, ap, weighted = (0.0 if np.isnan(figure) else figure for figure in figures.values())
    return auc, ap, weighted, np.nan_to_num(found.average_precision)
