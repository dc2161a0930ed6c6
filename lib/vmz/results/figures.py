"""Figures by name ("clip@1", "video@1", "video@5", or "mAUC", "mAP", ...): how well they are known, and their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional, Union

from vmz import metrics
from vmz.intervals import Interval, clustered, wilson
from vmz.metrics import ClassAccuracy, ClassPrecision
from vmz.results.scores import Scores
from vmz.text import counted

ALWAYS_RIGHT = "always: the network has {} classes"  # of video@k with that many classes

ClassFigure = Union[ClassAccuracy, ClassPrecision]
"""How the network does on one class: the latter where videos may have several."""


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


def named_lines(figures: Mapping[str, float], scores: Scores, aggregation: int) -> list[str]:
    """What each accuracy is an accuracy of, and how well it is known: one line each."""
    how = ("mean", "maximum")[aggregation]
    found, lines = intervals(figures, scores), []
    for name in figures if found else ():
        clips = scores.all_clips // len(scores.right)
        of = (
            f"each of {counted(scores.all_clips, 'clip')}"
            if name == "clip@1"
            else f"{how} of each video's {counted(clips, 'clip')}"
        )
        if name in found:
            low, high = found[name]
            lines.append(f"{name:8} {figures[name]:7.2%} (95 % interval {100 * low:.1f} to {100 * high:.1f}), {of}")
        else:
            lines.append(f"{name:8} {figures[name]:7.2%}, {ALWAYS_RIGHT.format(len(scores.videos[0]))}")
    return lines


def figures_line(figures: Mapping[str, float]) -> str:
    """The figures on one line, as the original prints them."""
    if "mAUC" in figures:
        return "Test " + ", ".join(f"{name}: {value}" for name, value in figures.items())
    clip, top1, (name, top_k) = figures["clip@1"], figures["video@1"], list(figures.items())[-1]
    return f"Test accuracy: clip: {clip}, top 1: {top1}, top{name.partition('@')[2]}: {top_k}"


def class_lines(per_class: Sequence[ClassFigure], names: Optional[Sequence[str]]) -> list[str]:
    """A line for each class that some video has. names: of the classes, by label."""
    lines = []
    for entry in per_class:
        name = f" {names[entry.label]}" if names is not None else ""
        if isinstance(entry, ClassAccuracy):
            lines.append(
                f"class {entry.label}{name}: {entry.correct} of {counted(entry.videos, 'video')}, {entry.share:.4f}"
            )
        else:
            lines.append(
                f"class {entry.label}{name}: {counted(entry.videos, 'video')}, AP {entry.average_precision:.4f}"
            )
    return lines
