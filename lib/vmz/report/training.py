"""The page of a training: its curves, each epoch's figures, its settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

from vmz import invocation
from vmz.errors import UsageError
from vmz.metrics import watched
from vmz.netdef.blended_heads import HEADS
from vmz.report.curves import Plot, Series, plot
from vmz.report.page import counted, render
from vmz.report.page import write as write_page
from vmz.results.heads import Heads
from vmz.results.training import Epoch, TrainingResult
from vmz.settings.setting import Settings, settings_of


def _head_curves(figure: str) -> tuple[tuple[str, str, bool], ...]:
    """The curves of a figure of Gradient-Blending's heads."""
    sources = (("", "Training"), ("test_", "Test"))
    return tuple((f"{data}{head}_{figure}", f"{name} {head}", bool(data)) for head in HEADS for data, name in sources)


# (title, what it means, [(field of a point or name of a figure, name of the curve, few points that count each)], scale
# begins at 0)
PLOTS: tuple[tuple[str, str, tuple[tuple[str, str, bool], ...], bool], ...] = (
    (
        "Loss",
        "Training: mean over the clips since the point before. Test: mean over the clips of the test.",
        (("loss", "Training", False), ("test_loss", "Test", True)),
        False,
    ),
    (
        "Accuracy",
        "Share right at rank 1, of clips and of videos.",
        (("accuracy", "Training clip@1", False), ("clip@1", "Test clip@1", True), ("video@1", "Test video@1", True)),
        True,
    ),
    (
        "Losses of the heads",
        "Of Gradient-Blending: each head's own loss, not weighted.",
        _head_curves("loss"),
        False,
    ),
    (
        "Accuracy of the heads",
        "Share of the clips that each head has right at rank 1.",
        _head_curves("accuracy"),
        True,
    ),
    ("mAP", "Mean average precision of the test videos.", (("mAP", "Test mAP", True),), True),
    ("Learning rate", "As used: times the devices.", (("learning_rate", "Learning rate", False),), False),
    ("Speed", "Clips a second, all devices together.", (("clips_per_second", "Clips/s", False),), True),
)
# Field of an epoch or name of a figure: what the table of epochs calls it. Shares are written in percent.
EPOCH_COLUMNS = {
    "learning_rate": "Learning rate",
    "loss": "Training loss",
    "test_loss": "Test loss",
    "accuracy": "Training clip@1",
    "clip@1": "Test clip@1",
    "video@1": "Test video@1",
    "mAP": "Test mAP",
    "clips_per_second": "Clips/s",
}
TESTED = ("clip@1", "video@1", "mAP")
SHARES = ("accuracy", *TESTED)
OF_POINTS = ("learning_rate", "loss", "accuracy", "clips_per_second")


@dataclass(frozen=True)
class _Entry:
    """What a curve has at an iteration: values by key, and how many clips they are means of."""

    iteration: int
    epoch: int
    values: Mapping[str, Optional[float]]
    clips: int = 1


def write(path: Union[str, Path], result: TrainingResult) -> None:
    """Write the page of a training to `path`, whole or not at all; it may be written anew after every epoch.

    Raises UsageError for a training that has neither points nor evaluations, VmzError where it cannot be written.
    """
    write_page(path, page(result))


def page(result: TrainingResult) -> str:
    """The HTML that `write` writes. What is not known is not drawn; values that are not finite are counted and said."""
    entries, best = _entries(result), _best(result.best)
    mark = (best["iteration"], f"Best: epoch {best['epoch']}") if best and best["iteration"] is not None else None
    plots = [drawn for row in PLOTS if (drawn := _plot(entries, *row, mark=mark)) is not None]
    settings = result.config.flags()
    reasons = invocation.current().reasons
    changed = dict(sorted(_changed(result.config).items(), key=lambda item: item[0] in reasons))  # by hand, then chosen
    return render(
        "training.html",
        title=str(settings["save_model_name"]),
        network="-".join(str(settings[name]) for name in ("model_name", "model_depth") if settings[name]),
        kind="Training",
        plots=plots,
        warnings=[*_warnings(plots), *result.remarks],
        epochs=(rows := [_row(epoch) for epoch in result.epochs]),
        columns={key: name for key, name in EPOCH_COLUMNS.items() if any(key in row for row in rows)},
        shares=SHARES,
        last=entries[-1],
        best=best,
        planned=result.planned_epochs,
        stopped_early=result.stopped_early,
        changed=changed,
        reasons=reasons,
        settings={name: entry for name, entry in settings.items() if name not in changed},
        environment=result.environment,
    )


