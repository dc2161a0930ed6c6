"""What a training run has to tell: means over iterations and epochs, figures of evaluations, which epoch is best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from vmz.engines.trainer import Step
from vmz.metrics import WATCHED
from vmz.video.faults import BadVideo, EndedEarly, bounded, closing_line, counted


@dataclass
class History:
    """What a run has to tell, all of it JSON. It is saved in every checkpoint.

    points: means over display_iter iterations. epochs: means over an epoch, and the figures of its evaluation.
    sums: of the iterations of the epoch under way, and of the point under way. faults: {"skipped" or "ended_early":
    {"train" or "test": {key of the record: what is reported of it}}}, each video once.
    """

    points: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, dict[str, float]] = field(default_factory=lambda: {"epoch": {}, "point": {}})

    faults: dict[str, dict[str, dict[str, dict[str, Any]]]] = field(default_factory=dict)

    def note(self, data: str, skipped: Iterable[BadVideo], ended_early: Iterable[EndedEarly]) -> None:
        """Keep what readers report of the videos of `data`, "train" or "test"."""
        for what, reported in (("skipped", skipped), ("ended_early", ended_early)):
            known = self.faults.setdefault(what, {}).setdefault(data, {})
            for fault in reported:
                known.setdefault(fault.key, vars(fault))

    def skipped(self, data: str) -> list[BadVideo]:
        """Videos of `data` that were left out."""
        return [BadVideo(**entry) for entry in self.faults.get("skipped", {}).get(data, {}).values()]

    def ended_early(self, data: str) -> list[EndedEarly]:
        """Videos of `data` whose reading stopped before their end."""
        return [EndedEarly(**entry) for entry in self.faults.get("ended_early", {}).get(data, {}).values()]

    def fault_lines(self) -> list[str]:
        """A line for each kind of fault of the training and of the test videos."""
        lines = []
        for data, consequence in (("train", "trained on the frames before"), ("test", "scored from the frames before")):
            skipped, ended = self.skipped(data), self.ended_early(data)
            if skipped:
                lines.append(f"{data} data: {bounded(counted(len(skipped), 'video') + ' left out', skipped)}")
            if ended:
                lines.append(f"{data} data: {closing_line(ended, consequence)}")
        return lines

    def add(self, step: Step, seconds: float) -> None:
        for sums in self.sums.values():
            values = {"iterations": 1, "loss": step.loss, "accuracy": step.accuracy or 0.0, "seconds": seconds}
            values["clips"] = step.samples
            values.update({f"{part}_seconds": spent for part, spent in step.seconds.items()})
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value

    def take(self, which: str, step: Step, epoch: int) -> dict[str, Any]:
        """The means of what was added since the last call, as an entry of `points` or `epochs`."""
        sums, self.sums[which] = self.sums[which], {}
        iterations = sums["iterations"]
        return {
            "epoch": epoch,
            "iteration": step.iteration,
            "learning_rate": step.learning_rate,
            "loss": sums["loss"] / iterations,
            "accuracy": None if step.accuracy is None else sums["accuracy"] / iterations,
            "clips_per_second": sums["clips"] / max(sums["seconds"], 1e-9),
            "seconds": {name[: -len("_seconds")]: value for name, value in sums.items() if name.endswith("_seconds")},
        }

    def entries(self) -> list[dict[str, Any]]:
        """Points, and the evaluations among them, in the order they happened: what a page of curves takes."""
        tested = [
            {"epoch": entry["epoch"], "iteration": entry["iteration"], **entry["figures"]}
            for entry in self.epochs
            if "iteration" in entry and "figures" in entry
        ]
        return sorted([*self.points, *tested], key=lambda entry: int(entry["iteration"]))

    def best(self) -> Optional[dict[str, Any]]:
        """The epoch whose evaluation was best so far, the first one of equals."""
        watched = [entry for entry in self.epochs if watched_figure(entry) is not None]
        return max(watched, key=lambda entry: (watched_figure(entry), -entry["epoch"]), default=None)


def watched_figure(entry: Mapping[str, Any]) -> Optional[float]:
    """The figure of an epoch's evaluation that decides which epoch is best."""
    return next((entry["figures"][name] for name in WATCHED if name in entry.get("figures", {})), None)


def figures_text(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


def epoch_line(entry: Mapping[str, Any], epochs: int) -> str:
    """One line about an epoch: how training went and what the evaluation gave."""
    parts = [f"epoch {entry['epoch']}/{epochs}"]
    if "loss" in entry:
        parts.append(f"loss {entry['loss']:.4f}")
        if entry["accuracy"] is not None:
            parts.append(f"accuracy {entry['accuracy']:.4f}")
        parts.append(f"rate {entry['learning_rate']:.6g}")
    if "figures" in entry:
        parts.append(f"test {figures_text(entry['figures'])} ({entry['test_videos']} videos)")
    for name, text in (("skipped", "left out"), ("ended_early", "ended early")):
        if entry.get(name):
            parts.append(f"{counted(entry[name], 'training video')} {text} so far")
    return ", ".join(parts)
