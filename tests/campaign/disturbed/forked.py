"""A tool's run in a child forked from this process, which has imported all: it ends as asked, or is ended at a moment.

A run of a small network then takes a tenth of a second, and can be killed fifty times.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from tests.goldens.e2e import TOOLS
from tests.support.in_process import tool
from vmz import stopping
from vmz.cli.shared.running import run_tool

STOPS = (signal.SIGINT, signal.SIGTERM)
LONG = 120.0  # seconds, after which a run hangs
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "shutil.rmtree")
WARM = ("vmz", "torch", "caffe2", "numpy", "sklearn", "scipy", "jinja2", "h5py", "av", "PIL", "google", "lmdb")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Moment:
    """When a run is ended, and by what. At most one of the three is given.

    event: before the so-many-th change of a file or folder below {out}. seconds: after the start. file_bytes: when a
    file grows beyond it, in the midst of a write; with `number` of SIGXFSZ ignored, the write is refused.
    """

    number: int = signal.SIGKILL
    event: Optional[int] = None
    seconds: Optional[float] = None
    file_bytes: Optional[int] = None

    def __str__(self) -> str:
        where = f"change {self.event}" if self.event else f"{self.seconds} s" if self.seconds else None
        return f"{signal.Signals(self.number).name} at {where or f'{self.file_bytes} bytes of a file'}"


@dataclass(frozen=True)
class Ended:
    """status: the exit status, or minus the signal that ended it. events: changes of files that it made."""

    status: int
    output: str
    errors: str
    seconds: float
    events: int
    pid: int


class Run:
    """A run on its way."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        out: Path,
        logs: Path,
        moment: Optional[Moment] = None,
        modules: Optional[Path] = None,
    ) -> None:
        self._logs = Path(tempfile.mkdtemp(dir=logs, prefix="run_"))
        self._started, self._moment = time.monotonic(), moment
        main = tool(f"{name}.py")
        for file in ("stdout", "stderr"):
            (self._logs / file).touch()
        sys.stdout.flush()
        sys.stderr.flush()
        held = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the child handles them
        self.pid = os.fork()
        if not self.pid:
            _child(main, name, argv, out, self._logs, moment, modules)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def ended(self, limit: float = LONG, at: Optional[Callable[[], None]] = None) -> Ended:
        """Wait for it; send the signal of a moment that is a time, or do `at` then."""
        due = self._moment.seconds if self._moment is not None else None
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            now = time.monotonic() - self._started
            if pid:
                break
            if due is not None and now >= due and self._moment is not None:
                due = None
                at() if at is not None else os.kill(self.pid, self._moment.number)
            if now > limit:
                os.killpg(self.pid, signal.SIGKILL)
                limit = float("inf")
            time.sleep(0.001)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        texts = [(self._logs / name).read_text("utf-8", "replace") for name in ("stdout", "stderr")]
        counted = self._logs / "events"
        events = int(counted.read_text() or 0) if counted.exists() else 0
        return Ended(code, texts[0], texts[1], now, events, self.pid)


def run(
    name: str,
    argv: Sequence[str],
    out: Path,
    logs: Path,
    limit: float = LONG,
    moment: Optional[Moment] = None,
    modules: Optional[Path] = None,
) -> Ended:
    """Run tools/`name`.py to its end. modules: a file for the names of the modules that it has loaded then."""
    return Run(name, argv, out, logs, moment, modules).ended(limit)


def _child(
    main: Callable[[Sequence[str]], int],
    name: str,
    argv: Sequence[str],
    out: Path,
    logs: Path,
    moment: Optional[Moment],
    modules: Optional[Path],
) -> None:
    """Never returns."""
    status = 99
    try:
        os.setsid()
        for file, descriptor in (("stdout", 1), ("stderr", 2)):
            os.dup2(os.open(logs / file, os.O_WRONLY), descriptor)
        os.chdir(logs)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.argv = [str(TOOLS / f"{name}.py"), *argv]
        changes = _Changes(out, moment)
        for number in STOPS:
            signal.signal(number, signal.SIG_DFL)
        stopping.end_at_once()  # as in a script
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        if moment is not None and moment.file_bytes is not None:
            refused = moment.number == signal.SIGXFSZ
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN if refused else signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (moment.file_bytes, moment.file_bytes))
        status = run_tool(main, list(argv))
        changes.done = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        (logs / "events").write_text(str(changes.count))
        if modules is not None:
            modules.write_text("\n".join(name for name in sys.modules if name.partition(".")[0] in WARM))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


class _Changes:
    """Counts what this process does to files below a folder, and ends it at a moment: an audit hook sees it all."""

    def __init__(self, out: Path, moment: Optional[Moment]) -> None:
        self._out, self._moment = str(out), moment
        self.count, self.done = 0, False
        for module, name in ((os, "fsync"), (os, "ftruncate"), (os, "pwrite"), (os, "fchmod"), (fcntl, "flock")):
            setattr(module, name, self._noticed(getattr(module, name)))
        sys.addaudithook(self._hook)

    def _noticed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def noticing(*arguments: Any) -> Any:
            self._note()
            return function(*arguments)

        return noticing

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or self.done:
            return
        if event == "open" and not _writes(arguments):
            return
        paths = [os.fsdecode(path) for path in arguments[:2] if isinstance(path, (str, bytes, os.PathLike))]
        if any(path.startswith(self._out) for path in paths):
            self._note()

    def _note(self) -> None:
        self.count += 1
        if self._moment is not None and self.count == self._moment.event:
            os.kill(os.getpid(), self._moment.number)


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & WRITING)
