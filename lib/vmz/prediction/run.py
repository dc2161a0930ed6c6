"""Predict the classes of many videos with one model, on either engine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Optional

import numpy as np

from vmz.checkpoints.loading import load
from vmz.datasets.class_names import read_label_names
from vmz.datasets.named_videos import find_videos
from vmz.errors import UsageError, VmzError
from vmz.model.engine_model import EngineModel
from vmz.model.loading import class_names
from vmz.model.prediction import MOST_CLIPS_AT_A_TIME, Prediction, prediction_of
from vmz.model.views import Views
from vmz.models.registry import build
from vmz.prediction.config import PredictionConfig
from vmz.progress import Progress
from vmz.settings.engine import environment
from vmz.settings.network import model_config
from vmz.text import printable
from vmz.video.clips import ClipError
from vmz.video.untrimmed import WindowReader


@dataclass(frozen=True)
class Skipped:
    """A video without a prediction, and why."""

    video: str
    reason: str


@dataclass(frozen=True)
class Predictions:
    """What a run found: a prediction for each video but those that were skipped, in the order of the videos.

    model: what scored them, in words. sources: where the settings come from. seconds: loading and running.
    """

    videos: tuple[Prediction, ...]
    skipped: tuple[Skipped, ...]
    config: PredictionConfig
    model: str
    labels: Optional[tuple[str, ...]]
    seconds: Mapping[str, float]
    environment: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """As --output has it."""
        return {
            "videos": [prediction.to_json() for prediction in self.videos],
            "skipped": [vars(one) for one in self.skipped],
            "model": self.model,
            "label_names": None if self.labels is None else list(self.labels),
            "seconds": dict(self.seconds),
            "settings": self.config.sources(),
            "options": self.config.flags(),
            "environment": dict(self.environment),
        }

    def rows(self) -> list[dict[str, Any]]:
        """As --csv has it: a row for each video and class of the top K."""
        return [
            {"video": prediction.video, "rank": rank, "label": one.label, "class": one.name or "", "score": one.score}
            for prediction in self.videos
            for rank, one in enumerate(prediction.top, 1)
        ]


def predict(config: PredictionConfig) -> Predictions:
    """Score every video that `config` names.

    Raises UsageError for a wrong request, VmzError for weights that do not fit, and for a video that cannot be scored,
    unless on_bad_video=skip.
    """
    started = time.perf_counter()
    paths = find_videos(config.videos or (), "VIDEO", one_of_a_name=bool(config.annotate))
    with open_model(config) as model:
        loaded = time.perf_counter()
        videos: list[Prediction] = []
        skipped: list[Skipped] = []
        with Progress(len(paths), "videos", "predict") as shown:
            for path in paths:
                try:
                    videos.append(_predict_one(model, config, path))
                except VmzError as error:
                    if isinstance(error, UsageError):
                        raise
                    if config.on_bad_video == "stop":
                        raise VmzError(f"{error}; leave such videos out with --on_bad_video=skip") from error
                    skipped.append(Skipped(printable(path), str(error).partition(": ")[2] or str(error)))
                shown.update(note=os.path.basename(path))
        seconds = {"load": loaded - started, "run": time.perf_counter() - loaded}
        return Predictions(
            tuple(videos), tuple(skipped), config, model.description, model.labels, seconds, environment(config)
        )


def open_model(config: PredictionConfig) -> EngineModel:
    """The model on its engine. Raises UsageError where neither a published model nor a file of weights is named."""
    network = model_config(config, batch_size=-1)
    names = read_label_names(config.label_names, config.num_labels) if config.label_names else class_names(config)
    weights = None
    if config.load_model_path:
        wanted = build(network, is_test=True, scope="")
        weights, _ = load(config.load_model_path, config.db_type).fit(
            wanted,
            center_init=bool(config.center_init),
            bgr2rgb=bool(config.bgr2rgb),
            allow_partial=bool(config.allow_partial_load),
        )
    elif not config.random_weights:
        raise UsageError("no weights are given; name a published model with --zoo, or a file with --load_model_path")
    source = os.path.basename(config.load_model_path) if config.load_model_path else "random weights"
    return EngineModel(network, weights, config, names, source)


def _predict_one(model: EngineModel, config: PredictionConfig, path: str) -> Prediction:
    if config.stride_seconds is None:
        return model.predict(path, config.top_k, config.views)
    started = time.perf_counter()
    reader = WindowReader(
        path,
        replace(model.reader_arguments(), clip_per_video=1, decode_type=0),
        Fraction(str(config.stride_seconds)).limit_denominator(1_000_000),
    )
    rows: list[np.ndarray] = []
    spans: list[tuple[float, float]] = []
    waiting: list[np.ndarray] = []
    net = 0.0

    def score() -> float:
        begun = time.perf_counter()
        if waiting:
            rows.append(model.score(np.concatenate(waiting)))
            waiting.clear()
        return time.perf_counter() - begun

    try:
        for window in reader:
            waiting.append(window.clip)
            spans.append((window.start_seconds, window.end_seconds))
            if len(waiting) * config.crop_per_clip >= MOST_CLIPS_AT_A_TIME:
                net += score()
    except ClipError as error:
        raise VmzError(f"{printable(path)}: {error}") from error
    net += score()
    empty = np.empty((0,), np.float32)  # the clips are scored already
    views = Views(empty, tuple(spans), config.crop_per_clip, reader.ended_by)
    seconds = {"read": time.perf_counter() - started - net, "net": net}
    return prediction_of(model, printable(path), np.concatenate(rows), views, config.top_k, seconds)
