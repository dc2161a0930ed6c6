"""Several processes on one task, as torchrun starts them: who is who, what they tell each other, how they end together.

They talk through torchrun's own store (MASTER_ADDR, MASTER_PORT). No process group is made, which leaves that to
whoever needs one, and works wherever torch is, beside real Caffe2 too.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional

from vmz import stopping
from vmz.errors import PeerError, VmzError
from vmz.processes import identity
from vmz.processes.identity import rank, world_size

PIECE_BYTES = 1 << 22  # of a value in the store, which takes 8 MiB at most
LONGEST_PAUSE = 0.05  # seconds between two looks at the store
GRACE_SECONDS = 10.0  # for the others to hear of a failure before torchrun, or the store's own end, ends them
WATCH_SECONDS = 0.5  # between two looks for a failure elsewhere, while this process is at work
STUCK_SECONDS = 3.0  # in a collective that a failed process will never join, before this one ends
END_SECONDS = 120.0  # after a failure, for a process to end by itself, wherever it is

Say = Callable[[BaseException], None]


class FailedElsewhere(PeerError):
    """Another process of this run failed, and has said why; this one ends with the same exit status."""

    already_reported = True

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@contextmanager
def joined(say: Optional[Say] = None) -> Iterator[None]:
    """Within the block the processes of a run can talk, and fail as one: when one raises, all of them do.

    The first to fail raises its own error, the others FailedElsewhere with its exit status. All leave the block
    together; one that waits in a collective of the engines' for more than STUCK_SECONDS ends where it is, without a
    word. Blocks may be nested; the outermost one counts. Raises VmzError when the others cannot be reached.

    say: prints the error of the first to fail, which is then `already_reported`. It does so before any other process
    ends: whatever started them may kill the rest as soon as one has.
    """
    global _group
    if world_size() == 1 or _group is not None:
        yield
        return
    _group = group = Group(_store(), rank(), world_size(), say)
    watch = Watch(group)
    try:
        group.wait("joined", group.world)
        watch.start()
        yield
        watch.end()  # before the store, which the first process keeps, may go
        group.leave()
    except SystemExit:  # --help, in all of them
        watch.end()
        group.leave()
        raise
    except BaseException as error:
        elsewhere = group.fail(error)
        watch.end()
        group.say_goodbye()
        if elsewhere is None:
            raise
        raise elsewhere from error
    finally:
        watch.end()
        _group = None


def gather(value: Any) -> Optional[list[Any]]:
    """The values of all processes, by rank, on the first one; None on the others. All have to call it."""
    return [value] if _group is None else _group.gather(value)


def share(value: Any) -> Any:
    """The first process's value, on all of them. All have to call it."""
    return value if _group is None else _group.share(value)


def any_rank(flag: bool) -> bool:
    """Whether `flag` is set on any of the processes. All have to call it, and wait for each other."""
    return bool(flag) if _group is None else _group.any(bool(flag))


def check() -> None:
    """Raise FailedElsewhere if another process has failed: to be called now and then during long work."""
    if _group is not None:
        _group.check()


