"""What a training run keeps of itself: means over iterations and epochs, figures of evaluations, faults of videos.

Every mean that the log, the page, the JSON and TensorBoard show of training is made here, in `History`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from vmz.engines.trainer import Step
from vmz.errors import VmzError
from vmz.results.training import Epoch, Point, VideoFaults, best_epoch, fault_lines, rank, ranked
from vmz.text import quoted
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound


@dataclass
class History:
    """What a run has to tell. It is saved in every checkpoint.

    points, epochs: in the order they happened. sums: of the iterations of the epoch under way, and of the point under
    way. A mean is one over clips, and each record says of how many, so that the points of an epoch give its own.
    faults: {"skipped", "ended_early" or "without_sound": {"train" or "test": {key of the record: what is reported of
    it}}}, each video once.
    """

    points: list[Point] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    sums: dict[str, dict[str, float]] = field(default_factory=lambda: {"epoch": {}, "point": {}})

    faults: dict[str, dict[str, dict[str, dict[str, Any]]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return {
            "points": [point.to_json() for point in self.points],
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "sums": self.sums,
            "faults": self.faults,
        }

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> History:
        """The history of a checkpoint. In one of before, sums were of iterations, which all had as many clips."""
        try:
            history = cls(**saved)
            history.points = [Point.from_json(entry) for entry in history.points]
            history.epochs = [Epoch.from_json(entry) for entry in history.epochs]
            for sums in history.sums.values():
                if "accuracy" in sums:
                    clips = sums["clips"] / sums["iterations"]
                    sums.update(losses=clips * sums.pop("loss"), right=clips * sums.pop("accuracy"))
            history.fault_lines()
        except (TypeError, KeyError, ValueError, ZeroDivisionError) as error:
            raise VmzError(f"the checkpoint's history of its run is damaged ({quoted(str(error))})") from error
        return history

    def note(
        self,
        data: str,
        skipped: Iterable[BadVideo],
        ended_early: Iterable[EndedEarly],
        without_sound: Iterable[WithoutSound] = (),
    ) -> None:
        """Keep what readers report of the videos of `data`, "train" or "test"."""
        for what, reported in (("skipped", skipped), ("ended_early", ended_early), ("without_sound", without_sound)):
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

    def take_over_evaluation(self, about: Mapping[str, Any]) -> None:
        """What a file of weights says of the last epoch's evaluation. Raises VmzError where it is damaged."""
        try:
            self.epochs[-1] = Epoch.from_json({**self.epochs[-1].to_json(), **(about.get("metrics") or {})})
        except ValueError as error:
            raise VmzError(f"the account of an epoch is damaged ({quoted(str(error))})") from error
        self.take_over_tested(about.get("tested", {}))

    def faults_of(self, data: str) -> VideoFaults:
        """What was noted of the videos of `data`, "train" or "test"."""
        skipped = self.faults.get("skipped", {}).get(data, {}).values()
        ended_early = self.faults.get("ended_early", {}).get(data, {}).values()
        without_sound = self.faults.get("without_sound", {}).get(data, {}).values()
        return VideoFaults(
            [BadVideo(**entry) for entry in skipped],
            [EndedEarly(**entry) for entry in ended_early],
            [WithoutSound(**entry) for entry in without_sound],
        )

    def fault_lines(self) -> list[str]:
        """A line for each kind of fault of the training and of the test videos."""
        return fault_lines(self.faults_of("train"), self.faults_of("test"))

    def add(self, step: Step, seconds: float) -> None:
        """Count an iteration, which took so many seconds, to the epoch and the point under way."""
        values = {"iterations": 1, "clips": step.samples, "seconds": seconds}
        values.update(losses=step.samples * step.loss, right=step.samples * (step.accuracy or 0.0))
        for head, (loss, accuracy) in step.heads.items():
            values.update({f"{head}_losses": step.samples * loss, f"{head}_right": step.samples * (accuracy or 0.0)})
        values.update({f"{part}_seconds": spent for part, spent in step.seconds.items()})
        for sums in self.sums.values():
            for name, value in values.items():
                sums[name] = sums.get(name, 0) + value

    def means(self, which: str, step: Step) -> dict[str, Any]:
        """loss, accuracy (None where there is none) and clips_per_second of the epoch or the point under way; with
        several heads also the first two of each."""
        sums = self.sums[which]
        heads = {
            head: {
                "loss": sums[f"{head}_losses"] / sums["clips"],
                "accuracy": None if step.accuracy is None else sums[f"{head}_right"] / sums["clips"],
            }
            for head in step.heads
        }
        return {
            **({"heads": heads} if heads else {}),
            "loss": sums["losses"] / sums["clips"],
            "accuracy": None if step.accuracy is None else sums["right"] / sums["clips"],
            "clips_per_second": sums["clips"] / max(sums["seconds"], 1e-9),
        }

    def take_point(self, step: Step, epoch: int) -> Point:
        """What was added since the last call, kept as a point."""
        self.points.append(Point(**self._taken("point", step, epoch)))
        return self.points[-1]

    def take_epoch(self, step: Step, epoch: int) -> Epoch:
        """What was added since the last call, kept as an epoch, with the number of faulty training videos so far."""
        faults = self.faults_of("train")
        taken = self._taken("epoch", step, epoch)
        silent = len(faults.without_sound) or None  # said only where there are such
        skipped, ended_early = len(faults.skipped), len(faults.ended_early)
        self.epochs.append(Epoch(**taken, skipped=skipped, ended_early=ended_early, without_sound=silent))
        return self.epochs[-1]

    def _taken(self, which: str, step: Step, epoch: int) -> dict[str, Any]:
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

    def best(self) -> Optional[Epoch]:
        """The epoch whose evaluation was best so far; of equals that of the lower training loss, then the first one."""
        return best_epoch(self.epochs)

    def last_rise(self) -> Optional[int]:
        """The epoch whose evaluation was the last to be better than all before it; the training loss has no say."""
        first = max(ranked(self.epochs), key=lambda epoch: (rank(epoch), -epoch.epoch), default=None)
        return None if first is None else first.epoch
