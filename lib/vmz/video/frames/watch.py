"""A limit on how long a video may keep its reader busy without a new frame, or new bytes of its file."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Optional, TypeVar

from vmz.video.faults import DecodingError

VIDEO_TIMEOUT = 60  # seconds; a frame of 8K takes less than one
GRACE = 2.0  # seconds more until a thread that does not look at its watch is left to itself
LONGEST_STEP = 5.0  # seconds that count from one look at the clock to the next; whoever waits looks every second


class _RunningClock:
    """Seconds that this process has run: while it is stopped (Ctrl-Z, a batch system) no video can make progress."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = time.monotonic()
        self._seconds = 0.0

    def seconds(self) -> float:
        with self._lock:
            now = time.monotonic()
            self._seconds += min(now - self._seen, LONGEST_STEP)
            self._seen = now
            return self._seconds


_clock = _RunningClock()


class Watch:
    """Seconds since a video last made progress. timeout: as many are allowed; 0: any.

    Made by whoever waits for the video, read and set by the thread that decodes it.
    """

    def __init__(self, timeout: float = VIDEO_TIMEOUT) -> None:
        self.timeout = timeout
        self.is_abandoned = False
        self._last: Optional[float] = None  # None: not begun
        self._furthest = 0

    def begin(self) -> None:
        """The video is opened, maybe once more."""
        self._furthest = 0
        self.advance()

    def advance(self) -> None:
        """There is progress, or the time until now is not the video's."""
        self._last = _clock.seconds()

    def reached(self, position: int) -> None:
        """The file has been read up to there: progress, unless it had been before."""
        if position > self._furthest:
            self._furthest = position
            self.advance()

    def is_over(self, grace: float = 0.0) -> bool:
        """Whether there was no progress for longer than is allowed."""
        if self.is_abandoned:
            return True
        return bool(self.timeout) and self._last is not None and _clock.seconds() - self._last > self.timeout + grace

    @property
    def reason(self) -> str:
        """What is wrong with a video whose watch is over."""
        return (
            f"it gave no new frame for {self.timeout:g} seconds; such a file is most often made to stop its reader "
            f"(--video_timeout={self.timeout:g})"
        )


class DecodingThreads:
    """Threads that work off a queue in order, as ThreadPoolExecutor, but one that never returns may be left behind.

    They are daemons: what a decoder never gives back does not keep the program from ending.
    """

    def __init__(self, threads: int) -> None:
        self._tasks: queue.SimpleQueue[Optional[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]]] = (
            queue.SimpleQueue()
        )
        self._threads: list[threading.Thread] = []
        self._by_task: dict[Future[Any], threading.Thread] = {}
        self._lock = threading.Lock()
        for _ in range(threads):
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="vmz-decode", daemon=True)
        self._threads.append(thread)
        thread.start()

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Queue a call; its result, or what it raises, is the future's."""
        future: Future[Any] = Future()
        self._tasks.put((future, task, arguments))
        return future

    def abandon(self, future: Future[Any]) -> None:
        """Leave the thread that works at `future` to itself, and have another one in its place."""
        with self._lock:
            thread = self._by_task.get(future)
            if thread is None or thread not in self._threads:
                return
            self._threads.remove(thread)
        self._start()

    def result(self, future: Future[Any], watch: Watch) -> Any:
        """What a call of `submit` gave, which reads a video under `watch`.

        Raises what it raised, and DecodingError where it does not come back: its thread is left behind then.
        """
        while not wait([future], timeout=1 if watch.timeout else None).done:
            if watch.is_over(GRACE):
                watch.is_abandoned = True
                self.abandon(future)
                raise DecodingError(watch.reason)
        return future.result()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, call, arguments = task
            if not future.set_running_or_notify_cancel():
                continue
            with self._lock:
                self._by_task[future] = threading.current_thread()
            try:
                result = call(*arguments)
            except BaseException as error:  # the caller's, whatever it is
                future.set_exception(error)
            else:
                future.set_result(result)
            with self._lock:
                self._by_task.pop(future, None)
                if threading.current_thread() not in self._threads:
                    return  # it came back after all; another one has its place

    def close(self) -> None:
        """Drop what has not begun, and wait for what has, but for what was abandoned."""
        try:
            while (task := self._tasks.get_nowait()) is not None:
                task[0].cancel()
        except queue.Empty:
            pass
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()


Result = TypeVar("Result")


def watched(call: Callable[[Watch], Result], timeout: float = VIDEO_TIMEOUT) -> Result:
    """`call`, which reads a video, in a thread of its own that is left behind where it does not come back.

    Raises what it raises, and DecodingError then.
    """
    watch, threads = Watch(timeout), DecodingThreads(1)
    try:
        result: Result = threads.result(threads.submit(call, watch), watch)
        return result
    finally:
        threads.close()
