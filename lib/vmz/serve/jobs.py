"""The places of a server: one video is predicted, so many wait for it, and more are refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Optional

from vmz.serve.refusals import STOPPING, Refused
from vmz.video.frames.watch import Watch

UPLOADING, WAITING, RUNNING = "uploading", "waiting", "running"


class Deadline(Watch):
    """A watch over a video that is over, too, so many seconds after `start`, and for whom nobody waits any more."""

    def __init__(self, video_timeout: float, seconds: float) -> None:
        super().__init__(video_timeout or seconds)
        self._seconds = seconds
        self._end: Optional[float] = None

    def start(self) -> None:
        self._end = time.monotonic() + self._seconds

    @property
    def is_late(self) -> bool:
        return self._end is not None and time.monotonic() > self._end

    def is_over(self, grace: float = 0.0) -> bool:
        return self.is_late or super().is_over(grace)

    @property
    def late(self) -> Refused:
        return Refused(
            504,
            f"the prediction took longer than {self._seconds:g} seconds (--request_timeout={self._seconds:g}) and was "
            "given up; send a shorter video, or start the server with --views=one",
        )


class Job:
    """A request that holds a place: from the first byte of its video to the answer, which is the future `result`.

    path: of its video, once it is there; name: how its sender calls it.
    """

    def __init__(self, ticket: str, watch: Deadline) -> None:
        self.ticket, self.watch = ticket, watch
        self.state = UPLOADING
        self.path = self.name = ""
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Any] = self._loop.create_future()

    def settle(self, value: Any, error: Optional[BaseException] = None) -> None:
        """Give the answer, or why there is none, from any thread. The first one counts."""
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(self._settle, value, error)

    def _settle(self, value: Any, error: Optional[BaseException]) -> None:
        if self.result.done():
            return
        if error is None:
            self.result.set_result(value)
        else:
            self.result.set_exception(error)
            self.result.exception()  # where nobody waits, it is no error of the loop


class Jobs:
    """All jobs; requests enter and leave in the loop's thread, one other thread works at them in their order."""

    def __init__(self, waiting: int) -> None:
        """waiting: how many may wait, or send their video, while another one is predicted."""
        self._most = waiting
        self._changed = threading.Condition()
        self._jobs: list[Job] = []  # all that hold a place, in the order in which they entered
        self._ready: list[Job] = []  # those of them that wait, in the order in which their videos were there
        self._running: Optional[Job] = None
        self._stopped = False

    def enter(self, ticket: str, watch: Deadline) -> Job:
        """A place for a request. Raises Refused where all are taken."""
        with self._changed:
            if self._stopped:
                raise Refused(503, STOPPING)
            if any(job.ticket == ticket for job in self._jobs):
                raise Refused(409, "another request has this ticket; choose one at random for each")
            others = sum(job is not self._running for job in self._jobs)
            if others >= self._most + (self._running is None):
                raise Refused(
                    503,
                    f"all places are taken: beside the video that is predicted, {self._most} may wait "
                    f"(--queue={self._most}); try again in a moment",
                    {"Retry-After": "5"},
                )
            job = Job(ticket, watch)
            self._jobs.append(job)
            return job

    def submit(self, job: Job, path: str, name: str) -> None:
        """Its video is there."""
        with self._changed:
            job.path, job.name = path, name
            if self._stopped:
                job.settle(None, Refused(503, STOPPING))
                return
            job.state = WAITING
            self._ready.append(job)
            self._changed.notify()

    def leave(self, job: Job) -> None:
        """Its request has its answer, or is gone. What is running is given up as soon as it can be."""
        with self._changed:
            self._jobs.remove(job)
            if job in self._ready:
                self._ready.remove(job)
            job.watch.is_abandoned = True

    def work(self, score: Callable[[Job], Any]) -> None:
        """Score one job after another, until `stop`. `score` returns the answer or raises why there is none."""
        while (job := self._next()) is not None:
            try:
                answer = score(job)
            except BaseException as error:
                job.settle(None, error)
            else:
                job.settle(answer)
            with self._changed:
                self._running = None

    def _next(self) -> Optional[Job]:
        with self._changed:
            while not self._ready and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return None
            job = self._running = self._ready.pop(0)
            job.state = RUNNING
            job.watch.start()
            return job

    def stop(self) -> None:
        """Answer all that wait, and take no more. May be called more than once."""
        with self._changed:
            self._stopped = True
            self._ready.clear()
            for job in self._jobs:
                job.watch.is_abandoned = True
                job.settle(None, Refused(503, STOPPING))
            self._changed.notify_all()

    def place(self, ticket: str) -> Optional[dict[str, Any]]:
        """{"state", "ahead": how many come before it} of a request; None where it holds no place."""
        with self._changed:
            job = next((job for job in self._jobs if job.ticket == ticket), None)
            if job is None:
                return None
            before = self._ready.index(job) + (self._running is not None) if job in self._ready else 0
            return {"state": job.state, "ahead": before}

    def counts(self) -> dict[str, int]:
        """How many videos are in which state. One that was given up runs until the network comes back."""
        with self._changed:
            uploading = sum(job.state == UPLOADING for job in self._jobs)
            return {UPLOADING: uploading, WAITING: len(self._ready), RUNNING: int(self._running is not None)}
