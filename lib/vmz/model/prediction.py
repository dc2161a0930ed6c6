"""From one video to the scores of its classes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from vmz.datasets.transform import Transform
from vmz.errors import UsageError, VmzError
from vmz.model.saving import save_model
from vmz.models.config import ModelConfig
from vmz.results.prediction import ClassScore, ClipScores, Prediction
from vmz.settings.model import ModelSettings
from vmz.video.arguments import VideoInputArgs
from vmz.video.views import PUBLISHED, HowMany, Video, Views, named, read_views

MOST_CLIPS_AT_A_TIME = 8  # in memory; no score depends on it


class Predictor(ABC):
    """What scores clips, and knows how they are drawn from a video."""

    config: ModelConfig
    settings: Optional[ModelSettings]
    labels: Optional[tuple[str, ...]]
    source: str
    features_only: bool

    @abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """{blob: float32 array} of all parameters and running statistics."""

    def save(self, path: Union[str, Path]) -> None:
        """Write the model: network, weights, class names and how clips are drawn, whole or not at all.

        path: a file, .pkl, .mdl, .safetensors or .pth, or a folder in the Hugging Face manner (config.json,
        model.safetensors, labels.json, preprocessor_config.json and a card, README.md). Of whatever form,
        `vmz.load_model(path)` and every tool's --load_model_path give the same model back. Raises UsageError for
        another extension, for a folder with other things in it, and for what needs the package safetensors without it.
        """
        save_model(self, path)

    @abstractmethod
    def score(self, clips: np.ndarray, logmels: Optional[np.ndarray] = None) -> np.ndarray:
        """Scores from 0 to 1, float32 (N, classes), of clips, float32 (N, C, T, H, W), and their log-mels if it hears.

        One that only hears takes log-mels, float32 (N, 1, 100, 40), as its clips.
        """

    @property
    @abstractmethod
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """{blob: shape of one clip}: `data`, and `logmels` of a network of pictures and sound."""

    @property
    def clip_shape(self) -> tuple[int, ...]:
        """C, T, H, W of a clip; of a network of sound alone 1, 100, 40: its log-mels."""
        return self.input_shapes["data"]

    def score_views(self, views: Views, rows: slice) -> np.ndarray:
        """The scores of some of a video's clips."""
        given = zip((views.clips, views.logmels), self.input_shapes.values())
        return self.score(*[array[rows].reshape(-1, *shape) for array, shape in given if array is not None])

    def reader_arguments(self) -> VideoInputArgs:
        """How clips are drawn from a video. Raises UsageError for a model that was made without settings."""
        if self.settings is None:
            raise UsageError("the model has no settings of how clips are drawn; load it with vmz.load_model")
        return self.settings.reader_args()

    def clips(self, video: Video, views: HowMany = PUBLISHED, fps: Optional[float] = None) -> Views:
        """The clips of a video that the network looks at (see `read_views`)."""
        return read_views(video, self.reader_arguments(), views, fps)

    @property
    def transform(self) -> Transform:
        """From frames to a clip, for those who decode videos themselves."""
        if self.settings is None:
            raise UsageError("the model has no settings of how clips are drawn; load it with vmz.load_model")
        return Transform(self.settings)

    def predict(
        self, video: Video, top_k: int = 5, views: HowMany = PUBLISHED, fps: Optional[float] = None
    ) -> Prediction:
        """Score a video: a path, the bytes of a file, or frames as uint8 (T, H, W, 3).

        views: "published" as the network was tested, "one" for speed, or a number of clips. fps: of frames, for the
        clips' times. Raises VmzError, naming the video, for one that cannot be read or is too short for a clip.
        """
        started = time.perf_counter()
        found = self.clips(video, views, fps)
        read = time.perf_counter()
        parts = range(0, len(found.clips), MOST_CLIPS_AT_A_TIME)
        rows = np.concatenate([self.score_views(found, slice(first, first + MOST_CLIPS_AT_A_TIME)) for first in parts])
        seconds = {"read": read - started, "net": time.perf_counter() - read}
        return prediction_of(self, named(video), rows, found, top_k, seconds)


def prediction_of(
    model: Predictor, video: str, rows: np.ndarray, views: Views, top_k: int, seconds: Mapping[str, float]
) -> Prediction:
    """A prediction from the scores of all views. Raises VmzError for scores that are not finite."""
    if not np.isfinite(rows).all():
        raise VmzError(f"the scores of {video} are not finite; are the weights those of this network?")
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}, but it must be at least 1")
    aggregation = model.settings.aggregation if model.settings is not None else 0
    clips = rows.reshape(-1, views.crops, rows.shape[1])
    scores = rows.max(0) if aggregation else rows.mean(0)
    spans: Sequence[Any] = views.spans if views.spans is not None else [None] * len(clips)
    return Prediction(
        video=video,
        top=tuple(top_classes(scores, model.labels, top_k)),
        scores=scores,
        clips=tuple(ClipScores(span, clip.max(0) if aggregation else clip.mean(0)) for span, clip in zip(spans, clips)),
        seconds=seconds,
        ended_by=views.ended_by,
        without_sound=views.without_sound,
    )


def top_classes(scores: np.ndarray, labels: Optional[Sequence[str]], top_k: int) -> list[ClassScore]:
    """The classes with the highest scores; of equal ones the lower label first."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return [ClassScore(int(i), None if labels is None else labels[i], float(scores[i])) for i in order]
