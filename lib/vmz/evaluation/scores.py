"""Scores of videos and of their clips, and the figures that follow from them: of a run, and of scores kept of runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np

from vmz import metrics
from vmz.errors import VmzError
from vmz.evaluation.config import EvaluationConfig
from vmz.intervals import Interval, clustered, wilson

ALWAYS_RIGHT = "always: the network has {} classes"  # of video@k with that many classes


@dataclass
class Scores:
    """What the network gave, in database order. `clips` (all clips x classes) is kept only when asked for.

    videos: float32 (videos, classes); labels: int32 (videos,), or 0/1 (videos, classes) when multi-label;
    records, keys: the videos' places and keys in the database. right: clips of each video that have its label at rank 1
    (not multi-label); right_clips of all_clips have it. video_ids: those of the records, where they were asked for.
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
        if labels.ndim == 1:
            repeated = np.repeat(labels, clips.shape[1])
            right = metrics.in_top_k(clips.reshape(len(repeated), -1), repeated, 1).reshape(len(labels), -1).sum(axis=1)
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


def merge(parts: Sequence[Scores]) -> Scores:
    """The scores of several processes as one has them, in database order."""
    if len(parts) == 1:
        return parts[0]
    places = sorted(
        (record, part, row) for part, scores in enumerate(parts) for row, record in enumerate(scores.records)
    )
    return Scores(
        videos=[parts[part].videos[row] for _, part, row in places],
        labels=[parts[part].labels[row] for _, part, row in places],
        records=[record for record, _, _ in places],
        keys=[parts[part].keys[row] for _, part, row in places],
        clips=[parts[part].clips[row] for _, part, row in places if parts[part].clips],
        right=[parts[part].right[row] for _, part, row in places if parts[part].right],
        right_clips=sum(scores.right_clips for scores in parts),
        all_clips=sum(scores.all_clips for scores in parts),
        video_ids=[parts[part].video_ids[row] for _, part, row in places if parts[part].video_ids],
    )


def summarise(scores: Scores, top_k: int, multi_label: bool) -> tuple[dict[str, float], list[Mapping[str, Any]]]:
    """The figures by name ("clip@1", "video@1", "video@5", or "mAUC", "mAP", ...), and one entry a class.

    Of fewer classes than `top_k` the last accuracy is video@classes, by that name.
    """
    videos, labels = np.stack(scores.videos), np.stack(scores.labels)
    if multi_label:
        found = metrics.multi_label(videos, labels)
        figures = {"mAUC": found.mauc, "mAP": found.map, "mWAP": found.mwap, "mAP_all": found.map_all}
        classes = [
            {"label": label, "videos": int(labels[:, label].sum()), "average_precision": float(value)}
            for label, value in enumerate(found.average_precision)
            if not np.isnan(value)
        ]
        return figures, list(classes)
    figures = {"clip@1": scores.right_clips / scores.all_clips, **metrics.video_figures(videos, labels, top_k)}
    counted = metrics.per_class(videos, labels)
    return figures, [{"label": c.label, "videos": c.videos, "correct": c.correct} for c in counted]


def score_arrays(scores: Scores, config: EvaluationConfig, paths: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """What --save_scores writes: softmax or prob (clips, classes), label, key (and video_id) a clip, in database order.

    Also the run's aggregation and the path of its database, which tell what the figures were and whose the keys are.
    paths: of the videos, "" where one is not known; written too where one is.
    """
    rows = len(scores.clips[0])
    return {
        "prob" if config.multi_label else "softmax": np.concatenate(scores.clips),
        "label": np.repeat(np.stack(scores.labels), rows, axis=0),
        "key": np.repeat(np.array(scores.keys), rows),
        **({"path": np.repeat(np.array(paths), rows)} if any(paths) else {}),
        "aggregation": np.array(config.aggregation),
        "database": np.array(os.path.realpath(config.database)),
        **({"video_id": np.repeat(np.array(scores.video_ids, np.int64), rows)} if scores.video_ids else {}),
    }


def intervals(figures: Mapping[str, float], scores: Scores) -> dict[str, Interval]:
    """95 % intervals of the accuracies: over videos, of clip@1 too, whose clips come in videos.

    video@k of k classes has none: it is 1 whatever the network.
    """
    if "clip@1" not in figures or not scores.right:
        return {}
    count, classes = len(scores.right), len(scores.videos[0])
    found = {"clip@1": clustered(scores.right, scores.all_clips // count)}
    for name, value in figures.items():
        if name.startswith("video@") and metrics.rank_of(name) < classes:
            found[name] = wilson(round(value * count), count)
    return found


def named_lines(figures: Mapping[str, float], scores: Scores, aggregation: int) -> str:
    """What each accuracy is an accuracy of, and how well it is known: one line each."""
    how = ("mean", "maximum")[aggregation]
    found, lines = intervals(figures, scores), []
    for name in figures if found else ():
        clips = scores.all_clips // len(scores.right)
        of = f"each of {scores.all_clips} clips" if name == "clip@1" else f"{how} of each video's {clips} clips"
        if name in found:
            low, high = found[name]
            lines.append(f"{name:8} {figures[name]:7.2%} (95 % interval {100 * low:.1f} to {100 * high:.1f}), {of}")
        else:
            lines.append(f"{name:8} {figures[name]:7.2%}, {ALWAYS_RIGHT.format(len(scores.videos[0]))}")
    return "\n".join(lines)


def figures_line(figures: Mapping[str, float]) -> str:
    """The figures on one line, as the original prints them."""
    if "mAUC" in figures:
        return "Test " + ", ".join(f"{name}: {value}" for name, value in figures.items())
    clip, top1, (name, top_k) = figures["clip@1"], figures["video@1"], list(figures.items())[-1]
    return f"Test accuracy: clip: {clip}, top 1: {top1}, top{name.partition('@')[2]}: {top_k}"


def class_lines(per_class: Sequence[Mapping[str, Any]], names: Optional[Sequence[str]]) -> list[str]:
    """A line for each class that some video has."""
    lines = []
    for entry in per_class:
        name = f" {names[entry['label']]}" if names is not None else ""
        if "correct" in entry:
            share = entry["correct"] / entry["videos"]
            lines.append(f"class {entry['label']}{name}: {entry['correct']} of {entry['videos']} videos, {share:.4f}")
        else:
            lines.append(f"class {entry['label']}{name}: {entry['videos']} videos, AP {entry['average_precision']:.4f}")
    return lines
