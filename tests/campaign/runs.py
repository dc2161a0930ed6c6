"""Runs of everything that writes, killed, stopped, without room and against one another: what became of each.

    python -m tests.campaign.runs --kills 50 --seed 1 [--writer NAME] [--engine caffe2] [--keep FOLDER]

Runs are forked from a process that has imported all. A table is printed: what was tried, how often the run after it
gave bit by bit what an undisturbed one gives, faults. The exit status is 1 where there is a fault.
"""

from __future__ import annotations

import os

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is loaded

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import torch

from tests.campaign.disturbed import kills, troubles
from tests.campaign.disturbed.cases import Case
from tests.campaign.disturbed.writers import WRITERS, Inputs, Writer, here
from tests.goldens.e2e import TOOLS

Attempt = Callable[[Case, random.Random], tuple[bool, str, str]]
# {what: (how it is done, of so many kills one)}
ATTEMPTS: Mapping[str, tuple[Attempt, int]] = {
    "kill": (kills.kill_once, 1),
    "stop": (kills.stop_once, 2),
    "stop at start": (kills.stop_early, 10),
    "disk full": (troubles.full_once, 3),
    "read-only": (troubles.read_only_once, 25),
    "two at once": (troubles.two_once, 5),
    "data remade": (troubles.remade_once, 5),
}
SHARED_MEMORY = Path("/dev/shm")  # fsync takes no time there
GIVEN_UP = 4  # times as many attempts as kills: a moment may come after the end of a run


@dataclass
class Found:
    """What became of one kind of attempt. equal: how many were followed by all that an undisturbed run gives."""

    writer: str
    engine: str
    what: str
    tried: int = 0
    equal: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def row(self) -> str:
        counts = f"{self.tried:6} {self.equal:6} {len(self.faults):7} {self.seconds:8.0f}"
        return f"{self.writer:18} {self.engine:8} {self.what:14} {counts}"


HEAD = f"{'writer':18} {'engine':8} {'what':14} {'tried':>6} {'equal':>6} {'faults':>7} {'seconds':>8}"


def attempts(case: Case, what: str, count: int, seed: int, keep: Optional[Path] = None) -> Found:
    """`count` runs that were disturbed in one way."""
    found = Found(case.writer.name, case.engine, what)
    if not troubles.possible(case, what):
        return found
    attempt, started = ATTEMPTS[what][0], time.monotonic()
    draw = random.Random(zlib.crc32(f"{seed} {case.writer.name} {case.engine} {what}".encode()))
    for number in range(GIVEN_UP * count):
        if found.tried >= count:
            break
        disturbed, where, wrong = attempt(case, draw)
        found.tried += disturbed
        found.equal += disturbed and not wrong
        if wrong:
            found.faults.append(f"{where}: {wrong}")
            if keep is not None:
                name = f"{case.writer.name}_{case.engine}_{what}_{seed}_{number}".replace(" ", "_")
                shutil.copytree(case.out.parent, keep / name, symlinks=True, dirs_exist_ok=True)
    found.seconds = time.monotonic() - started
    return found


def prepared() -> None:
    """What the process that is forked has loaded."""
    sys.path.append(str(TOOLS))
    torch.set_num_threads(1)
    from vmz.report.page import TEMPLATES, _environment

    for path in TEMPLATES.rglob("*.html"):
        _environment().get_template(str(path.relative_to(TEMPLATES)))


def campaign(
    chosen: list[tuple[Writer, str]], count: int, seed: int, whats: list[str], keep: Optional[Path], folder: Path
) -> list[Found]:
    """All of it, each row printed when it is done."""
    prepared()
    inputs, total = Inputs(folder / "in"), []
    for writer, engine in chosen:
        case = Case(writer, engine, inputs, folder / f"{writer.name}_{engine}".replace(" ", "_"))
        for what in whats:
            found = attempts(case, what, -(-count // ATTEMPTS[what][1]), seed, keep)
            if not found.seconds:
                continue
            total.append(found)
            print(found.row(), flush=True)
            kinds = Counter(
                re.sub(r"/\S*vmz_runs_\w+|\b[0-9a-f]{8}\b|[\d.]*\d+(?! is|,)", "#", fault) for fault in found.faults
            )
            for text, times in kinds.most_common(8):
                print(f"    {times} x {text[:500]}", flush=True)
        shutil.rmtree(case.out.parent)
    return total


def chosen_writers(names: Optional[list[str]], engine: Optional[str]) -> list[tuple[Writer, str]]:
    """What this Python can run: those that take --engine on each engine, the others once."""
    found = []
    for writer in WRITERS:
        for one in ("pytorch", "caffe2") if writer.with_engine else ("-",):
            if (names is None or writer.name in names) and (one == "-" or engine in (None, one)) and here(writer, one):
                found.append((writer, one))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each writer on each engine; the rest in proportion")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writer", action="append", help="one of them, may be repeated; not given: all")
    parser.add_argument("--engine", choices=("pytorch", "caffe2"), help="not given: those of this Python")
    parser.add_argument("--what", action="append", choices=ATTEMPTS, help="not given: all")
    parser.add_argument("--keep", type=Path, help="folder for what a fault leaves")
    options = parser.parse_args()
    place = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="vmz_runs_", dir=place))
    print(f"seed {options.seed}\n{HEAD}", flush=True)
    try:
        total = campaign(
            chosen_writers(options.writer, options.engine),
            options.kills, options.seed, options.what or list(ATTEMPTS), options.keep, folder,
        )  # fmt: skip
    finally:
        troubles.unmount_all()
        shutil.rmtree(folder, ignore_errors=True)
    faults = sum(len(found.faults) for found in total)
    tried, equal = sum(found.tried for found in total), sum(found.equal for found in total)
    print(f"{'all':42} {tried:6} {equal:6} {faults:7} {sum(found.seconds for found in total):8.0f}")
    if troubles.without_mount():
        print("mounting a disk in memory is not permitted: full disks were files of a limited size instead")
    return int(faults > 0 or not tried)


if __name__ == "__main__":
    sys.exit(main())
