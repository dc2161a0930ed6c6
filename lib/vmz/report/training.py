"""The page of a training: its curves, each epoch's figures, its settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from vmz.errors import UsageError
from vmz.metrics import WATCHED
from vmz.report.curves import Plot, Series, plot
from vmz.report.page import render
from vmz.report.page import write as write_page

# (title, what it means, [(key of the history, name of the curve, few points that count each)], scale begins at 0)
PLOTS: tuple[tuple[str, str, tuple[tuple[str, str, bool], ...], bool], ...] = (
    ("Loss", "mean of the batch", (("loss", "training", False),), False),
    (
        "Accuracy",
        "share right at rank 1, of clips and of videos",
        (("accuracy", "training clip@1", False), ("clip@1", "test clip@1", True), ("video@1", "test video@1", True)),
        True,
    ),
    ("mAP", "of test videos", (("mAP", "test mAP", True),), True),
    ("Learning rate", "as used: times the devices", (("learning_rate", "learning rate", False),), False),
    ("Speed", "clips a second, all devices together", (("clips_per_second", "clips/s", False),), True),
)
# Key of the history: what the table of epochs calls it. Shares are written in percent.
EPOCH_COLUMNS = {
    "learning_rate": "learning rate",
    "loss": "loss",
    "accuracy": "training clip@1",
    "clip@1": "test clip@1",
    "video@1": "test video@1",
    "mAP": "test mAP",
    "clips_per_second": "clips a second",
}
TESTED = ("clip@1", "video@1", "mAP")
SHARES = ("accuracy", *TESTED)


def write(
    path: Union[str, Path],
    history: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    remarks: Sequence[str] = (),
) -> None:
    """Write the page of a training to `path`, whole or not at all; it may be written anew after every epoch.

    history: entries in the order they happened, each {"iteration": int, "epoch": int or float, ...} with any of
    "learning_rate" (as used), "loss", "accuracy" (clip@1 of the batch, 0 to 1), "clips_per_second" (all devices), and,
    at an epoch's end, the test's "clip@1" and "video@1", or "mAP". What is missing or None is not drawn; values that
    are not finite are counted and said. Where a run went back (it resumed from an earlier checkpoint), the later
    entries count.
    settings: flags and whatever else identifies the run; "title" names the page. environment: versions and devices.
    remarks: lines to show above the curves.
    Raises UsageError for a history without entries or an entry without iteration, VmzError where it cannot be written.
    """
    write_page(path, page(history, settings, environment, remarks))


def page(
    history: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    remarks: Sequence[str] = (),
) -> str:
    """The HTML that `write` writes."""
    entries, dropped = _in_order(history)
    plots = [drawn for row in PLOTS if (drawn := _plot(entries, *row)) is not None]
    title = str(settings.get("title") or _title(settings))
    return render(
        "training.html",
        title=title,
        kind="Training",
        plots=plots,
        warnings=[*_warnings(plots, dropped), *remarks],
        epochs=(epochs := _epochs(entries)),
        columns={key: name for key, name in EPOCH_COLUMNS.items() if any(key in row for row in epochs)},
        shares=SHARES,
        last=entries[-1],
        best=_best(entries),
        settings={name: entry for name, entry in settings.items() if name != "title"},
        environment=environment,
    )


def _in_order(history: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], int]:
    """Entries by growing iteration, and how many a run that went back has overtaken."""
    if not history:
        raise UsageError("the history of a training page is empty; give one entry an iteration or an epoch")
    kept: list[Mapping[str, Any]] = []
    dropped = 0
    for entry in history:
        if "iteration" not in entry:
            raise UsageError(f"an entry of the history has no iteration: it has {', '.join(map(str, entry))}")
        if kept and kept[-1]["iteration"] > entry["iteration"]:
            before = len(kept)
            kept = [one for one in kept if one["iteration"] < entry["iteration"]]
            dropped += before - len(kept)
        kept.append(entry)
    return kept, dropped


def _plot(
    entries: Sequence[Mapping[str, Any]],
    title: str,
    note: str,
    curves: Sequence[tuple[str, str, bool]],
    zero: bool,
) -> Union[Plot, None]:
    series = []
    for key, name, dots in curves:
        found = [(entry["iteration"], float(entry[key])) for entry in entries if entry.get(key) is not None]
        if any(math.isfinite(value) for _, value in found):
            series.append(Series(name, [x for x, _ in found], [y for _, y in found], dots))
    return plot(title, note, series, zero) if series else None


def _warnings(plots: Sequence[Plot], dropped: int) -> list[str]:
    found = [
        f"{drawn.name} {shown.title.lower()}: {drawn.left_out} of its values are not finite; they are not drawn"
        for shown in plots
        for drawn in shown.series
        if drawn.left_out
    ]
    if dropped:
        found.append(f"The run went back to an earlier checkpoint: {dropped} entries after it are not shown")
    return found


def _epochs(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row an epoch: the means of its training figures, and the last of the others."""
    rows: dict[int, dict[str, list[float]]] = {}
    for entry in entries:
        if entry.get("epoch") is None:
            continue
        row = rows.setdefault(int(entry["epoch"]), {})
        for key in EPOCH_COLUMNS:
            if entry.get(key) is not None and math.isfinite(entry[key]):
                row.setdefault(key, []).append(float(entry[key]))
    last = ("learning_rate", *TESTED)
    return [
        {
            "epoch": epoch,
            **{key: found[-1] if key in last else sum(found) / len(found) for key, found in row.items()},
        }
        for epoch, row in rows.items()
    ]


def _best(entries: Sequence[Mapping[str, Any]]) -> Union[dict[str, Any], None]:
    """The first of the best tests: the figure's name and value, the iteration and the epoch."""
    tested = [(name, entry) for entry in entries for name in WATCHED if entry.get(name) is not None]
    if not tested:
        return None
    name, entry = max(tested, key=lambda pair: float(pair[1][pair[0]]))
    return {"name": name, "value": entry[name], "iteration": entry["iteration"], "epoch": entry.get("epoch")}


def _title(settings: Mapping[str, Any]) -> str:
    name, depth = settings.get("model_name"), settings.get("model_depth")
    return f"{name} {depth}" if name and depth else str(name or "A training")