def _entries(result: TrainingResult) -> list[_Entry]:
    """Points, and the evaluations among them, by iteration."""
    if not result.has_curves:
        raise UsageError("the page of a training needs a point or an evaluation; train for an iteration first")
    points = [
        _Entry(
            point.iteration,
            point.epoch,
            {**{key: getattr(point, key) for key in OF_POINTS}, **_of_heads("", point.heads)},
            point.clips or 1,
        )
        for point in result.points
    ]
    tested = [
        _Entry(
            epoch.iteration or 0,
            epoch.epoch,
            {**(epoch.figures or {}), "test_loss": epoch.test_loss, **_of_heads("test_", epoch.test_heads)},
        )
        for epoch in result.tested
    ]
    return sorted([*points, *tested], key=lambda entry: entry.iteration)


def _of_heads(data: str, heads: Optional[Heads]) -> dict[str, Optional[float]]:
    """By the keys of the curves: "audio_loss", "test_audio_loss"."""
    return {f"{data}{head}_{name}": value for head, found in (heads or {}).items() for name, value in found.items()}


def _plot(
    entries: Sequence[_Entry],
    title: str,
    note: str,
    curves: Sequence[tuple[str, str, bool]],
    zero: bool,
    mark: Optional[tuple[float, str]],
) -> Optional[Plot]:
    series = []
    for key, name, dots in curves:
        found = [(entry, float(value)) for entry in entries if (value := entry.values.get(key)) is not None]
        values = [value for _, value in found]
        if any(map(math.isfinite, values)):
            weights = [_weight(key, entry.clips, value) for entry, value in found]
            series.append(Series(name, [entry.iteration for entry, _ in found], values, dots, weights))
    return plot(title, note, series, zero, mark) if series else None


def _changed(config: Settings) -> dict[str, dict[str, Any]]:
    """{flag: its value and its default} of the settings that are not their defaults, in the order of the flags."""
    found = {}
    for name, known in settings_of(type(config)).items():
        entry, default = getattr(config, name), known.effective_default()
        if entry != default:
            found[name] = {"value": entry, "default": default}
    return found


def _weight(key: str, clips: float, value: float) -> float:
    """What a value counts in the mean of several: its clips, or for a speed its seconds."""
    speed = value if key == "clips_per_second" else 1.0
    return clips / speed if speed > 0 else float(clips)


def _warnings(plots: Sequence[Plot]) -> list[str]:
    return [
        f"{drawn.name}, {shown.title}: {counted(drawn.left_out, 'value')} "
        f"{'is' if drawn.left_out == 1 else 'are'} not finite and not drawn"
        for shown in plots
        for drawn in shown.series
        if drawn.left_out
    ]


def _row(epoch: Epoch) -> dict[str, Any]:
    """The figures that an epoch has, nothing worked out anew."""
    figures = epoch.figures or {}
    values = {key: figures.get(key) if key in TESTED else getattr(epoch, key) for key in EPOCH_COLUMNS}
    return {"epoch": epoch.epoch, **{key: value for key, value in values.items() if _is_finite(value)}}


def _is_finite(value: Optional[float]) -> bool:
    return value is not None and math.isfinite(value)


def _best(best: Optional[Epoch]) -> Optional[dict[str, Any]]:
    """The best test: the figure's name and value, the iteration and the epoch."""
    if best is None or best.figures is None:
        return None
    name = watched(best.figures)[0]
    return {"name": name, "value": best.figures[name], "iteration": best.iteration, "epoch": best.epoch}
