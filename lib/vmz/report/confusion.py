"""Which classes are taken for which, from the labels of videos and the classes given to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_CLASSES = 18  # that a heat map stays legible with


@dataclass(frozen=True)
class Pair:
    """`videos` of class `label` were taken for class `given`, of the `of` there are."""

    label: int
    given: int
    videos: int
    of: int

    @property
    def share(self) -> float:
        return self.videos / self.of


@dataclass(frozen=True)
class Matrix:
    """Videos of each class (rows) by the class given to them (columns, the last one: any class not shown)."""

    classes: list[int]
    counts: np.ndarray
    totals: list[int]
    whole: bool  # every class with a video is here


def pairs(labels: np.ndarray, given: np.ndarray) -> list[Pair]:
    """Every confusion of two classes, the most frequent first; of equally frequent ones that of the larger share."""
    wrong = labels != given
    found, counts = np.unique(np.stack([labels[wrong], given[wrong]], axis=1), axis=0, return_counts=True)
    totals = np.bincount(labels)
    result = [
        Pair(int(label), int(other), int(videos), int(totals[label])) for (label, other), videos in zip(found, counts)
    ]
    return sorted(result, key=lambda pair: (-pair.videos, -pair.share, pair.label, pair.given))


def matrix(labels: np.ndarray, given: np.ndarray, most: int = MOST_CLASSES) -> Matrix:
    """The confusion matrix of all classes with a video, or of the `most` of them that are confused most often."""
    present = [int(label) for label in np.unique(labels)]
    seen = sorted({*present, *(int(label) for label in np.unique(given))})
    classes = seen if len(seen) <= most else _most_confused(pairs(labels, given), present, most)
    counts = np.zeros((len(classes), len(classes) + 1), int)
    place = {label: number for number, label in enumerate(classes)}
    for label, other in zip(labels.tolist(), given.tolist()):
        if label in place:
            counts[place[label], place.get(other, len(classes))] += 1
    totals = [int((labels == label).sum()) for label in classes]
    return Matrix(classes, counts, totals, len(classes) == len(seen))


def _most_confused(found: Sequence[Pair], present: Sequence[int], most: int) -> list[int]:
    """Classes of the worst pairs, those of a pair side by side."""
    chosen: dict[int, None] = {}
    for pair in found:
        fresh = [label for label in (pair.label, pair.given) if label not in chosen]
        if len(chosen) + len(fresh) > most:
            continue
        if len(fresh) == 1 and len(chosen) > 1:  # next to the one that it is confused with
            known = pair.label if fresh[0] == pair.given else pair.given
            order = list(chosen)
            order.insert(order.index(known) + 1, fresh[0])
            chosen = dict.fromkeys(order)
        chosen.update(dict.fromkeys(fresh))
        if len(chosen) == most:
            break
    return list(chosen) or list(present[:most])
