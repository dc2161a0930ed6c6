"""What trains a network: takes its NetDef, one iteration after the other, and hands its state out and takes it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Callable, Optional, Protocol

import numpy as np

from vmz.engines.schedule import Schedule
from vmz.errors import UsageError

FREEZES = ("none", "trunk")


class Trainable(Protocol):
    """A network to train, one device's copy of it: vmz.models.registry.Model is one."""

    @property
    def net(self) -> Any: ...
    @property
    def param_init_net(self) -> Any: ...
    @property
    def params(self) -> list[tuple[str, tuple[int, ...]]]: ...
    @property
    def computed_params(self) -> list[tuple[str, tuple[int, ...]]]: ...
    @property
    def weights(self) -> list[str]: ...
    @property
    def prediction(self) -> str: ...
    @property
    def loss(self) -> Optional[str]: ...
    @property
    def scope(self) -> str: ...


Build = Callable[[str, Any, float], Trainable]
"""(name scope, DeviceOption, loss scale) -> the training network (is_test=0) there, with its reader if it has one."""


@dataclass(frozen=True)
class Training:
    """How to train. What is not the original's rule is opt-in and, but for the schedule, the PyTorch engine's alone.

    schedule: its base_rate is already that of all devices together. weight_decay: of the blobs in `weights` of the
    network. accumulation: batches of each device that make one iteration; they count as so many devices. freeze
    "trunk": only the classifier learns, on the features that testing sees. freeze_bn: SpatialBN normalises by its
    running statistics and leaves them. clip_gradient: the largest L2 norm of the gradient of all parameters together,
    0 for any. abort_loss: the loss above which training stops. channels_last: clips and weights lie channels last in
    a GPU's memory too, as they do in a CPU's; the same sums in another order. precise_bn: recompute_statistics will
    be called.
    """

    schedule: Schedule
    weight_decay: float = 0.005
    momentum: float = 0.9
    nesterov: bool = True
    accumulation: int = 1
    precision: str = "fp32"
    freeze: str = "none"
    freeze_bn: bool = False
    clip_gradient: float = 0.0
    abort_loss: float = 40.0
    deterministic: bool = False
    channels_last: bool = False
    precise_bn: bool = False


@dataclass(frozen=True)
class Step:
    """What one iteration gave: means over all devices and accumulated batches.

    loss: the blob `loss`, before its scale. accuracy: of the clips, None when multi-label. learning_rate: a float32
    value. samples: clips of all devices. seconds: what went into "read" and "compute". stop, save: whether any process
    asked for it, the same on all of them.
    """

    iteration: int
    learning_rate: float
    loss: float
    accuracy: Optional[float]
    samples: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    stop: bool = False
    save: bool = False


def classes_of(arguments: Mapping[str, Any]) -> int:
    """Classes that a VideoInput's single labels may be of, by its arguments; 0 where they do not say."""
    return 0 if arguments.get("do_multi_label", 0) else int(arguments.get("num_of_class", 0))


def never() -> bool:
    """What no process asks for."""
    return False


class Trainer(ABC):
    """Trains one network on the devices it was opened for. Blobs are named without scope, as in checkpoints."""

    @abstractmethod
    def load(
        self, build: Build, training: Training, weights: Optional[Mapping[str, np.ndarray]] = None, seed: int = 0
    ) -> None:
        """Build the network for each device, fill it by its init net (with `seed`), and put `weights` over that.

        `weights` may be named with the scope of any device, or without. Raises UsageError for a `training` that this
        engine cannot do, VmzError for weights that do not fit.
        """

    def check(self, training: Training) -> None:
        """Raise the UsageError of `load` for a `training` that this engine cannot do, before any file is read."""
        return

    @abstractmethod
    def feed(self, blob: str, array: np.ndarray, device: int = 0) -> None:
        """Set an input blob of a network that has no reader, for the iterations to come."""

    @abstractmethod
    def step(self, stop: Callable[[], bool] = never, save: Callable[[], bool] = never) -> Step:
        """One iteration: batch, forward, backward, update. VmzError when the loss exceeds abort_loss or is not finite,
        with the parameters as they were before the iteration.

        stop, save: whether this process wants the run to stop, or a checkpoint, after an iteration. They are asked
        once, late in the iteration, and travel with its sums: all processes learn of it in the same one.
        """

    @abstractmethod
    def fetch(self, blob: str) -> np.ndarray:
        """A parameter, running statistic, momentum (`<parameter>_momentum`), or a blob of the last forward pass."""

    @abstractmethod
    def state(self, here: bool = True) -> dict[str, np.ndarray]:
        """All that a run needs to go on from here as if it had never stopped: parameters, running statistics, momenta,
        ITERATION, and where they apply POSITION and RANDOM_STATE. Of several devices, the first one's statistics, which
        the others take over now (the original does so at each checkpoint).

        here: False on a process that takes part, as all must, but does not need the state: it copies nothing to the
        host and gets {}.
        """

    @abstractmethod
    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a `state()`, whose blobs may be named with a scope too. VmzError, naming the blob, for one that
        lacks something or is of another network."""

    @abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and running statistics: what evaluation needs."""

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

    @abstractmethod
    def close(self) -> None:
        """Close the readers and drop the network. Closing twice is harmless."""

    def recompute_statistics(self, batches: int) -> None:
        """Precise batch norm: set the running statistics to those of `batches` batches with the weights as they are."""
        raise UsageError("precise batch norm needs --engine=pytorch")

    def __enter__(self) -> Trainer:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
