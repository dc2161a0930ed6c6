"""The videos of an evaluation as a page shows them: what each is, what it was taken for, and a clip of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Callable, Optional, TypeVar

import numpy as np

from vmz.metrics import in_top_k
from vmz.report.page import data_address
from vmz.report.thumbnails import Strip
from vmz.results.scores import Scores

MOST_OF_A_KIND = 200  # right videos, and wrong ones, of a page; --save_scores has all
MOST_PICTURES = 200  # videos that are read for the page
PICTURE_BYTES = 1_500_000  # of all clips of a page together; the rest go without
MOST_MISTAKES = 12  # missed classes, and false alarms, of a page
FIRST_SEEN = 24  # of each kind: their clips come before those of the others
CLASSES_OF_A_VIDEO = 4  # of which the scores are shown, where a video may have several

Pictures = Callable[[Sequence[str]], Iterable[tuple[str, str, Callable[[], Optional[Strip]]]]]
"""For keys of records: (key, path or "", what makes the clip), one by one."""
T = TypeVar("T")


@dataclass(frozen=True)
class ClassScore:
    label: int
    score: float


@dataclass(frozen=True)
class ScoredVideo:
    """A video, its true classes and the other classes that score highest, the first of them first.

    right: its class is at rank 1; with several labels: each of its classes is above every other. rank: of the best
    true class, 0 where there is none.
    """

    key: str
    truth: tuple[ClassScore, ...]
    others: tuple[ClassScore, ...]
    right: bool
    rank: int

    @property
    def top(self) -> ClassScore:
        """Of the class with the highest score."""
        return max([*self.others[:1], *self.truth], key=lambda one: one.score)


@dataclass(frozen=True)
class Mistake:
    """A true class of a video with a low score, or an absent one with a high score."""

    key: str
    found: ClassScore
    truth: tuple[int, ...]


def scored_videos(scored: Scores) -> list[ScoredVideo]:
    """Every video: the wrong ones first, the most confident first, then the right ones, the least confident first."""
    scores, own, right = _arrays(scored)
    absent = np.where(own, -np.inf, scores)
    highest = absent.max(axis=1)
    best_own = np.where(own, scores, -np.inf).max(axis=1)
    order = np.lexsort((np.arange(len(scores)), np.where(right, best_own, -highest), right))
    several = scored.labels[0].ndim == 1
    kept = min(CLASSES_OF_A_VIDEO if several else 1, scores.shape[1])
    found = []
    for row in order:
        others = np.argsort(-absent[row], kind="stable")[:kept]
        truth = np.flatnonzero(own[row])
        truth = truth[np.argsort(-scores[row, truth], kind="stable")]
        found.append(
            ScoredVideo(
                key=scored.keys[row],
                truth=_classes(scores[row], truth),
                others=_classes(scores[row], [label for label in others if not own[row, label]]),
                right=bool(right[row]),
                rank=int((scores[row] > best_own[row]).sum()) + 1 if len(truth) else 0,
            )
        )
    return found


def _arrays(scored: Scores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (videos, classes), which of the classes are true, which of the videos are right."""
    scores, labels = np.stack(scored.videos), np.stack(scored.labels)
    if labels.ndim == 1:
        return scores, np.eye(scores.shape[1], dtype=bool)[labels], in_top_k(scores, labels, 1)
    own = labels.astype(bool)
    return scores, own, np.where(own, scores, np.inf).min(axis=1) > np.where(own, -np.inf, scores).max(axis=1)


def _classes(scores: np.ndarray, labels: Iterable[int]) -> tuple[ClassScore, ...]:
    return tuple(ClassScore(int(label), float(scores[label])) for label in labels)


def mistakes(scored: Scores) -> tuple[list[Mistake], list[Mistake]]:
    """Of videos with several labels: true classes with the lowest scores, absent ones with the highest."""
    scores, own, _ = _arrays(scored)
    missed = np.argwhere(own)
    missed = missed[np.argsort(scores[own], kind="stable")[:MOST_MISTAKES]]
    alarms = np.argwhere(~own)
    alarms = alarms[np.argsort(-scores[~own], kind="stable")[:MOST_MISTAKES]]

    def of(places: np.ndarray) -> list[Mistake]:
        return [
            Mistake(
                scored.keys[row],
                ClassScore(int(label), float(scores[row, label])),
                tuple(np.flatnonzero(own[row]).tolist()),
            )
            for row, label in places
        ]

    return of(missed), of(alarms)


def chosen(videos: Sequence[ScoredVideo], most: int = MOST_OF_A_KIND) -> list[ScoredVideo]:
    """Those that a page has room for: the most confidently wrong, and right ones of every class in turn."""
    right = [video for video in videos if video.right]
    kept = right if len(right) <= most else _of_every_class(right)[:most]
    keys = {video.key for video in kept}
    wrong = [video for video in videos if not video.right][:most]
    return [*wrong, *(video for video in right if video.key in keys)]


def _of_every_class(videos: Sequence[ScoredVideo]) -> list[ScoredVideo]:
    by_class: dict[int, list[ScoredVideo]] = defaultdict(list)
    for video in videos:
        by_class[video.truth[0].label if video.truth else -1].append(video)
    return [video for turn in zip_longest(*(by_class[label] for label in sorted(by_class))) for video in turn if video]


@dataclass(frozen=True)
class Shown:
    """address: of the strip, a data: URI."""

    address: str
    strip: Strip


def clips_of(keys: Sequence[str], pictures: Optional[Pictures]) -> tuple[dict[str, Shown], dict[str, str]]:
    """Clips and paths by key, clips until their bytes are spent. keys: in the order in which they want one."""
    clips: dict[str, Shown] = {}
    paths: dict[str, str] = {}
    left, tried = PICTURE_BYTES, 0
    for key, path, made in pictures(keys) if pictures else ():
        paths[key] = path
        if left <= 0 or tried >= MOST_PICTURES:
            continue
        tried += 1
        strip = made()
        if strip is not None and len(strip.jpeg) <= left:
            left -= len(strip.jpeg)
            clips[key] = Shown(data_address(strip.jpeg), strip)
    return clips, paths


def in_turn(*lists: Sequence[T], first: int = FIRST_SEEN) -> list[T]:
    """The first of each list, then the rest of each; no value twice."""
    return list(
        dict.fromkeys([*(one for part in lists for one in part[:first]), *(one for part in lists for one in part)])
    )


def file_name(path: str) -> str:
    """Of a path as a record's place has it: "a/b.mp4, line 3 of list.csv" is b.mp4."""
    return os.path.basename(path.partition(", line ")[0])
