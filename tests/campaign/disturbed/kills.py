"""Runs that are killed or told to stop at random moments, and what becomes of them when they are run again."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.campaign.disturbed.cases import Case, unclean
from tests.campaign.disturbed.forked import Ended, Moment
from tests.goldens.e2e import TOOLS
from tests.support.processes import ONE_THREAD

LINES: dict[int, str] = {signal.SIGINT: "interrupted", signal.SIGTERM: "stopped by SIGTERM"}
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}")
KILLED = (-signal.SIGKILL, -signal.SIGXFSZ)
LARGEST = 1 << 20  # bytes: about as much as the largest file of a run has


def drawn(case: Case, draw: random.Random, number: int = signal.SIGKILL) -> Moment:
    """Of three kinds: before one of the run's changes of files; any time; for kills, amid a write."""
    kind = draw.randrange(3 if number == signal.SIGKILL else 2)
    if kind == 0:
        return Moment(number, event=draw.randint(1, max(1, case.undisturbed.events)))
    if kind == 1:
        return Moment(number, seconds=draw.uniform(0, case.undisturbed.seconds))
    return Moment(number, file_bytes=int(LARGEST ** draw.uniform(0.15, 1)))


def kill_once(case: Case, draw: random.Random) -> tuple[bool, str, str]:
    """(whether a run was killed, its moment, what went wrong)."""
    case.empty()
    moment = drawn(case, draw)
    ended = case.run(moment)
    if ended.status not in KILLED:
        if ended.status and moment.file_bytes:  # what could not write says so
            return False, str(moment), unclean(ended) or case.wrong_on_the_way() or case.wrong_end(case.run())
        return False, str(moment), case.wrong_end(ended)
    wrong = case.wrong_on_the_way()
    if not wrong and draw.random() < 0.25:  # the run that goes on is killed too
        case.run(drawn(case, draw))
        wrong = case.wrong_on_the_way()
    left = [name for name in case.hidden() if TEMPORARY.fullmatch(Path(name).name) and ".parts" not in name]
    after = case.run()
    wrong = wrong or case.wrong_end(after) or _unnamed(left, after)
    return True, str(moment), wrong


def _unnamed(left: list[str], after: Ended) -> str:
    """A temporary file that the next run removed, and did not say so."""
    if not left or "more in" in after.errors:
        return ""
    missing = [name for name in left if Path(name).name not in after.errors]
    return f"removed, but not named: {', '.join(missing)}" if missing else ""


def stop_once(case: Case, draw: random.Random) -> tuple[bool, str, str]:
    """The same for SIGINT and SIGTERM."""
    case.empty()
    number = draw.choice(list(LINES))
    moment = drawn(case, draw, number)
    ended = case.run(moment)
    if ended.status in (0, -number):  # the second after its work is done
        return False, str(moment), case.wrong_end(replace(ended, status=0))
    left = case.hidden()
    wrong = wrong_stop(ended, number) or case.wrong_on_the_way()
    wrong = wrong or (f"left behind: {', '.join(left)}" if left else "")
    return True, str(moment), wrong or case.wrong_end(case.run())


def wrong_stop(ended: Ended, number: int) -> str:
    last = (ended.errors.strip().splitlines() or [""])[-1]
    if ended.status != 128 + number:
        return f"status {ended.status}, not {128 + number}: {ended.errors[-300:]}"
    if "Traceback" in ended.errors or not last.startswith((LINES[number], "error: stopped by SIG")):
        return f"not one sentence: {ended.errors[-400:]}"
    return ""


def stop_early(case: Case, draw: random.Random) -> tuple[bool, str, str]:
    """A signal to a real process, from the first moment on at which a script can answer, while it imports."""
    case.empty()
    number, delay = draw.choice(list(LINES)), draw.choice((draw.uniform(0, 0.5), draw.uniform(0, 4)))
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(TOOLS / f"{case.writer.tool}.py"), *case.argv],
        cwd=case.logs, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while process.poll() is None and not _listens(process.pid):
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(number)
    errors = process.communicate(timeout=120)[1]
    ended = Ended(process.returncode, "", errors, time.monotonic() - started, 0, process.pid)
    where = f"{signal.Signals(number).name} {delay:.3f} s after the start"
    if ended.status == 0:
        return False, where, case.wrong_end(ended)
    left = case.hidden()
    wrong = wrong_stop(ended, number) or case.wrong_on_the_way()
    return True, where, wrong or (f"left behind: {', '.join(left)}" if left else "")


def _listens(pid: int) -> bool:
    """Whether the process has a handler for SIGTERM: Python has none of its own."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1)
