"""A loaded model on an engine: real Caffe2, or PyTorch with the net optimised for the shape of the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Optional

import numpy as np

from vmz.errors import UsageError
from vmz.model.nets import PARTS, Nets, shape_text
from vmz.model.prediction import Predictor
from vmz.models.audio_visual import LOGMELS
from vmz.models.config import ModelConfig
from vmz.settings.inference import opened_engine
from vmz.settings.model import ModelSettings
from vmz.text import counted


class EngineModel(Predictor):
    """A network that scores clips, arrays in and out; it does not train. Closes its engine as a context manager.

    Has what VideoModel has for scoring: call, probabilities, blobs, features, predict.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: Optional[Mapping[str, np.ndarray]],
        settings: ModelSettings,
        labels: Optional[Sequence[str]] = None,
        source: str = "",
        features_only: bool = False,
    ) -> None:
        """weights: {blob: float32 array} of the network. features_only: its classifier is not used.

        Raises UsageError where the engine or device is not here.
        """
        self.features_only = features_only
        self.config, self.settings, self.source = replace(config, batch_size=-1), settings, source
        self.labels = None if labels is None else tuple(labels)
        self._weights = dict(weights or {})
        self._nets = Nets.of(self.config)
        self._engine = opened_engine(settings)
        test = self._nets.test
        self._engine.load(test.param_init_net, test.net, weights, seed=settings.seed, keep=[test.prediction])

    def __call__(self, clips: np.ndarray, logmels: Optional[np.ndarray] = None) -> np.ndarray:
        """Logits, float32 (N, classes), of clips, float32 (N, C, T, H, W); the last features without a classifier.

        logmels: float32 (N, 1, 100, 40) of a network of pictures and sound; one of sound alone takes them as clips.
        """
        self._run(clips, logmels)
        found = self._engine.fetch(self._nets.trunk if self.features_only else self._nets.logits)
        return found.reshape(*found.shape[:2], -1).mean(2) if found.ndim > 2 else found

    def probabilities(self, clips: np.ndarray, logmels: Optional[np.ndarray] = None) -> np.ndarray:
        """Scores of the classes, float32 (N, classes), as VideoModel.probabilities."""
        if self.features_only:
            raise UsageError("the model has no classifier (num_classes=0), so that it has no probabilities")
        self._run(clips, logmels)
        found = self._engine.fetch(self._nets.test.prediction)
        return found.reshape(len(clips), -1) * np.float32(self._nets.scale)

    def blobs(
        self, clips: np.ndarray, names: Sequence[str], logmels: Optional[np.ndarray] = None
    ) -> dict[str, np.ndarray]:
        """Any blobs of the net for these clips, by name."""
        self._run(clips, logmels)
        return {name: self._engine.fetch(name) for name in names}

    def features(self, clips: np.ndarray, logmels: Optional[np.ndarray] = None) -> dict[str, np.ndarray]:
        """What each stage gives, as VideoModel.features."""
        found = self.blobs(clips, list(self._nets.stages.values()), logmels)
        return {name: found[blob] for name, blob in self._nets.stages.items()}

    def score(self, clips: np.ndarray, logmels: Optional[np.ndarray] = None) -> np.ndarray:
        return self.probabilities(clips, logmels)

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        return self._nets.inputs

    def weights(self) -> dict[str, np.ndarray]:
        """{blob: float32 array} of all parameters and running statistics."""
        unused = self._nets.test.classifier if self.features_only else set()
        return {blob: self._engine.fetch(blob) for blob in self._nets.parameters() if blob not in unused}

    @property
    def description(self) -> str:
        """The network, its clips and its weights, for people."""
        config, shape = self.config, "x".join(map(str, self.clip_shape))
        classes = "no classifier" if self.features_only else counted(config.num_labels, "class")
        return f"{config.model_name}-{config.model_depth}, clips of {shape}, {classes}, {self.source}"

    def close(self) -> None:
        """Give the engine back."""
        self._engine.close()

    def __enter__(self) -> EngineModel:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def _run(self, clips: np.ndarray, logmels: Optional[np.ndarray]) -> None:
        given = {"data": clips} if logmels is None else {"data": clips, LOGMELS: logmels}
        self._check(given)
        labels = (len(clips), self.config.num_labels) if self.config.multi_label else (len(clips),)
        for blob, array in given.items():
            self._engine.feed(blob, np.ascontiguousarray(array, np.float32))
        if "label" in self._engine.blobs():  # the loss is there, if unused
            self._engine.feed("label", np.zeros(labels, np.int32))
        self._engine.run()

    def _check(self, given: dict[str, np.ndarray]) -> None:
        """UsageError for other inputs than the network's."""
        for blob, shape in self.input_shapes.items():
            takes = f"this model takes {shape_text(blob, shape)}"
            if blob not in given:
                raise UsageError(f"the {PARTS[blob]} of the clips are not given; {takes}")
            array = given[blob]
            if not array.ndim or array.shape[1:] != shape or len(array) != len(given["data"]) or not len(array):
                raise UsageError(f"the {PARTS[blob]} are {array.shape}, but {takes}")
        other = next((blob for blob in given if blob not in self.input_shapes), None)
        if other is not None:
            raise UsageError(f"{PARTS[other]} are given, but this model takes none")
