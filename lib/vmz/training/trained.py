"""The result of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmz.metrics import watched
from vmz.training.config import TrainConfig
from vmz.training.history import History, epoch_line, figures_text
from vmz.training.plan import Plan


@dataclass(frozen=True)
class Trained:
    """The result of a run. is_first: this process speaks for all. not_written: a sentence for each output it lacks."""

    history: History
    plan: Plan
    files: list[Path]
    stopped_early: bool
    config: TrainConfig
    environment: Mapping[str, str]
    is_first: bool = True
    not_written: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "epochs": self.history.epochs,
            "points": self.history.points,
            "best": self.history.best(),
            "stopped_early": self.stopped_early,
            "skipped": [vars(bad) for bad in self.history.skipped("train")],
            "ended_early": [vars(video) for video in self.history.ended_early("train")],
            "test": {
                "skipped": [vars(bad) for bad in self.history.skipped("test")],
                "ended_early": [vars(video) for video in self.history.ended_early("test")],
            },
            "files": [str(path) for path in self.files],
            "not_written": list(self.not_written),
            "settings": self.config.sources(),
            "options": self.config.flags(),
            "environment": dict(self.environment),
        }

    def text(self) -> str:
        lines = [f"trained on {self.environment['engine']}, device {self.environment['device']}"]
        lines += [] if not self.history.epochs else [epoch_line(self.history.epochs[-1], self.plan.epochs)]
        best = self.history.best()
        if best is not None:
            lines.append(f"best: epoch {best['epoch']}, {figures_text(best['figures'])}")
        if self.stopped_early:
            names = " and ".join(watched(best["figures"]) if best else ())
            lines.append(f"stopped early: {self.config.early_stop} epochs without improvement of {names}")
        lines.extend(self.history.fault_lines())
        return "\n".join([*lines, *(f"wrote {path}" for path in self.files)])
