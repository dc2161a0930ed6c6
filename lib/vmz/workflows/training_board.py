"""TensorBoard's files of a training run, when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Optional

from vmz.errors import UsageError

VALUES = ("loss", "accuracy", "learning_rate", "clips_per_second")


class Board:
    """Writes the history's entries to `folder`; without a folder it does nothing. UsageError without tensorboard."""

    def __init__(self, folder: Optional[str]) -> None:
        self._writer: Any = None
        if folder:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise UsageError("--tensorboard needs the package tensorboard: pip install tensorboard") from error
            self._writer = SummaryWriter(folder)

    def add_point(self, point: Mapping[str, Any]) -> None:
        self._add_means("train", point)

    def _add_means(self, group: str, entry: Mapping[str, Any]) -> None:
        if self._writer is not None:
            for name in VALUES:
                if entry.get(name) is not None:
                    self._writer.add_scalar(f"{group}/{name}", entry[name], entry["iteration"])

    def add_epoch(self, entry: Mapping[str, Any]) -> None:
        """The means of a whole epoch, as the log's line of it has them, and the figures of its evaluation."""
        self._add_means("epoch", entry)
        if self._writer is not None:
            for name, value in entry.get("figures", {}).items():
                self._writer.add_scalar(f"test/{name}", value, entry["iteration"])
            self._writer.flush()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._writer is not None:
            self._writer.close()
