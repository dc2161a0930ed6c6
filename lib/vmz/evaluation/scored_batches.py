"""Batches of clips and the network's scores of them: a batch through the net at once, or in slices.

A fully convolutional net on 30 crops of 256 pixels takes more memory than a GPU has; so many crops at a time bound it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Optional

import numpy as np

from vmz.engines.engine import Engine
from vmz.engines.net_reader import open_reader
from vmz.models.registry import Model
from vmz.netdef.net_parts import video_inputs
from vmz.netdef.video_outputs import RECORD_INDEX, VIDEO_ID
from vmz.video.arguments import VideoInputArgs
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound


@dataclass(frozen=True)
class ScoredBatch:
    """Videos and what the net gave for each of their clips and crops, those of a video next to each other.

    records: int64 (videos,), places in the database. labels: int32 (rows,), or 0/1 (rows, classes) when multi-label.
    clips: float32 (rows, classes). video_ids: int64 (rows,) where the reader was asked for them.
    """

    records: np.ndarray
    labels: np.ndarray
    clips: np.ndarray
    video_ids: Optional[np.ndarray] = None


class Batches(ABC):
    """One pass over a database through a net that an engine holds."""

    @abstractmethod
    def next_batch(self) -> ScoredBatch:
        """Read the next batch and run the net on it. Raises EndOfData after the last one, VmzError for a bad record."""

    @property
    @abstractmethod
    def skipped(self) -> list[BadVideo]:
        """The records left out so far."""

    @property
    @abstractmethod
    def ended_early(self) -> list[EndedEarly]:
        """The videos so far whose reading stopped before their end."""

    @property
    @abstractmethod
    def without_sound(self) -> list[WithoutSound]:
        """The videos so far whose log-mels are zeros."""

    @property
    @abstractmethod
    def seconds(self) -> Mapping[str, float]:
        """Wall time so far, as Engine.seconds has it."""

    def close(self) -> None:
        """Close what was opened beside the engine."""
        return

    def __enter__(self) -> Batches:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class WholeBatches(Batches):
    """The net reads for itself: VideoInput is its first op. It gives the blob record_index too."""

    def __init__(self, engine: Engine, model: Model) -> None:
        self._engine, self._model = engine, model

    @staticmethod
    def blobs(model: Model) -> list[str]:
        """What is fetched after each run."""
        ids = [blob for op in video_inputs(model.net) for blob in op.output if blob.endswith(VIDEO_ID)]
        return [model.prediction, model.blob("label"), model.blob(RECORD_INDEX), *ids]

    def next_batch(self) -> ScoredBatch:
        self._engine.run()
        clips, labels, records, *ids = (self._engine.fetch(blob) for blob in self.blobs(self._model))
        return ScoredBatch(records, labels, clips, *ids)

    @property
    def skipped(self) -> list[BadVideo]:
        return list(self._engine.skipped)

    @property
    def ended_early(self) -> list[EndedEarly]:
        return list(self._engine.ended_early)

    @property
    def without_sound(self) -> list[WithoutSound]:
        return list(self._engine.without_sound)

    @property
    def seconds(self) -> Mapping[str, float]:
        return dict(self._engine.seconds)


class SlicedBatches(Batches):
    """A reader beside the net, which is fed `size` clips of a batch at a time; the last slice may be short.

    The reader is that of the engine called `engine_name`, on the CPU; args: its arguments.
    """

    def __init__(
        self, engine: Engine, model: Model, size: int, database: str, args: VideoInputArgs, engine_name: str
    ) -> None:
        self._engine, self._model, self._size = engine, model, size
        args = replace(args, get_record_index=1)
        self._reader = open_reader(database, args, engine_name)
        label = model.blob("label")  # the multi-label head over positions has no use for it
        self._takes_label = any(label in op.input for op in model.net.op)
        self._reading = 0.0

    def next_batch(self) -> ScoredBatch:
        started = time.perf_counter()
        batch = self._reader.next_batch()
        self._reading += time.perf_counter() - started
        assert batch.record_index is not None
        inputs = self._model.inputs_of((batch.data, batch.flow, batch.logmels))
        clips = []
        for start in range(0, len(batch.label), self._size):
            part = slice(start, start + self._size)
            for blob, array in inputs.items():
                self._engine.feed(blob, array[part])
            if self._takes_label:
                self._engine.feed(self._model.blob("label"), batch.label[part])
            self._engine.run()
            clips.append(self._engine.fetch(self._model.prediction))
        return ScoredBatch(batch.record_index, batch.label, np.concatenate(clips), batch.video_id)

    @property
    def skipped(self) -> list[BadVideo]:
        return list(self._reader.skipped)

    @property
    def ended_early(self) -> list[EndedEarly]:
        return list(self._reader.ended_early)

    @property
    def without_sound(self) -> list[WithoutSound]:
        return list(self._reader.without_sound)

    @property
    def seconds(self) -> Mapping[str, float]:
        return {**self._engine.seconds, "read": self._reading}

    def close(self) -> None:
        self._reader.close()
