"""The result of a training run: means over iterations and epochs, figures of evaluations, which epoch is the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Optional, TypeVar

from vmz.file_formats.json_files import Each, misfit
from vmz.metrics import watched
from vmz.results.evaluation import SCORED_FROM
from vmz.results.heads import HEADS_FORM, Heads, heads_text
from vmz.settings.resolution import ZooSettings
from vmz.text import counted, cut, printable
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound, bounded, closing_line, silent_line

TRAINED_ON = "trained on the frames before"  # a video that ended early
Self = TypeVar("Self", bound="Record")

_NUMBER = (float, None)
_FORM = {
    "epoch": int,
    "iteration?": int,
    "learning_rate?": _NUMBER,
    "loss?": _NUMBER,
    "accuracy?": _NUMBER,
    "clips_per_second?": _NUMBER,
    "iterations?": int,
    "clips?": int,
    "seconds?": Each(float),
    "heads?": HEADS_FORM,
}


@dataclass(frozen=True)
class Record:
    """Means over the iterations of a point or an epoch. None is what is not known.

    epoch: counted from 1. iteration: the last of these. learning_rate: as used in that. loss: the mean over the clips.
    accuracy: the share of them that were right at rank 1; None with several labels. clips_per_second: of all devices
    together. iterations, clips: how many the means are of; checkpoints of before do not say it. seconds: of this
    process, by what they went into ("read", "compute"). heads: with Gradient-Blending, loss and accuracy of each head;
    `loss` is then the weighted sum of their losses, and `accuracy` the joint one's.
    """

    FORM: ClassVar[Mapping[str, Any]] = _FORM

    epoch: int
    iteration: Optional[int] = None
    learning_rate: Optional[float] = None
    loss: Optional[float] = None
    accuracy: Optional[float] = None
    clips_per_second: Optional[float] = None
    iterations: Optional[int] = None
    clips: Optional[int] = None
    seconds: Optional[Mapping[str, float]] = None

    def to_json(self) -> dict[str, Any]:
        """What is known, by name. A training of several labels says that it has no accuracy."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value is not None or self._is_said(name)}

    def _is_said(self, name: str) -> bool:
        return name == "accuracy" and self.loss is not None

    @classmethod
    def from_json(cls: type[Self], entry: Any) -> Self:
        """What `to_json` gave. Raises ValueError for anything else."""
        wrong = misfit(entry, cls.FORM)
        if wrong:
            raise ValueError(wrong)
        unknown = next((name for name in entry if name not in {one.name for one in fields(cls)}), None)
        if unknown is not None:
            raise ValueError(f"{cut(printable(str(unknown)))!r} is not known of {cls.__name__.lower()}s")
        return cls(**entry)


@dataclass(frozen=True)
class Point(Record):
    """Means over display_iter iterations, or the fewer that are left of an epoch."""

    FORM: ClassVar[Mapping[str, Any]] = {**_FORM, "iteration": int}

    iteration: int = 0
    heads: Optional[Heads] = None


@dataclass(frozen=True)
class Epoch(Record):
    """Means over an epoch, and the figures of its evaluation.

    skipped, ended_early, without_sound: training videos so far that were left out, whose reading stopped before their
    end, or whose log-mels are zeros. figures:
    of the evaluation, by name, None where there was none; test_videos: how many they are of. test_loss: the mean over
    their clips; test_heads: that and the accuracy of each head, with Gradient-Blending. An epoch of which nothing
    but the number and the iteration is known was trained by the original.
    """

    FORM: ClassVar[Mapping[str, Any]] = {
        **_FORM,
        "skipped?": int,
        "ended_early?": int,
        "without_sound?": int,
        "figures?": Each(_NUMBER),
        "test_videos?": int,
        "test_loss?": _NUMBER,
        "test_heads?": HEADS_FORM,
    }

    skipped: Optional[int] = None
    ended_early: Optional[int] = None
    figures: Optional[Mapping[str, float]] = None
    test_videos: Optional[int] = None
    test_loss: Optional[float] = None
    without_sound: Optional[int] = None
    heads: Optional[Heads] = None
    test_heads: Optional[Heads] = None

    @classmethod
    def from_json(cls, entry: Any) -> Epoch:
        """What `to_json` gave; a figure that is null is not a number. Raises ValueError for anything else."""
        epoch = super().from_json(entry)
        figures = (
            None
            if epoch.figures is None
            else {name: math.nan if value is None else value for name, value in epoch.figures.items()}
        )
        return replace(epoch, figures=figures)

    def line(self, epochs: int) -> str:
        """One line: how the epoch's training went and what its evaluation gave. epochs: of the whole run."""
        parts = [f"epoch {self.epoch}/{epochs}"]
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4f}")
            if self.accuracy is not None:
                parts.append(f"accuracy {self.accuracy:.4f}")
        if self.heads:
            parts.append(heads_text(self.heads))
        if self.learning_rate is not None:
            parts.append(f"rate {self.learning_rate:.6g}")
        if self.figures is not None:
            loss = "" if self.test_loss is None else f"loss {self.test_loss:.4f}, "
            videos = "" if self.test_videos is None else f" ({counted(self.test_videos, 'video')})"
            parts.append(f"test {loss}{figures_text(self.figures)}{videos}")
        if self.test_heads:
            parts.append(f"test {heads_text(self.test_heads)}")
        said = ((self.skipped, "left out"), (self.ended_early, "ended early"), (self.without_sound, "without sound"))
        for number, text in said:
            if number:
                parts.append(f"{counted(number, 'training video')} {text} so far")
        return ", ".join(parts)


