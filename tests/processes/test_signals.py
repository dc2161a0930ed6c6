"""The first signal asks, the second Ctrl-C insists."""

from __future__ import annotations

import os
import signal

import pytest

from vmz.processes.signals import Stopped, StopRequest


def test_the_first_signal_is_noted_and_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        with pytest.raises(Stopped, match=r"SIGTERM after iteration 7.*--resume=1") as error:
            stop.leave(7)
        assert error.value.exit_status == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_second_interrupt_does_not_wait() -> None:
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
