"""The thread that has the model: it opens it, scores one video after another, and closes it."""

from __future__ import annotations

import base64
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Optional

from vmz.errors import VideoError, VmzError, is_lack_of_memory
from vmz.model.engine_model import EngineModel
from vmz.prediction.pictures import Attention, Picture
from vmz.prediction.run import opened, predict_one
from vmz.report.prediction import Frame, part
from vmz.results.prediction import Prediction
from vmz.serve.config import ServeConfig
from vmz.serve.jobs import Job, Jobs
from vmz.serve.refusals import Refused
from vmz.settings.engine import environment
from vmz.text import cut, printable

THREAD = "vmz-serve"
LONGEST_SENTENCE = 1000  # characters of an error


@dataclass(frozen=True)
class Loaded:
    """What is known of the model. name: for people; clip_shape: C, T, H, W, or of log-mels."""

    name: str
    labels: Optional[tuple[str, ...]]
    classes: int
    clip_shape: tuple[int, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Scored:
    """What a video got: its prediction and pictures of some of its clips. model: what scored it, in words."""

    prediction: Prediction
    pictures: tuple[Picture, ...]
    model: str

    def to_json(self) -> dict[str, Any]:
        """As Prediction.to_json, with pictures, JPEG in base64."""
        pictures = [
            {
                "span": None if one.span is None else list(one.span),
                "jpeg": _text(one.jpeg),
                "attention": None if one.attention is None else _text(one.attention),
            }
            for one in self.pictures
        ]
        return {**self.prediction.to_json(), "model": self.model, "pictures": pictures}

    def to_html(self) -> str:
        """As the page shows it."""
        frames = [Frame.of(one.strip, one.attention_strip, one.span) for one in self.pictures]
        return part(self.prediction, frames, any(one.attention for one in self.pictures))


def _text(jpeg: bytes) -> str:
    return base64.b64encode(jpeg).decode("ascii")


def is_left_behind() -> bool:
    """Whether the thread of a worker is still inside the network, or loads one."""
    return any(thread.name == THREAD for thread in threading.enumerate())


class Worker:
    """Scores the videos of `jobs` in a thread of its own, which ends with the jobs."""

    def __init__(self, config: ServeConfig, jobs: Jobs, debug: bool = False) -> None:
        """debug: print the tracebacks of errors that are no fault of a video."""
        self._config, self._jobs, self._debug = config, jobs, debug
        self._loaded: Future[Loaded] = Future()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def loaded(self) -> Loaded:
        """Wait for the model. Raises why it cannot be opened."""
        return self._loaded.result()

    def join(self, seconds: float) -> None:
        """Wait for its end, after that of the jobs. A network that does not come back is left to itself."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            with opened(self._config) as (model, attention):
                self._loaded.set_result(self._about(model, attention))
                self._jobs.work(lambda job: self._score(model, attention, job))
        except BaseException as error:
            if self._loaded.done():  # it was closed with an error: nobody waits for it
                return
            self._loaded.set_exception(error)

    def _about(self, model: EngineModel, attention: Optional[Attention]) -> Loaded:
        if attention is not None and self._config.attention_blob:
            attention.check()
        return Loaded(
            name=model.description,
            labels=model.labels,
            classes=model.config.num_labels,
            clip_shape=model.clip_shape,
            environment=environment(self._config),
        )

    def _score(self, model: EngineModel, attention: Optional[Attention], job: Job) -> Scored:
        """Raises Refused with the sentence that its sender gets."""
        try:
            prediction, pictures = predict_one(model, attention, self._config, job.path, pictures=True, watch=job.watch)
        except VideoError as error:
            if job.watch.is_late:
                raise job.watch.late from error
            raise Refused(422, self._sentence(error, job)) from error
        except Exception as error:
            if self._debug:
                traceback.print_exc()
            raise Refused(500, self._sentence(error, job)) from error
        return Scored(replace(prediction, video=job.name), pictures, model.description)

    def _sentence(self, error: Exception, job: Job) -> str:
        """What to say of it, by the sender's name of the video and not by ours."""
        text = cut(printable(str(error)), LONGEST_SENTENCE).replace(printable(job.path), job.name)
        if is_lack_of_memory(error):
            return (
                f"there is not enough memory to predict {job.name}; start the server with --views=one or a smaller "
                f"--crop_size ({text})"
            )
        if isinstance(error, VmzError):
            return text
        return f"internal error: {type(error).__name__}: {text}. This is a bug in VMZ; please report it"
