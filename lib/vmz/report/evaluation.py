"""The page of an evaluation: figures with their intervals, classes, confusions, videos, data, time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Optional

import numpy as np

from vmz.intervals import Interval, wilson
from vmz.metrics import ClassAccuracy, rank_of
from vmz.report.confusion import Matrix, Pair, matrix, pairs
from vmz.report.curves import Plot, Series, plot
from vmz.report.page import counted, render
from vmz.report.videos import Pictures, chosen, clips_of, file_name, in_turn, mistakes, scored_videos
from vmz.results.evaluation import Evaluation
from vmz.settings.resolution import Resolution

MOST_PAIRS = 200  # of confused classes
CLASSES_SEEN_AT_ONCE = 20


@dataclass(frozen=True)
class Figure:
    """One number of the headline. `published`: what the model's table prints, None where it prints nothing."""

    name: str
    value: float
    interval: Optional[Interval]
    published: Optional[float]
    about: str


@dataclass(frozen=True)
class ClassRow:
    """A class: how it does (`share`: of its videos right at rank 1, or its average precision)."""

    label: int
    videos: int
    correct: Optional[int]
    share: float
    interval: Optional[Interval]
    mistaken: Optional[Pair]


def page(evaluation: Evaluation, pictures: Optional[Pictures] = None) -> str:
    """HTML of an evaluation that holds its scores.

    pictures: gives paths and clips of records by their keys; asked for those that the page shows.
    """
    options = evaluation.config.flags()
    scores, labels = np.stack(evaluation.scores.videos), np.stack(evaluation.scores.labels)
    multi_label = labels.ndim == 2
    given = scores.argmax(axis=1)
    confused = [] if multi_label else pairs(labels, given)
    classes = _class_rows(evaluation, confused)
    return render(
        "evaluation.html",
        kind="Evaluation",
        title=_title(evaluation, options),
        names=_Names(evaluation.label_names),
        evaluation=evaluation,
        options=options,
        figures=_figures(evaluation, options),
        multi_label=multi_label,
        classes=classes,
        spread=_spread(classes, multi_label),
        pairs=confused[:MOST_PAIRS],
        all_pairs=len(confused),
        matrix=None if multi_label else _cells(matrix(labels, given)),
        **_videos(evaluation, multi_label, pictures),
        reasons=Counter(bad.reason for bad in evaluation.skipped).most_common(),
        time=_time(evaluation, options),
        warnings=_warnings(evaluation, options),
        sources=_sources(evaluation.config.resolution),
    )


def _videos(evaluation: Evaluation, multi_label: bool, pictures: Optional[Pictures]) -> dict[str, Any]:
    """What the page shows of single videos."""
    every = scored_videos(evaluation.scores)
    shown = chosen(every)
    missed, alarms = mistakes(evaluation.scores) if multi_label else ([], [])
    wrong, right = ([video.key for video in shown if video.right is kind] for kind in (False, True))
    wanted = in_turn([one.key for one in missed], [one.key for one in alarms], wrong, right)
    clips, paths = clips_of(wanted, pictures)
    return {
        "videos": shown,
        "all_videos": {"wrong": sum(not video.right for video in every), "right": sum(video.right for video in every)},
        "missed": missed,
        "alarms": alarms,
        "clips": clips,
        "paths": paths,
        "file_name": file_name,
    }


class _Names:
    """{label: text}: the class's name with its number, or its number alone."""

    def __init__(self, names: Optional[Sequence[str]]) -> None:
        self._names = names

    def __getitem__(self, label: int) -> str:
        if self._names is None or not 0 <= label < len(self._names):
            return f"class {label}"
        return self._names[label]


def _title(evaluation: Evaluation, options: Mapping[str, Any]) -> str:
    published = evaluation.published
    model = published.display_name if published else f"{options['model_name']} {options['model_depth']}"
    database = str(options["test_data"]).rstrip("/").rpartition("/")[2]
    return f"{model} on {database}"


def _figures(evaluation: Evaluation, options: Mapping[str, Any]) -> list[Figure]:
    published: Mapping[str, float] = evaluation.published.figures if evaluation.published else {}
    intervals, clips = evaluation.intervals, evaluation.clips_per_video
    how = "greatest" if options["aggregation"] else "mean"
    about = {
        "clip@1": "Clip metric: each clip by itself, its class at rank 1.",
        "video@1": f"Video metric: the {how} of a video's {counted(clips, 'clip')}, its class at rank 1.",
        "mAUC": "Of videos: mean over classes of the area under the ROC curve.",
        "mAP": "Of videos: mean over the classes present of the average precision.",
        "mWAP": "The same, each class weighted by its videos.",
        "mAP_all": "Mean over all classes, absent ones counting 0.",
    }
    return [
        Figure(
            name=name,
            value=figure,
            interval=intervals.get(name),
            published=published.get(name),
            about=about.get(name) or _about_top_k(rank_of(name), options["num_labels"]),
        )
        for name, figure in evaluation.figures.items()
    ]


def _about_top_k(k: int, classes: int) -> str:
    always = (
        f" Always 100\u00a0%: there {'is' if classes == 1 else 'are'} {counted(classes, 'class')}."
        if k >= classes
        else ""
    )
    return f"Video metric: its class among the first {k}.{always}"


def _class_rows(evaluation: Evaluation, confused: Sequence[Pair]) -> list[ClassRow]:
    """The worst class first."""
    mistaken: dict[int, Pair] = {}
    for pair in confused:
        mistaken.setdefault(pair.label, pair)
    rows = []
    for entry in evaluation.per_class:
        label, videos = entry.label, entry.videos
        if isinstance(entry, ClassAccuracy):
            interval = wilson(entry.correct, videos)
            rows.append(ClassRow(label, videos, entry.correct, entry.share, interval, mistaken.get(label)))
        else:
            rows.append(ClassRow(label, videos, None, entry.average_precision, None, None))
    return sorted(rows, key=lambda row: (row.share, row.label))


