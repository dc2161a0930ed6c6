"""Inputs of a surface, each read in a process of its own that has limits: what became of each.

    python -m tests.campaign.isolated --inputs 500 --seed 1 [--surface pickle] [--keep FOLDER]

The process that reads is forked from one that has imported everything: an input takes milliseconds, not seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from tests.campaign.surfaces import SURFACES, Surface
from tests.e2e import TOOLS
from vmz.workflows.command import run_tool

SECONDS = 60
BYTES = 2 << 30
LONGEST_LINE = 4000  # characters of an error that a person still reads
ACCEPTED, REFUSED = "accepted", "refused"
UNCLEAN = re.compile(r"Traceback|a fault of VMZ|internal error|This is a bug in VMZ")
WORKFLOWS = "aggregate dataset_lists dense extract own_checkpoints training_checkpoints training_history video_lists"
BASE_MODULES = (
    "h5py",
    "vmz.workflows.convert_net",
    "vmz.workflows.video_index",
    *(f"vmz.workflows.{name}" for name in WORKFLOWS.split()),
)


@dataclass(frozen=True)
class Outcome:
    """`what` is ACCEPTED, REFUSED (in one clean sentence), or the fault: a signal, a hang, memory, an unclean end."""

    what: str
    says: str

    @property
    def is_fault(self) -> bool:
        return self.what not in (ACCEPTED, REFUSED)


def read_one(surface: Surface, content: bytes, seconds: int = SECONDS) -> Outcome:
    """Write the input to a folder of its own and read it in a child process."""
    folder = Path(tempfile.mkdtemp(prefix="vmz_campaign_"))
    try:
        path = folder / "in" / f"input{surface.suffix}"
        path.parent.mkdir()
        path.write_bytes(content)
        sys.stdout.flush()
        child = os.fork()
        if not child:
            _child(surface, path, folder, seconds)
        status, usage = _waited(child, seconds + 5)
        said = (folder / "stderr").read_text("utf-8", "replace") if (folder / "stderr").exists() else ""
        return _judged(status, usage, said)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _child(surface: Surface, path: Path, folder: Path, seconds: int) -> None:
    """Never returns."""
    status = 99
    try:
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 2))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))

        def main(argv: object) -> int:
            surface.read(path)
            return 0

        status = run_tool(main, [])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _waited(child: int, seconds: float) -> tuple[int, resource.struct_rusage]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return status, usage
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return status, usage


def _judged(status: int, usage: resource.struct_rusage, said: str) -> Outcome:
    lines = [
        line for line in said.splitlines() if line.strip() and not line.startswith(("warning:", "dense prediction"))
    ]
    shown = " | ".join(lines)[:400]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return Outcome("hang" if number in (signal.SIGXCPU, signal.SIGKILL) else signal.Signals(number).name, shown)
    if usage.ru_maxrss * 1024 > BYTES or "MemoryError" in said or "out of memory" in said:
        return Outcome("memory", shown)
    code = os.WEXITSTATUS(status)
    if not code:
        return Outcome(ACCEPTED, shown)
    if code not in (1, 2) or UNCLEAN.search(said):
        return Outcome("unclean", shown)
    if len(lines) != 1 or not lines[0].startswith("error: ") or not lines[0].isprintable():
        return Outcome("not one sentence", shown)
    if len(lines[0]) > LONGEST_LINE:
        return Outcome("endless sentence", shown)
    return Outcome(REFUSED, shown)


def run(surface: Surface, seed: int, inputs: int, keep: Optional[Path] = None, seconds: int = SECONDS) -> list[Outcome]:
    """The outcome of inputs 0 to inputs - 1; those that end in a fault are kept."""
    found = []
    for number in range(inputs):
        content = surface.make(seed, number)
        outcome = read_one(surface, content, seconds)
        found.append(outcome)
        if outcome.is_fault and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{surface.name.replace(' ', '_')}_{seed}_{number}{surface.suffix}").write_bytes(content)
    return found


def row(name: str, outcomes: list[Outcome]) -> str:
    """A line of the table: inputs, accepted, clean errors, faults."""
    counts = Counter(outcome.what for outcome in outcomes)
    faults = sum(outcome.is_fault for outcome in outcomes)
    return f"{name:16} {len(outcomes):7} {counts[ACCEPTED]:9} {counts[REFUSED]:13} {faults:7}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--surface", help="one of them; not given: all")
    parser.add_argument("--keep", type=Path, help="folder for inputs that end in a fault")
    options = parser.parse_args()
    sys.path.append(str(TOOLS))
    for module in BASE_MODULES:
        __import__(module)
    print(f"seed {options.seed}\n{'surface':16} {'inputs':>7} {'accepted':>9} {'clean errors':>13} {'faults':>7}")
    total: list[Outcome] = []
    for surface in SURFACES:
        if options.surface in (None, surface.name):
            outcomes = run(surface, options.seed, options.inputs, options.keep, options.seconds)
            total += outcomes
            print(row(surface.name, outcomes), flush=True)
            faults = Counter((one.what, re.sub(r"\S*vmz_campaign\S*|\d+", "#", one.says)[:200]) for one in outcomes
                             if one.is_fault)  # fmt: skip
            for (what, says), count in faults.most_common(12):
                print(f"    {count} x {what}: {says}", flush=True)
    print(row("all", total))
    return int(any(outcome.is_fault for outcome in total))


if __name__ == "__main__":
    sys.exit(main())
