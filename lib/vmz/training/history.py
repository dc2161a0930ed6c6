"""What a training run has to tell: means over iterations and epochs, figures of evaluations, which epoch is best.

Every mean that the log, the page, the JSON and TensorBoard show of training is made here, in `History`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from vmz.engines.trainer import Step
from vmz.errors import VmzError
from vmz.metrics import watched
from vmz.text import quoted
from vmz.video.faults import BadVideo, EndedEarly, bounded, closing_line, counted


@dataclass
class History:
    """What a run has to tell, all of it JSON. It is saved in every checkpoint.

    points: means over display_iter iterations, or the fewer that are left of an epoch. epochs: means over an epoch, and
    the figures of its evaluation. sums: of the iterations of the epoch under way, and of the point under way. A mean is
    one over clips, and each entry says of how many, so that the points of an epoch give its own. faults: {"skipped" or
    "ended_early": {"train" or "test": {key of the record: what is reported of it}}}, each video once.
    """

    points: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, dict[str, float]] = field(default_factory=lambda: {"epoch": {}, "point": {}})

    faults: dict[str, dict[str, dict[str, dict[str, Any]]]] = field(default_factory=dict)

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> History:
        """The history of a checkpoint. In one of before, sums were of iterations, which all had as many clips."""
        try:
            history = cls(**saved)
            for sums in history.sums.values():
                if "accuracy" in sums:
                    clips = sums["clips"] / sums["iterations"]
                    sums.update(losses=clips * sums.pop("loss"), right=clips * sums.pop("accuracy"))
            history.fault_lines()
        except (TypeError, KeyError, ZeroDivisionError) as error:
            raise VmzError(f"the checkpoint's history of its run is damaged ({quoted(str(error))})") from error
        return history

    def note(self, data: str, skipped: Iterable[BadVideo], ended_early: Iterable[EndedEarly]) -> None:
        """Keep what readers report of the videos of `data`, "train" or "test"."""
        for what, reported in (("skipped", skipped), ("ended_early", ended_early)):
            known = self.faults.setdefault(what, {}).setdefault(data, {})
            for fault in reported:
                known.setdefault(fault.key, vars(fault))

    def tested(self) -> dict[str, Any]:
        """What was noted of the test videos, for the file of weights: an evaluation ends after its checkpoint."""
        return {what: known["test"] for what, known in self.faults.items() if "test" in known}

    def take_over_tested(self, saved: Mapping[str, Any]) -> None:
        """What an earlier run's `tested` gave. Raises VmzError where it is something else."""
        try:
            for what, known in saved.items():
                self.faults.setdefault(what, {}).setdefault("test", {}).update(known)
            self.fault_lines()
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise VmzError(f"the account of the tested videos is damaged ({quoted(str(error))})") from error

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
        values = {"iterations": 1, "clips": step.samples, "seconds": seconds}
        values.update(losses=step.samples * step.loss, right=step.samples * (step.accuracy or 0.0))
        values.update({f"{part}_seconds": spent for part, spent in step.seconds.items()})
        for sums in self.sums.values():
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value

    def means(self, which: str, step: Step) -> dict[str, Any]:
        """loss, accuracy (None where there is none) and clips_per_second of the epoch or the point under way."""
        sums = self.sums[which]
        return {
            "loss": sums["losses"] / sums["clips"],
            "accuracy": None if step.accuracy is None else sums["right"] / sums["clips"],
            "clips_per_second": sums["clips"] / max(sums["seconds"], 1e-9),
        }

    def take(self, which: str, step: Step, epoch: int) -> dict[str, Any]:
        """What was added since the last call, as an entry of `points` or `epochs`."""
        means, sums = self.means(which, step), self.sums[which]
        self.sums[which] = {}
        return {
            "epoch": epoch,
            "iteration": step.iteration,
            "learning_rate": step.learning_rate,
            **means,
            "iterations": sums["iterations"],
            "clips": sums["clips"],
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
        """The epoch whose evaluation was best so far; of equals that of the lower training loss, then the first one."""
        tested = self._tested()
        return max(tested, key=lambda entry: (_rank(entry), _rank_of_loss(entry), -entry["epoch"]), default=None)

    def last_rise(self) -> Optional[int]:
        """The epoch whose evaluation was the last to be better than all before it; the training loss has no say."""
        first = max(self._tested(), key=lambda entry: (_rank(entry), -entry["epoch"]), default=None)
        return None if first is None else int(first["epoch"])

    def _tested(self) -> list[dict[str, Any]]:
        return [entry for entry in self.epochs if watched(entry.get("figures", {}))]


def _rank(entry: Mapping[str, Any]) -> list[float]:
    """The figures of an epoch's evaluation that decide which epoch is best; one that is not a number is the worst."""
    values = [entry["figures"][name] for name in watched(entry["figures"])]
    return [-math.inf if value is None or math.isnan(value) else value for value in values]


def _rank_of_loss(entry: Mapping[str, Any]) -> float:
    return -float(entry.get("loss", math.inf))


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