def _spread(rows: Sequence[ClassRow], multi_label: bool) -> Optional[Plot]:
    """Where there are too many classes to see at once: all of them as one curve."""
    if len(rows) < CLASSES_SEEN_AT_ONCE:
        return None
    shares = [row.share for row in rows]
    what = "an average precision" if multi_label else "an accuracy"
    note = f"Half of the {len(rows)} classes have {what} above {median(shares):.1%}".replace("%", "\u00a0%")
    curve = Series(
        "Share right of a class" if not multi_label else "Average precision of a class", range(1, len(rows) + 1), shares
    )
    return plot("From the worst class to the best", f"{note}.", [curve], zero=True)


def _cells(found: Matrix) -> dict[str, Any]:
    """Rows of cells for the template: the count, its share of the row, whether it is the class itself."""
    rows = []
    for place, (label, total) in enumerate(zip(found.classes, found.totals)):
        cells = [
            {
                "videos": int(videos),
                "share": videos / total if total else 0.0,
                "own": column == place,
                "rest": column == len(found.classes),
            }
            for column, videos in enumerate(found.counts[place])
        ]
        rows.append({"label": label, "total": total, "cells": cells[:-1] if found.whole else cells})
    return {"classes": found.classes, "rows": rows, "whole": found.whole}


def _time(evaluation: Evaluation, options: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """Where the time of the run went: parts with their shares, the speed, and what to do about the reader."""
    seconds = evaluation.seconds
    run = seconds.get("run", 0.0)
    texts = {
        "read": "Waiting for decoded clips",
        "net": "The network",
        "transfer": "Moving clips to the device",
        "prepare": "Preparing the network for these clips",
    }
    parts = [(text, seconds[name]) for name, text in texts.items() if seconds.get(name)]
    if not parts or run <= 0:
        return None
    rest = run - sum(part for _, part in parts)
    if rest > 0:
        parts.append(("The rest: scores and figures", rest))
    whole = sum(part for _, part in parts)
    clips = evaluation.videos * evaluation.clips_per_video
    reading = seconds.get("read", 0.0) / whole
    return {
        "parts": [{"text": text, "seconds": part, "share": part / whole} for text, part in parts],
        "run": run,
        "load": seconds.get("load"),
        "clips_per_second": clips / run,
        "advice": f"The network waited for clips {reading:.0%} of the time: more --num_decode_threads (they were "
        f"{options['num_decode_threads']}), or more cores, make the run shorter."
        if reading > 0.4
        else "",
    }


def _sources(resolution: Optional[Resolution]) -> dict[str, str]:
    """{where settings come from: those settings}, {} where all are the command line's and defaults."""
    found: dict[str, list[str]] = {}
    for flag, entry in resolution.settings.items() if resolution else ():
        found.setdefault(entry.source, []).append(f"{flag}={entry.value}")
    if resolution is None or not set(found) - {"command line", "default"}:
        return {}
    published = resolution.row.name if resolution.row else None
    names = {
        "command line": "Command line",
        "--zoo": f"--zoo={published}, {resolution.protocol} protocol",
        "checkpoint": "Training of the checkpoint",
        "published file": f"{published}, whose file name the checkpoint has, {resolution.protocol} protocol",
        "blobs": "Blobs of the checkpoint",
        "data": "Classes of the data",
        "default": "Defaults",
    }
    return {text: ", ".join(found[source]) for source, text in names.items() if source in found}


def _warnings(evaluation: Evaluation, options: Mapping[str, Any]) -> list[str]:
    """What to know before believing a figure."""
    found = []
    checkpoint, published = evaluation.checkpoint, evaluation.published
    if checkpoint is None:
        found.append("The network is untrained: no checkpoint was loaded (--random_weights=1).")
    elif checkpoint.missing or checkpoint.mismatched:
        number = len(checkpoint.missing) + len(checkpoint.mismatched)
        verb = "keeps its initial values" if number == 1 else "keep their initial values"
        found.append(
            f"{counted(number, 'blob')} of the network {verb}: the checkpoint does not fill "
            f"{'it' if number == 1 else 'them'}."
        )
    if options["fps"]:
        found.append(
            f"Videos are resampled to {counted(options['fps'], 'frame')} per second; the original takes every frame."
        )
    if options["num_iter"]:
        found.append("Not the whole database: the run stopped after --num_iter batches.")
    if evaluation.skipped:
        number = len(evaluation.skipped)
        rest = "counts nowhere; it is listed below" if number == 1 else "count nowhere; they are listed below"
        found.append(f"{counted(number, 'video')} could not be read and {rest}.")
    ended = evaluation.ended_early
    if ended:
        found.append(
            f"{counted(len(ended), 'video')} ended early and {'was' if len(ended) == 1 else 'were'} scored from the "
            f"frames "
            f"before; {'it is' if len(ended) == 1 else 'they are'} listed below."
        )
    silent = len(evaluation.without_sound)
    if silent:
        found.append(
            f"{counted(silent, 'video')} without sound: the network heard zeros; "
            f"{'it is' if silent == 1 else 'they are'} listed below."
        )
    for line in evaluation.data.warnings if evaluation.data else ():
        found.append(line[:1].upper() + line[1:] + ("" if line.endswith("?") else "."))
    resolution = evaluation.config.resolution
    if resolution and resolution.differences and not published:
        found.append(f"Not {resolution.reference}: {', '.join(resolution.differences)}.")
    if published and published.figures and published.differences:
        found.append(
            f"Not the protocol of the published figures of {published.display_name}: "
            f"{', '.join(published.differences)}."
        )
    return found