def figures_text(figures: Mapping[str, float]) -> str:
    """ "clip@1 0.2500, video@1 0.5000"."""
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


def ranked(epochs: Sequence[Epoch]) -> list[Epoch]:
    """Those with an evaluation that says which is better."""
    return [epoch for epoch in epochs if watched(epoch.figures or {})]


def best_epoch(epochs: Sequence[Epoch]) -> Optional[Epoch]:
    """The epoch whose evaluation was best; of equals that of the lower training loss, then the first one."""
    return max(ranked(epochs), key=lambda epoch: (rank(epoch), _rank_of_loss(epoch), -epoch.epoch), default=None)


def rank(epoch: Epoch) -> list[float]:
    """The figures of an evaluation that decide which epoch is best; one that is not a number is the worst."""
    figures = epoch.figures or {}
    values = [figures[name] for name in watched(figures)]
    return [-math.inf if math.isnan(value) else value for value in values]


def _rank_of_loss(epoch: Epoch) -> float:
    return -math.inf if epoch.loss is None else -epoch.loss


@dataclass(frozen=True)
class VideoFaults:
    """What was reported of single videos of a data set: those left out, those that ended early, those without sound."""

    skipped: Sequence[BadVideo] = ()
    ended_early: Sequence[EndedEarly] = ()
    without_sound: Sequence[WithoutSound] = ()

    def lines(self, data: str, consequence: str) -> list[str]:
        """A line for each kind. data: "train" or "test". consequence: of videos that ended early."""
        lines = []
        if self.skipped:
            left_out = f"{counted(len(self.skipped), 'video')} left out"
            lines.append(f"{data} data: {bounded(left_out, self.skipped)}")
        if self.ended_early:
            lines.append(f"{data} data: {closing_line(self.ended_early, consequence)}")
        if self.without_sound:
            lines.append(f"{data} data: {silent_line(self.without_sound)}")
        return lines

    def to_json(self) -> dict[str, Any]:
        return {
            "skipped": [vars(bad) for bad in self.skipped],
            "ended_early": [vars(video) for video in self.ended_early],
            "without_sound": [vars(video) for video in self.without_sound],
        }


def fault_lines(train: VideoFaults, test: VideoFaults) -> list[str]:
    """A line for each kind of fault of the training and of the test videos."""
    return [*train.lines("train", TRAINED_ON), *test.lines("test", SCORED_FROM)]


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training run, or what is known of it so far.

    points, epochs: in the order they happened, those of a run that this one goes on from included. planned_epochs: how
    many the whole run has. config: the settings of the run, a TrainConfig. environment: versions, engine and devices.
    train, test: what was reported of the videos. files: checkpoints and weights that this run wrote. stopped_early: by
    --early_stop. is_first: this process speaks for all. not_written: a sentence for each output that is not there in
    whole.
    """

    points: Sequence[Point]
    epochs: Sequence[Epoch]
    planned_epochs: int
    config: ZooSettings
    environment: Mapping[str, str]
    train: VideoFaults = field(default_factory=VideoFaults)
    test: VideoFaults = field(default_factory=VideoFaults)
    files: Sequence[Path] = ()
    stopped_early: bool = False
    is_first: bool = True
    not_written: Sequence[str] = ()

    @property
    def best(self) -> Optional[Epoch]:
        """The epoch whose weights were kept as the best, None where no epoch was evaluated."""
        return best_epoch(self.epochs)

    @property
    def tested(self) -> list[Epoch]:
        """The epochs that were evaluated, those of which the iteration is known."""
        return [epoch for epoch in self.epochs if epoch.iteration is not None and epoch.figures is not None]

    @property
    def has_curves(self) -> bool:
        """Whether there is anything for a page of curves to show."""
        return bool(self.points or self.tested)

    @property
    def remarks(self) -> list[str]:
        """What to know of the videos of the run."""
        return fault_lines(self.train, self.test)

    def lines(self) -> list[str]:
        """What train_net prints at the end, after the line of the last epoch."""
        lines = [f"trained on {self.environment['engine']}, device {self.environment['device']}"]
        best = self.best
        figures: Mapping[str, float] = {} if best is None or best.figures is None else best.figures
        if best is not None:
            lines.append(f"best: epoch {best.epoch}, {figures_text(figures)}")
        if self.stopped_early:
            patience, names = self.config.flags()["early_stop"], " and ".join(watched(figures))
            lines.append(f"stopped early: {counted(patience, 'epoch')} without improvement of {names}")
        return [*lines, *self.remarks, *(f"wrote {path}" for path in self.files)]

    def to_json(self) -> dict[str, Any]:
        """As train_net's --output holds it."""
        best = self.best
        return {
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "points": [point.to_json() for point in self.points],
            "best": None if best is None else best.to_json(),
            "stopped_early": self.stopped_early,
            **self.train.to_json(),
            "test": self.test.to_json(),
            "files": [str(path) for path in self.files],
            "not_written": list(self.not_written),
            "settings": self.config.sources(),
            "options": self.config.flags(),
            "environment": dict(self.environment),
        }
