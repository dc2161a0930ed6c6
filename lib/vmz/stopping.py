"""Ctrl-C and SIGTERM in every tool: a clean end with the status of the signal, wherever the process stands.

While a tool is imported, tools/_find_vmz.py or `end_at_once` ends the process, for nothing has been written yet. From
`run_tool` on the signal is raised in the main thread, so that what is half-written is removed on the way out. Where the
main thread is inside a library and does not come back, another one removes it and ends the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Callable, NoReturn, Optional

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 10.0  # for the main thread to come back from a library: an iteration of a large network takes seconds
AGAIN_SECONDS = 0.05  # until what a library has swallowed is raised once more


class Terminated(KeyboardInterrupt):
    """SIGTERM, as KeyboardInterrupt is SIGINT: no `except Exception` takes it for a failure."""


_held = 0  # blocks of `held_back` that the main thread is in
_noted = 0  # the signal that came meanwhile
_last: Optional[KeyboardInterrupt] = None
_raised = threading.Event()  # the main thread has met the signal


def status_of(error: KeyboardInterrupt) -> int:
    """The exit status of a process that `error` ended."""
    return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


def message_of(number: int) -> str:
    """What a tool says about it, in one line."""
    return "interrupted" if number == signal.SIGINT else "stopped by SIGTERM"


def raised() -> Optional[KeyboardInterrupt]:
    """The signal that was raised, whatever a library has made of it; None as long as there is none."""
    return _last if _raised.is_set() else None


def end_at_once() -> None:
    """Until `handled`: Ctrl-C and SIGTERM end the process, which has written nothing yet."""
    for one in SIGNALS:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, _end)


def _end(number: int, frame: Optional[FrameType]) -> NoReturn:
    try:
        os.write(2, f"{message_of(number)}\n".encode())
    finally:
        os._exit(128 + number)


def _raise(number: int, frame: Optional[FrameType]) -> None:
    global _noted, _last
    if _held:
        _noted = number
        return
    _last = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
    _raised.set()
    raise _last


def end_now(error: KeyboardInterrupt) -> NoReturn:
    """End the process as `error` would, for a thread that is inside a library and does not come back.

    An ordinary end would take away under it what it computes with, and abort.
    """
    _flush()
    _end(status_of(error) - 128, None)


@contextmanager
def held_back() -> Iterator[None]:
    """Within the block a signal waits for its end: for imports and calls that turn it into an error of their own."""
    global _held, _noted
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _held += 1
    try:
        yield
    finally:
        _held -= 1
        if not _held and _noted:
            number, _noted = _noted, 0
            signal.raise_signal(number)


@contextmanager
def handled(clean: Callable[[], None]) -> Iterator[None]:
    """Within the block signals are raised in the main thread; at its end, and before a hard one, `clean` is called.

    Signals that the process was told to ignore (nohup, a shell's background) stay ignored. After the block of a script
    they end the process at once: its work is done, and the interpreter's own end would turn them into a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in ours}
    hook, watch = sys.unraisablehook, _Watch(clean)
    try:  # a signal may come at any moment from here on
        for number in ours:
            signal.signal(number, _raise)
        sys.unraisablehook = _again(hook)
        _raised.clear()
        watch.begin()
        yield
    finally:
        try:
            try:
                for number in ours:
                    signal.signal(number, signal.SIG_IGN)  # for the moment
            finally:  # one more may have come before they were
                watch.end()
            clean()
        finally:
            sys.unraisablehook = hook
            for number, handler in before.items():
                of_a_script = handler is _end or getattr(handler, "__module__", None) == "_find_vmz"
                if of_a_script:
                    _flush()
                signal.signal(number, signal.SIG_DFL if of_a_script else handler)


def _again(before: Callable[[Any], Any]) -> Callable[[Any], None]:
    """A hook for what is raised where nothing can be, in a destructor or a callback: the signal comes once more."""

    def hook(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            number = signal.SIGTERM if isinstance(unraisable.exc_value, Terminated) else signal.SIGINT
            timer = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), number))
            timer.daemon = True
            timer.start()
        else:
            before(unraisable)

    return hook


class _Watch:
    """A thread that hears of a signal at once, and ends the process where the main thread does not within a while.

    `end` undoes what `begin` did, however far it came: a thread left behind would end a later run of this process.
    """

    def __init__(self, clean: Callable[[], None]) -> None:
        self._clean = clean
        self._ended = threading.Event()
        self._pipe: tuple[int, ...] = ()
        self._before: Optional[int] = None
        self._thread: Optional[threading.Thread] = None

    def begin(self) -> None:
        with held_back():  # a signal must not come between a thing and the note of it
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            thread = threading.Thread(target=self._look, name="vmz-signals", daemon=True)
            thread.start()
            self._thread = thread
            self._before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)

    def end(self) -> None:
        if self._before is not None:
            signal.set_wakeup_fd(self._before)
        if self._thread is not None:
            self._ended.set()
            os.write(self._pipe[1], b"\0")
            self._thread.join()
        for descriptor in self._pipe:
            os.close(descriptor)

    def _look(self) -> None:
        while not self._ended.is_set():
            for number in os.read(self._pipe[0], 64):
                # A training handles them itself: it writes its checkpoint first.
                if number in SIGNALS and signal.getsignal(number) is _raise:
                    if _raised.wait(GRACE_SECONDS) or self._ended.is_set() or signal.getsignal(number) is not _raise:
                        continue
                    self._clean()
                    os.write(2, f"{message_of(number)}\n".encode())
                    os._exit(128 + number)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            continue
