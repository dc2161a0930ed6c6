"""Being told to stop, by Ctrl-C or a scheduler's SIGTERM, without losing what was computed."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, NoReturn, Optional

from vmz.errors import VmzError


class Stopped(VmzError):
    """A run that was told to stop and did, its checkpoint written. The exit status is that of the signal."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + number


class StopRequest:
    """Within the block, the first SIGINT or SIGTERM only sets `requested`; the second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        return self.number != 0

    def leave(self, iteration: int) -> NoReturn:
        """End the run, after its checkpoint has been written."""
        number = self.number or signal.SIGTERM
        raise Stopped(
            f"stopped by {signal.Signals(number).name} after iteration {iteration}; checkpoint saved. Rerun with "
            "--resume=1 to continue",
            number,
        )

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number

    def __enter__(self) -> StopRequest:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