class Group:
    """The processes of a run, as one of them meets them through their torch.distributed.Store.

    Every exchange has a number, the same on all of them.
    """

    def __init__(self, store: Any, rank: int, world: int, say: Optional[Say] = None) -> None:
        self.rank, self.world = rank, world
        self._store, self._say = store, say
        self._lock = threading.Lock()
        self._exchange = 0
        self._count("joined", 1)

    def gather(self, value: Any) -> Optional[list[Any]]:
        name = self._next("gather")
        if self.rank:
            self._put(f"{name}/{self.rank}", value)
            return None
        return [value, *(self._take(f"{name}/{other}") for other in range(1, self.world))]

    def share(self, value: Any) -> Any:
        name = self._next("share")
        if self.rank:
            return self._take(name, keep=True)
        self._put(name, value)
        return value

    def any(self, flag: bool) -> bool:
        before = f"any/{self._exchange}"
        name = self._next("any")
        if flag:
            self._count(f"{name}/set", 1)
        self._count(name, 1)
        self.wait(name, self.world)
        found = self._count(f"{name}/set", 0) > 0
        if not self.rank:  # all are past the one before, which a training loop would else leave behind by the million
            self._drop(before, f"{before}/set")
        return found

    def failure(self) -> Optional[FailedElsewhere]:
        """The first failure of the run, None as long as there is none."""
        if not self._count("failure/said", 0):
            return None
        with self._reaching_store():
            message, status = pickle.loads(self._store.get("failure"))
        return FailedElsewhere(message, status)

    def check(self) -> None:
        if (failure := self.failure()) is not None:
            raise failure

    def wait(self, name: str, least: int) -> int:
        """Wait until a counter is no less than `least`, or until another process fails."""
        pause = 0.0002
        while (count := self._count(name, 0)) < least:
            self.check()
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return count

    def leave(self) -> None:
        """Wait for the others; the store may end with the first process, so it leaves last."""
        self.any(False)
        self._count("left", 1)
        if not self.rank:
            self.wait("left", self.world)

    def fail(self, error: BaseException) -> Optional[FailedElsewhere]:
        """Tell the others of the first failure; of a later one, which that one has caused, return what to raise."""
        message, status = f"process {self.rank} of {self.world} failed: {error}", getattr(error, "exit_status", None)
        if status is None:
            status = stopping.status_of(error) if isinstance(error, KeyboardInterrupt) else 1
        elsewhere = None
        try:
            if isinstance(error, PeerError):  # of a cause that is printed elsewhere, unless its process was killed
                elsewhere = error if isinstance(error, FailedElsewhere) else self._first_failure()
            if elsewhere is None and self._count("failures", 1) > 1:
                elsewhere = self._first_failure()
            elif elsewhere is None:
                with self._reaching_store():
                    self._store.set("failure", pickle.dumps((message, status)))
                if self._say is not None:
                    self._say(error)
                self._count("failure/said", 1)
        except VmzError:  # nobody is there to be told
            return None
        return elsewhere

    def _first_failure(self) -> Optional[FailedElsewhere]:
        """The cause, which is on its way; None if its process ended before it could say so."""
        end = time.monotonic() + GRACE_SECONDS
        while (failure := self.failure()) is None and time.monotonic() < end:
            time.sleep(LONGEST_PAUSE)
        return failure

    def say_goodbye(self, wait: bool = True) -> None:
        """Say that this process ends, and wait, for a while, until all do; the first one, for all to be done."""
        try:
            self._count("ended", 1)
            if wait:
                self._await("ended", self.world)
            if self.rank:
                self._count("gone", 1)
            elif wait:
                self._await("gone", self.world - 1)
        except VmzError:
            return

    def _await(self, name: str, least: int) -> None:
        end = time.monotonic() + GRACE_SECONDS
        while self._count(name, 0) < least and time.monotonic() < end:
            time.sleep(LONGEST_PAUSE)

    def _next(self, kind: str) -> str:
        self._exchange += 1
        return f"{kind}/{self._exchange}"

    def _put(self, name: str, value: Any) -> None:
        whole = pickle.dumps(value, protocol=4)
        pieces = range(0, len(whole), PIECE_BYTES)
        with self._reaching_store():
            for number, start in enumerate(pieces):
                self._store.set(f"{name}/{number}", whole[start : start + PIECE_BYTES])
        self._count(name, len(pieces))

    def _take(self, name: str, keep: bool = False) -> Any:
        pieces = [f"{name}/{number}" for number in range(self.wait(name, 1))]
        with self._reaching_store():
            value = pickle.loads(b"".join(self._store.get(piece) for piece in pieces))
        if not keep:
            self._drop(*pieces, name)
        return value

    def _drop(self, *names: str) -> None:
        with self._reaching_store():
            for name in names:
                self._store.delete_key(name)

    def _count(self, name: str, more: int) -> int:
        """Add to a counter, which begins at 0."""
        with self._reaching_store():
            return int(self._store.add(name, more))

    @contextmanager
    def _reaching_store(self) -> Iterator[None]:
        with self._lock, _reaching_others():  # a store is not for two threads at once
            yield


class Watch:
    """A thread that looks for a failure elsewhere, while this process is at work or in a collective of the engines'.

    After one no collective begins any more. One that has begun is given STUCK_SECONDS, all else END_SECONDS; then the
    process ends, for nothing can be raised in a thread that waits inside gloo, or for a GPU.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="vmz-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        identity.stop(None)

    def _look(self) -> None:
        known: Optional[FailedElsewhere] = None
        since = 0.0
        while not self._ended.wait(WATCH_SECONDS):
            if known is None:
                try:
                    known = self._group.failure()
                except VmzError:  # the store has ended: the main thread will notice, too
                    return
                if known is None:
                    continue
                since = time.monotonic()
                identity.stop(known)
            begun, now = identity.waiting_since(), time.monotonic()
            if now - since > END_SECONDS or (begun is not None and now - max(begun, since) > STUCK_SECONDS):
                self._group.say_goodbye(wait=False)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(known.exit_status)


_group: Optional[Group] = None


def _store() -> Any:
    """The store of this run: torchrun's, or else one that the first process keeps."""
    from torch.distributed import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    with _reaching_others():
        store, _, _ = next(rendezvous("env://", rank(), world_size()))
        return PrefixStore(f"vmz{os.environ.get('TORCHELASTIC_RESTART_COUNT', '')}", store)


@contextmanager
def _reaching_others() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:  # what torch raises for its store and for a wrong environment
        where = f"{os.environ.get('MASTER_ADDR', '?')}:{os.environ.get('MASTER_PORT', '?')}"
        reason = str(error).strip().partition("\n")[0]
        raise VmzError(
            f"process {rank()} of {world_size()} cannot reach the others at {where} ({reason}); one of them has ended, "
            "or MASTER_ADDR and MASTER_PORT are not those of the first machine"
        ) from error
