"""Accuracies of an evaluation, as the original computes and prints them. Arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmz.extras import require

# Figures of an evaluation that say which epoch is best: the first one, and between equals the next.
WATCHED = (("video@1", "clip@1"), ("mAP", "mAUC"))

MEAN, MAXIMUM = 0, 1


def aggregate(scores: np.ndarray, how: int = MEAN) -> np.ndarray:
    """Scores of videos, (videos, classes), from those of their clips and crops, (videos, clips, classes) float32."""
    if how == MAXIMUM:
        return np.asarray(scores.max(axis=1))
    return np.asarray(scores.mean(axis=1, dtype=np.float64).astype(np.float32))


LEAST_SOFTMAX = 1e-20  # of the true class: what Caffe2's loss takes for less
LEAST_SIGMOID = 2.0**-25  # of a class or its absence: half of what float32 tells from 0


def clip_losses(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each clip as training has it, float64 (clips,), from scores (clips, classes), softmax or sigmoid.

    labels: int (clips,), each a class: -log of its share of the scores; or 0/1 (clips, classes): the mean over classes
    of the binary cross entropy.
    """
    values = scores.astype(np.float64)
    if labels.ndim == 1:
        own = values[np.arange(len(labels)), labels] / np.maximum(values.sum(axis=1), LEAST_SOFTMAX)
        return np.asarray(-np.log(np.maximum(own, LEAST_SOFTMAX)))
    right = np.where(labels.astype(bool), values, 1 - values)
    return np.asarray(-np.log(np.maximum(right, LEAST_SIGMOID)).mean(axis=1))


def in_top_k(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether the label is among the k highest scores of its row, the lower class first of equal ones: bool (rows,).

    scores: (rows, classes); labels: int (rows,), each a class.
    """
    own = scores[np.arange(len(labels)), labels][:, None]
    classes = np.arange(scores.shape[1])
    before = (scores > own) | ((scores == own) & (classes < labels[:, None]))
    return np.asarray(before.sum(axis=1) < k)


def video_figures(scores: np.ndarray, labels: np.ndarray, top_k: int) -> dict[str, float]:
    """video@1 and video@k of scores (videos, classes) and labels (videos,), by name.

    k is `top_k`, or the number of classes where there are fewer: the figure is named for what it is.
    """
    ranks = dict.fromkeys((1, min(top_k, scores.shape[1])))
    return {f"video@{k}": float(in_top_k(scores, labels, k).mean()) for k in ranks}


def rank_of(name: str) -> int:
    """The k of a figure named video@k or clip@k. With as many classes or fewer the figure is always 1."""
    return int(name.partition("@")[2])


def watched(figures: Iterable[str]) -> tuple[str, ...]:
    """The names among `figures` that say which epoch is best, the first of them first; none where none does."""
    present = set(figures)
    return next((tuple(name for name in names if name in present) for names in WATCHED if names[0] in present), ())


@dataclass(frozen=True)
class ClassAccuracy:
    """How many videos of a class there are, and how many of them are right at rank 1."""

    label: int
    videos: int
    correct: int

    @property
    def share(self) -> float:
        """Of its videos, those that are right."""
        return self.correct / self.videos


@dataclass(frozen=True)
class ClassPrecision:
    """How many videos have a class, of which they may have several, and its average precision."""

    label: int
    videos: int
    average_precision: float


def per_class(scores: np.ndarray, labels: np.ndarray) -> list[ClassAccuracy]:
    """One entry for each class that some video has."""
    right = in_top_k(scores, labels, 1)
    return [ClassAccuracy(int(c), int((labels == c).sum()), int(right[labels == c].sum())) for c in np.unique(labels)]


@dataclass(frozen=True)
class MultiLabelMetrics:
    """Ranking quality of a multi-label classifier over videos.

    mauc: mean area under ROC over the classes that some but not all videos have. map: mean average precision over the
    classes that some video has; mwap: the same weighted by how many have it; map_all: over all classes, absent ones
    counting 0. average_precision: one value a class, NaN for an absent one. NaN where no class qualifies.
    """

    mauc: float
    map: float
    mwap: float
    map_all: float
    average_precision: np.ndarray


def per_class_precision(labels: np.ndarray, average_precision: np.ndarray) -> list[ClassPrecision]:
    """One entry for each class that some video has. labels: 0/1 (videos, classes); average_precision: (classes,)."""
    return [
        ClassPrecision(label, int(labels[:, label].sum()), float(value))
        for label, value in enumerate(average_precision)
        if not np.isnan(value)
    ]


def check_multi_label() -> Any:
    """scikit-learn's metrics. Raises UsageError without the extra [multilabel]; for a start, before hours of scores."""
    return require("sklearn.metrics", "multilabel", "the evaluation of several labels per video (multi_label)")


def multi_label(scores: np.ndarray, labels: np.ndarray) -> MultiLabelMetrics:
    """scores: (videos, classes); labels: 0/1 (videos, classes). Average precision and AUC are scikit-learn's."""
    metrics = check_multi_label()
    positives = labels.sum(axis=0)
    classes = range(labels.shape[1])
    precision = np.array(
        [metrics.average_precision_score(labels[:, c], scores[:, c]) if positives[c] else np.nan for c in classes],
        np.float64,
    )
    areas = [metrics.roc_auc_score(labels[:, c], scores[:, c]) for c in classes if 0 < positives[c] < len(labels)]
    present = positives > 0
    if not present.any():
        return MultiLabelMetrics(float("nan"), float("nan"), float("nan"), 0.0, precision)
    return MultiLabelMetrics(
        mauc=float(np.mean(areas)) if areas else float("nan"),
        map=float(precision[present].mean()),
        mwap=float((precision[present] * (positives[present] / positives.sum())).sum()),
        map_all=float(np.nan_to_num(precision).mean()),
        average_precision=precision,
    )
