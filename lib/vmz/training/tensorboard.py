"""TensorBoard's files of a training run, when asked for."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, Optional, Union

from vmz.extras import require
from vmz.results.heads import Heads
from vmz.results.training import Epoch, Point
from vmz.training.side_outputs import SideOutputs

VALUES = ("loss", "accuracy", "learning_rate", "clips_per_second")


class Board:
    """Writes points and epochs of a run to `folder`; without a folder it does nothing. UsageError without tensorboard.

    Once it cannot write it is one of the `outputs` that have failed, and writes no more.
    """

    def __init__(self, folder: Optional[str], outputs: SideOutputs) -> None:
        self._writer: Any = None
        self._name, self._outputs = f"--tensorboard={folder}", outputs
        if folder:
            self._writer = require("torch.utils.tensorboard", "tensorboard", "--tensorboard").SummaryWriter(folder)

    def add_point(self, point: Point) -> None:
        self._attempt(lambda writer: _add_means(writer, "train", point))

    def add_epoch(self, epoch: Epoch) -> None:
        """The means of a whole epoch, as the log's line of it has them, and the figures of its evaluation."""

        def add(writer: Any) -> None:
            _add_means(writer, "epoch", epoch)
            for name, value in (epoch.figures or {}).items():
                writer.add_scalar(f"test/{name}", value, epoch.iteration)
            if epoch.test_loss is not None:
                writer.add_scalar("test/loss", epoch.test_loss, epoch.iteration)
            _add_heads(writer, "test", epoch.test_heads, epoch.iteration)
            writer.flush()

        self._attempt(add)

    def _attempt(self, write: Callable[[Any], object]) -> None:
        writer = self._writer
        if writer is not None and not self._outputs.write(self._name, lambda: write(writer)):
            self._writer = None  # its thread has died: closing it might wait for that for ever

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._attempt(lambda writer: writer.close())


def _add_means(writer: Any, group: str, record: Union[Point, Epoch]) -> None:
    for name in VALUES:
        value = getattr(record, name)
        if value is not None:
            writer.add_scalar(f"{group}/{name}", value, record.iteration)
    _add_heads(writer, group, record.heads, record.iteration)


def _add_heads(writer: Any, group: str, heads: Optional[Heads], iteration: Optional[int]) -> None:
    for head, found in (heads or {}).items():
        for name, value in found.items():
            if value is not None:
                writer.add_scalar(f"{group}/{head}_{name}", value, iteration)
