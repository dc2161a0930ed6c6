"""The result of an evaluation, and that of scores kept of evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from vmz.checkpoints import matching
from vmz.intervals import Interval
from vmz.netdef.analysis import Totals
from vmz.results.data import DataReport, Publication
from vmz.results.figures import ClassFigure, class_lines, figures_line, intervals, named_lines
from vmz.results.scores import Scores
from vmz.settings.resolution import ProtocolSettings
from vmz.text import counted
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound, closing_line, silent_line

SCORED_FROM = "scored from the frames before"  # a video that ended early


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    figures: shares of 1 by name ("clip@1", "video@1", "video@5", or "mAUC", "mAP", ...). per_class: one entry for each
    class that some video has, by label. totals: what one clip costs. videos: those that were scored, each by
    clips_per_video clips and crops. skipped: records that gave no clips. ended_early: videos scored from the frames
    before their end. checkpoint: what became of its blobs, None without one. seconds: wall time of "load" and "run",
    and of the parts of the latter by name; "cpu": processor seconds of the run, of one process. scores: of each video,
    in database order; in a run of several processes the first one alone holds them. config: the settings of the run, an
    EvaluationConfig. environment: versions, engine and device. data: what was found out about the database, None where
    it was not looked at. published: what was published of the model, None of others. label_names: by label, where they
    are known. made_by: what kept scores depend on, where they are kept. database: the fingerprint of --test_data. loss:
    the mean over clips, as training has it. without_sound: videos whose log-mels are zeros.
    """

    figures: Mapping[str, float]
    per_class: Sequence[ClassFigure]
    totals: Totals
    videos: int
    clips_per_video: int
    skipped: Sequence[BadVideo]
    ended_early: Sequence[EndedEarly]
    checkpoint: Optional[matching.Report]
    seconds: Mapping[str, float]
    scores: Scores
    config: ProtocolSettings
    environment: Mapping[str, str]
    data: Optional[DataReport] = None
    published: Optional[Publication] = None
    label_names: Optional[Sequence[str]] = None
    made_by: Optional[Mapping[str, Any]] = None
    database: str = ""
    loss: Optional[float] = None
    without_sound: Sequence[WithoutSound] = ()

    @property
    def intervals(self) -> dict[str, Interval]:
        """95 % intervals of the accuracies by the names of the figures."""
        return intervals(self.figures, self.scores)

    def lines(self) -> list[str]:
        """What test_net prints: class by class when asked for, what was left out, how well each accuracy is known, then
        the two lines that the original ends with."""
        options, cost = self.config.flags(), self.totals
        lines = [] if self.checkpoint is None else [f"{options['load_model_path']}: {self.checkpoint.summary()}"]
        if options["print_per_class_metrics"]:
            lines += class_lines(self.per_class, self.label_names)
        spent = f"{self.seconds['run']:.1f} s on {self.environment['engine']}, {self.environment['device']}"
        work = self._work()
        lines.append(f"{counted(self.videos, 'video')}, {counted(self.clips_per_video, 'clip')} each, {spent}{work}")
        if self.skipped:
            lines += [f"{counted(len(self.skipped), 'video')} left out:", *(f"  {bad}" for bad in self.skipped)]
        if self.ended_early:
            lines.append(closing_line(self.ended_early, SCORED_FROM, "--output lists them all"))
        if self.without_sound:
            lines.append(silent_line(self.without_sound, "--output lists them all"))
        lines += named_lines(self.figures, self.scores, options["aggregation"])
        lines.append(figures_line(self.figures))
        lines.append(f"FLOPs: {cost.gmacs}, params: {cost.params_m}, inters: {cost.interactions_g}")
        return lines

    def _work(self) -> str:
        """What the run waited for, and how busy the cores were, where one process did it all."""
        seconds, cores = self.seconds, int(self.environment.get("cores", 0))
        if not {"cpu", "read"} <= set(seconds) or not cores or seconds["run"] <= 0:
            return ""
        threads = counted(self.config.flags()["num_decode_threads"], "decoding thread")
        return (
            f"; {seconds['read'] / seconds['run']:.1%} of it waiting for clips ({threads}), the CPU "
            f"{min(1.0, seconds['cpu'] / seconds['run'] / cores):.0%} busy ({counted(cores, 'core')})"
        )

    def to_json(self) -> dict[str, Any]:
        """All but the scores, as test_net's --output holds it."""
        return {
            "figures": dict(self.figures),
            "loss": self.loss,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "videos": self.videos,
            "clips_per_video": self.clips_per_video,
            "skipped": [vars(bad) for bad in self.skipped],
            "ended_early": [vars(video) for video in self.ended_early],
            "without_sound": [vars(video) for video in self.without_sound],
            "per_class": [vars(entry) for entry in self.per_class],
            "gmacs_per_clip": self.totals.gmacs,
            "params_m": self.totals.params_m,
            "interactions_g": self.totals.interactions_g,
            "checkpoint": None if self.checkpoint is None else _of_checkpoint(self.checkpoint),
            "published": None if self.published is None else self.published.to_json(),
            "settings": self.config.sources(),
            "label_names": None if self.label_names is None else list(self.label_names),
            "data": None if self.data is None else self.data.to_json(),
            "seconds": dict(self.seconds),
            "options": self.config.flags(),
            "environment": dict(self.environment),
        }


def _of_checkpoint(report: matching.Report) -> dict[str, Any]:
    return {
        "copied": len(report.copied),
        "adapted": dict(report.adapted),
        "missing": list(report.missing),
        "unused": list(report.unused),
        "mismatched": list(report.mismatched),
    }


@dataclass(frozen=True)
class Aggregate:
    """The result of scores kept of earlier runs: figures as an Evaluation has them, and the scores that they are of.

    aggregation: 0 where a video's score is the mean of its clips', 1 where it is the maximum. top_k: of the last
    accuracy. files: those that were read.
    """

    figures: Mapping[str, float]
    per_class: Sequence[ClassFigure]
    scores: Scores
    clips_per_video: int
    classes: int
    aggregation: int
    top_k: int
    files: Sequence[str]
    label_names: Optional[Sequence[str]] = None

    @property
    def intervals(self) -> dict[str, Interval]:
        """95 % intervals of the accuracies by the names of the figures."""
        return intervals(self.figures, self.scores)

    def lines(self, each_class: bool = False) -> list[str]:
        """What aggregate_scores prints. each_class: a line for each class too."""
        files = f"{len(self.files)} {'file' if len(self.files) == 1 else 'files'}"
        return [
            *(class_lines(self.per_class, self.label_names) if each_class else []),
            f"{counted(len(self.scores.keys), 'video')}, {counted(self.clips_per_video, 'clip')} each, from {files}",
            *named_lines(self.figures, self.scores, self.aggregation),
            figures_line(self.figures),
        ]

    def to_json(self) -> dict[str, Any]:
        """All but the scores, under the names of test_net's --output."""
        return {
            "figures": dict(self.figures),
            "intervals": {name: list(found) for name, found in self.intervals.items()},
            "videos": len(self.scores.keys),
            "clips_per_video": self.clips_per_video,
            "per_class": [vars(entry) for entry in self.per_class],
            "options": {"aggregation": self.aggregation, "top_k": self.top_k},
            "files": list(self.files),
        }
