"""Scores of videos and of their clips: what figures are figures of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from vmz import metrics
from vmz.errors import VmzError
from vmz.netdef.blended_heads import JOINT


@dataclass
class HeadScores:
    """Of one head of several: losses of each video, the sum over its clips; right, how many clips are, at rank 1."""

    losses: list[float] = field(default_factory=list)
    right: int = 0


@dataclass
class Scores:
    """What the network gave, in database order. `clips` (all clips x classes) is kept only when asked for.

    videos: float32 (videos, classes); labels: int32 (videos,), or 0/1 (videos, classes) when multi-label;
    records, keys: the videos' places and keys in the database. right: clips of each video that have its label at rank 1
    (not multi-label); right_clips of all_clips have it. video_ids: those of the records, where they were asked for.
    losses: of each video, the sum over its clips. heads: the same of other heads, of Gradient-Blending.
    """

    videos: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    clips: list[np.ndarray] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    right_clips: int = 0
    all_clips: int = 0
    video_ids: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    heads: dict[str, HeadScores] = field(default_factory=dict)

    def add_head(self, head: str, clips: np.ndarray, labels: np.ndarray) -> None:
        """Count the scores of another head, float32 (videos, clips, classes), for the labels that `add` gets."""
        counted = self.heads.setdefault(head, HeadScores())
        rows, repeated = clips.reshape(-1, clips.shape[2]), np.repeat(labels, clips.shape[1], axis=0)
        counted.losses.extend(metrics.clip_losses(rows, repeated).reshape(len(labels), -1).sum(axis=1).tolist())
        if labels.ndim == 1:
            counted.right += int(metrics.in_top_k(rows, repeated, 1).sum())

    def head_figures(self) -> dict[str, dict[str, float]]:
        """Loss and accuracy, means over clips, of each head, the one that is scored too; {} of a net of one head.

        With several labels there is no accuracy.
        """
        if not self.heads:
            return {}
        every = {**self.heads, JOINT: HeadScores(self.losses, self.right_clips)}
        return {
            head: {
                "loss": math.fsum(one.losses) / self.all_clips,
                **({"accuracy": one.right / self.all_clips} if self.right else {}),
            }
            for head, one in every.items()
        }

    @property
    def loss(self) -> Optional[float]:
        """The mean over clips of the loss that training has; None where it is not known."""
        return math.fsum(self.losses) / self.all_clips if self.losses else None

    def add(
        self,
        clips: np.ndarray,
        labels: np.ndarray,
        keys: Sequence[str],
        aggregation: int,
        keep: bool,
        named: Callable[[str], str] = "record {}".format,
    ) -> None:
        """Count videos by their clips' scores, float32 (videos, clips, classes); `keep` those of the clips too.

        labels: int32 (videos,), each a class, or 0/1 (videos, classes). Raises VmzError for scores that are not finite,
        in which `named` names the record of a key.
        """
        bad = first_not_finite(clips)
        if bad is not None:
            raise VmzError(
                f"the scores of {named(keys[bad[0]])} are not finite (clip {bad[1] + 1} of {clips.shape[1]}); check "
                "that the weights belong to this network"
            )
        rows, repeated = clips.reshape(-1, clips.shape[2]), np.repeat(labels, clips.shape[1], axis=0)
        self.losses.extend(metrics.clip_losses(rows, repeated).reshape(len(labels), -1).sum(axis=1).tolist())
        if labels.ndim == 1:
            right = metrics.in_top_k(rows, repeated, 1).reshape(len(labels), -1).sum(axis=1)
            self.right.extend(right.tolist())
            self.right_clips += int(right.sum())
        self.all_clips += clips.shape[0] * clips.shape[1]
        self.videos.extend(metrics.aggregate(clips, aggregation))
        self.labels.extend(labels)
        self.keys.extend(keys)
        if keep:
            self.clips.extend(clips)


def first_not_finite(values: np.ndarray) -> Optional[tuple[int, int]]:
    """The place (row, column) of the first row, by the first two axes, that holds NaN or an infinity; None for none.

    values: of any type and at least two axes.
    """
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return None
    finite = np.isfinite(values).reshape(*values.shape[:2], -1).all(axis=2)
    row, column = np.argwhere(~finite)[0]
    return int(row), int(column)
