"""What an engine is: it loads nets, is fed blobs, runs, and hands blobs back, as Caffe2's workspace does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Optional, TypeVar

import numpy as np

E = TypeVar("E", bound="Engine")


class Engine(ABC):
    """One net, its parameters and its readers on one device.

    Blob names may be given in full ("gpu_0/softmax") or, where that is unambiguous, by the part after the last "/".
    """

    @abstractmethod
    def load(
        self,
        init_net: Any,
        net: Any,
        weights: Optional[Mapping[str, np.ndarray]] = None,
        seed: int = 0,
        keep: Sequence[str] = (),
    ) -> None:
        """Take a net: run its fills, put `weights` over them, and open the databases that its readers name.

        init_net, net: NetDef. weights: {blob: array of the blob's shape}; a name that the nets lack, or another shape,
        is a VmzError. seed: of the random fills. keep: blobs that will be fetched after every run (a hint that saves
        work; any other blob can be fetched too). A net loaded before is dropped.
        """

    @abstractmethod
    def feed(self, blob: str, array: np.ndarray) -> None:
        """Set an input blob, or a parameter, for the runs to come. UsageError for a blob that the net computes."""

    @abstractmethod
    def run(self) -> None:
        """Take a batch from each reader and run the net on it and on what was fed.

        Raises EndOfData of vmz.video.reader when a reader that does not wrap around has given its last batch.
        """

    @abstractmethod
    def fetch(self, blob: str) -> np.ndarray:
        """The value of a blob after the last run, as Caffe2's workspace would hold it: what its last writer left."""

    @abstractmethod
    def blobs(self) -> list[str]:
        """Full names of all blobs of both nets, in the order in which they are first mentioned."""

    @property
    @abstractmethod
    def skipped(self) -> list[Any]:
        """The records that the readers left out so far, as vmz.video.faults.BadVideo."""

    @property
    @abstractmethod
    def ended_early(self) -> list[Any]:
        """The videos so far whose reading stopped before their end, as vmz.video.faults.EndedEarly."""

    @property
    def without_sound(self) -> list[Any]:
        """The videos so far whose log-mels are zeros for want of sound, as vmz.video.faults.WithoutSound."""
        return []

    @property
    @abstractmethod
    def seconds(self) -> Mapping[str, float]:
        """Wall time since load: "read" waiting for the readers, "net" computing and handing results back.

        Where they can be told apart also "transfer" of batches to the device and "prepare" of the net for its inputs.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the readers and drop the net. Closing twice is harmless."""

    def __enter__(self: E) -> E:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
