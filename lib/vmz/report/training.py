"""The page of a training: its curves, each epoch's figures, its settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from vmz.errors import UsageError
from vmz.metrics import watched
from vmz.report.curves import Plot, Series, plot
from vmz.report.page import render
from vmz.report.page import write as write_page

# (title, what it means, [(key of the history, name of the curve, few points that count each)], scale begins at 0)
PLOTS: tuple[tuple[str, str, tuple[tuple[str, str, bool], ...], bool], ...] = (
    ("Loss", "mean over the clips since the point before", (("loss", "training", False),), False),
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
    epochs: Sequence[Mapping[str, Any]] = (),
    best: Optional[Mapping[str, Any]] = None,
    remarks: Sequence[str] = (),
) -> None:
    """Write the page of a training to `path`, whole or not at all; it may be written anew after every epoch.

    history: entries in the order they happened, each {"iteration": int, "epoch": int or float, ...} with any of
    "learning_rate" (as used), "loss", "accuracy" (clip@1, 0 to 1) and "clips_per_second" (all devices), which are means
    over "clips" clips (1 where it is not said), and, at an epoch's end, the test's "clip@1" and "video@1", or "mAP".
    What is missing or None is not drawn; values that are not finite are counted and said. Where a run went back (it
    resumed from an earlier checkpoint), the later entries count.
    settings: flags and whatever else identifies the run; "title" names the page. environment: versions and devices.
    epochs: the run's own account of its epochs, as train_net's --output holds it: {"epoch": int, ...} with the same
    figures of the whole epoch, and the test's in "figures". best: the one of them that was kept as the best. remarks:
    lines to show above the curves.
    Raises UsageError for a history without entries or an entry without iteration, VmzError where it cannot be written.
    """
    write_page(path, page(history, settings, environment, epochs, best, remarks))


def page(
    history: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    environment: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]] = (),
    best: Optional[Mapping[str, Any]] = None,
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
        epochs=(rows := _rows(epochs)),
        columns={key: name for key, name in EPOCH_COLUMNS.items() if any(key in row for row in rows)},
        shares=SHARES,
        last=entries[-1],
        best=_best(best),
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
        found = [entry for entry in entries if entry.get(key) is not None]
        values = [float(entry[key]) for entry in found]
        if any(map(math.isfinite, values)):
            weights = [_weight(key, entry) for entry in found]
            series.append(Series(name, [entry["iteration"] for entry in found], values, dots, weights))
    return plot(title, note, series, zero) if series else None


def _weight(key: str, entry: Mapping[str, Any]) -> float:
    """What an entry counts in the mean of several: its clips, or for a speed its seconds."""
    clips = float(entry.get("clips", 1))
    speed = entry[key] if key == "clips_per_second" else 1.0
    return clips / speed if speed > 0 else clips


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


def _rows(epochs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row an epoch: the figures that it has, nothing worked out anew."""
    flat = [{**entry, **entry.get("figures", {})} for entry in epochs]
    return [
        {"epoch": entry["epoch"], **{key: entry[key] for key in EPOCH_COLUMNS if _is_finite(entry.get(key))}}
        for entry in flat
    ]


def _is_finite(value: Optional[float]) -> bool:
    return value is not None and math.isfinite(value)


def _best(best: Optional[Mapping[str, Any]]) -> Optional[dict[str, Any]]:
    """The best test: the figure's name and value, the iteration and the epoch."""
    if best is None:
        return None
    name = watched(best["figures"])[0]
    return {"name": name, "value": best["figures"][name], "iteration": best["iteration"], "epoch": best["epoch"]}


def _title(settings: Mapping[str, Any]) -> str:
    name, depth = settings.get("model_name"), settings.get("model_depth")
    return f"{name} {depth}" if name and depth else str(name or "A training")
