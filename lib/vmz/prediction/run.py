"""Predict the classes of many videos with one model, on either engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Optional

import numpy as np

from vmz.datasets.named_videos import find_videos
from vmz.errors import UsageError, VideoError, VmzError
from vmz.file_formats.class_names import read_label_names
from vmz.model.engine_model import EngineModel
from vmz.model.loading import parts_of, source_of
from vmz.model.prediction import MOST_CLIPS_AT_A_TIME, prediction_of
from vmz.prediction.annotated import Heat, annotate, annotated_path, check_annotation
from vmz.prediction.config import PredictionConfig, ScoringConfig
from vmz.prediction.pictures import Attention, Picture, Shown, pictures_of
from vmz.progress import Progress
from vmz.report.prediction import MOST_VIDEOS
from vmz.results.prediction import Prediction
from vmz.settings.engine import environment
from vmz.text import printable
from vmz.video.arguments import VideoInputArgs
from vmz.video.clips import ClipError, MissingSoundError
from vmz.video.faults import SOUND_REMEDY, DecodingError
from vmz.video.frames.watch import DecodingThreads, Watch
from vmz.video.untrimmed import WindowReader
from vmz.video.views import Views, read_views


@dataclass(frozen=True)
class Skipped:
    """A video without a prediction, and why."""

    video: str
    reason: str


@dataclass(frozen=True)
class Predictions:
    """What a run found: a prediction for each video but those that were skipped, in the order of the videos.

    model: what scored them, in words. pictures: {video: of its clips}, where a page is asked for. sources: where the
    settings come from. seconds: loading and running.
    """

    videos: tuple[Prediction, ...]
    skipped: tuple[Skipped, ...]
    config: PredictionConfig
    model: str
    labels: Optional[tuple[str, ...]]
    seconds: Mapping[str, float]
    environment: Mapping[str, str]
    pictures: Mapping[str, tuple[Picture, ...]]

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
    """Score every video that `config` names, and write --annotate's copies of them.

    Raises UsageError for a wrong request, VmzError for weights that do not fit, and for a video that cannot be scored,
    unless on_bad_video=skip (or, for want of sound, on_missing_audio=skip).
    """
    started = time.perf_counter()
    config.check_attention()
    if config.annotate:
        check_annotation(config.annotate)
    paths = find_videos(config.videos or (), "VIDEO", one_of_a_name=bool(config.annotate))
    with opened(config) as (model, attention):
        loaded = time.perf_counter()
        videos: list[Prediction] = []
        skipped: list[Skipped] = []
        pictures: dict[str, tuple[Picture, ...]] = {}
        with Progress(len(paths), "videos", "predict") as shown:
            for path in paths:
                try:
                    target = annotated_path(config.annotate, path) if config.annotate else None
                    shows = bool(config.report) and len(videos) < MOST_VIDEOS
                    prediction, seen = predict_one(model, attention, config, path, pictures=shows, annotated=target)
                except UsageError:
                    raise
                except VmzError as error:
                    remedy = _remedy(config, error)
                    if remedy:
                        raise VmzError(f"{error}; {remedy}") from error
                    skipped.append(Skipped(printable(path), str(error).partition(": ")[2] or str(error)))
                else:
                    videos.append(prediction)
                    pictures[prediction.video] = seen
                shown.update(note=os.path.basename(path))
        return Predictions(
            videos=tuple(videos),
            skipped=tuple(skipped),
            config=config,
            model=model.description,
            labels=model.labels,
            seconds={"load": loaded - started, "run": time.perf_counter() - loaded},
            environment=environment(config),
            pictures=pictures,
        )


def _remedy(config: PredictionConfig, error: VmzError) -> str:
    """What to do about a video that cannot be scored, where that ends the run; "" where it is left out."""
    if isinstance(error.__cause__, MissingSoundError):
        return SOUND_REMEDY if config.on_missing_audio == "stop" else ""
    return "leave such videos out with --on_bad_video=skip" if config.on_bad_video == "stop" else ""


@contextmanager
def opened(config: ScoringConfig) -> Iterator[tuple[EngineModel, Optional[Attention]]]:
    """The model on its engine. Raises UsageError where neither a published model nor a file of weights is named."""
    if config.hears and config.stride_seconds is not None:
        raise UsageError(
            f"--stride_seconds={config.stride_seconds} does not go with --input_type={config.input_type}: sound is "
            "laid out along the clips of --views; leave --stride_seconds out"
        )
    network, weights, names = parts_of(config, random=bool(config.random_weights))
    if config.label_names:
        names = read_label_names(config.label_names, config.num_labels)
    attention = None
    if config.attention:
        attention = Attention.of(network, weights, config, config.attention_blob)
    with EngineModel(network, weights, config, names, source_of(config)) as model:
        yield model, attention


def predict_one(
    model: EngineModel,
    attention: Optional[Attention],
    config: ScoringConfig,
    path: str,
    *,
    pictures: bool = False,
    annotated: Optional[str] = None,
    watch: Optional[Watch] = None,
) -> tuple[Prediction, tuple[Picture, ...]]:
    """Score the video `path`, and make pictures of some of its clips where they are asked for.

    annotated: the copy of --annotate to write. watch: of whoever waits; when it is over, so is the prediction. Raises
    VideoError, naming the video, for one that cannot be read or takes too long, and VmzError for scores that are not
    finite.
    """
    started = time.perf_counter()
    watch = watch or Watch(config.video_timeout)
    keep = _Kept(pictures and config.shows_pictures)
    maps = _Maps(attention if annotated else None)
    net = 0.0
    rows: list[np.ndarray] = []
    spans: list[tuple[float, float]] = []
    views: Optional[Views] = None
    for views in _read_apart(_views(model, config, path, watch), path, watch):
        begun = time.perf_counter()
        rows.append(np.concatenate([*_scored(model, views, path, watch)]))
        net += time.perf_counter() - begun
        spans.extend(views.spans or ())
        keep.add(views)
        maps.add(views, rows[-1])
    assert views is not None
    whole = replace(views, clips=np.empty(0, np.float32), logmels=None, spans=tuple(spans) or None)
    seconds = {"read": time.perf_counter() - started - net, "net": net}
    prediction = prediction_of(model, printable(path), np.concatenate(rows), whole, config.top_k, seconds)
    if annotated:
        annotate(path, prediction, annotated, model.labels, maps.heat(model.reader_arguments()))
    return prediction, pictures_of(keep.clips, attention, prediction.top[0].label)


def _scored(model: EngineModel, views: Views, path: str, watch: Watch) -> Iterator[np.ndarray]:
    for first in range(0, len(views.clips), MOST_CLIPS_AT_A_TIME):
        watch.advance()  # the time in the network is not the video's
        if watch.is_over():
            raise VideoError(f"{printable(path)}: {watch.reason}")
        yield model.score_views(views, slice(first, first + MOST_CLIPS_AT_A_TIME))


def _read_apart(views: Iterator[Views], path: str, watch: Watch) -> Iterator[Views]:
    """The same, read in a thread that is left behind where a video keeps it."""
    threads = DecodingThreads(1)
    try:
        while True:
            watch.advance()
            found: Optional[Views] = threads.result(threads.submit(next, views, None), watch)
            if found is None:
                return
            yield found
    except DecodingError as error:
        raise VideoError(f"{printable(path)}: {error}") from error
    finally:
        watch.is_abandoned = True  # after an error or a signal: what is still read is of no use
        threads.close()


class _Kept:
    """The clips that a page shows: some of a video, evenly spread, with where they lie."""

    MOST = 8

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._every, self._seen = 1, 0
        self.clips: list[Shown] = []

    def add(self, views: Views) -> None:
        for number, row in enumerate(views.middle_rows if self._wanted else ()):
            if self._seen % self._every == 0:
                span = views.spans[number] if views.spans else None
                heard = None if views.logmels is None else views.logmels[row].copy()
                self.clips.append(Shown(span, views.clips[row].copy(), heard))
            self._seen += 1
            if len(self.clips) > self.MOST:  # how many there will be is not known before the end
                self.clips, self._every = self.clips[::2], self._every * 2


class _Maps:
    """Where the network looked for the first class of each clip, for --annotate."""

    def __init__(self, attention: Optional[Attention]) -> None:
        self._attention = attention
        self._maps: list[np.ndarray] = []

    def add(self, views: Views, rows: np.ndarray) -> None:
        if self._attention is None:
            return
        scores = rows.reshape(-1, views.crops, rows.shape[1]).mean(1)
        for row, label in zip(views.middle_rows, scores.argmax(1)):
            heard = None if views.logmels is None else views.logmels[row][None]
            found = self._attention.places(views.clips[row][None], heard, label=int(label))
            places = found[0, :, :: Heat.SHRINK, :: Heat.SHRINK]
            self._maps.append((255 * places).astype(np.uint8))

    def heat(self, arguments: VideoInputArgs) -> Optional[Heat]:
        return None if self._attention is None else Heat(self._maps, arguments)


def _views(model: EngineModel, config: ScoringConfig, path: str, watch: Watch) -> Iterator[Views]:
    """What the network looks at, in parts that memory holds."""
    arguments = model.reader_arguments()
    if config.stride_seconds is None:
        yield read_views(path, arguments, config.views, watch=watch)
        return
    stride = Fraction(str(config.stride_seconds)).limit_denominator(1_000_000)
    reader = WindowReader(path, replace(arguments, batch_size=1, clip_per_video=1, decode_type=0), stride, watch)
    waiting: list[np.ndarray] = []
    spans: list[tuple[float, float]] = []
    try:
        for window in reader:
            waiting.append(window.clip)
            spans.append((window.start_seconds, window.end_seconds))
            if len(waiting) * config.crop_per_clip >= MOST_CLIPS_AT_A_TIME:
                yield Views(np.concatenate(waiting), tuple(spans), config.crop_per_clip)
                waiting, spans = [], []
        if waiting:
            yield Views(np.concatenate(waiting), tuple(spans), config.crop_per_clip, reader.ended_by)
    except ClipError as error:
        raise VideoError(f"{printable(path)}: {error}") from error
