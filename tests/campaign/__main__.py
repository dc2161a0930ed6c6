"""The campaign: files gone wrong, killed runs and a soak, in each environment that is there; one table.

    python -m tests.campaign [--inputs 10000] [--kills 50] [--clips 100000] [--seed 1] [--output campaign.json]

`make campaign` runs it. An environment is a Python with its engine: .venv (PyTorch), .venv-caffe2 (real Caffe2). Each
part runs in all of them at the same time. Exit status 1 where there is any fault; what failed is kept in --keep.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

from tests.campaign.surfaces import SURFACES
from vmz.files import write_json
from vmz.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = {"pytorch": ".venv", "caffe2": ".venv-caffe2"}
HEAD = f"{'surface':33} {'engine':8} {'inputs':>7} {'accepted':>9} {'clean errors':>13} {'faults':>7} {'seconds':>8}"


@dataclass
class Row:
    """A line of the table. accepted, clean_errors: None where a part has no such thing."""

    surface: str
    engine: str
    inputs: int
    accepted: Optional[int]
    clean_errors: Optional[int]
    faults: int
    seconds: float
    notes: list[str] = field(default_factory=list)  # the faults in words

    def line(self) -> str:
        accepted, errors = ("-" if count is None else str(count) for count in (self.accepted, self.clean_errors))
        counts = f"{self.inputs:7} {accepted:>9} {errors:>13} {self.faults:7} {self.seconds:8.0f}"
        return "\n".join([f"{self.surface:33} {self.engine:8} {counts}", *self.notes])


def input_row(line: str, engine: str, seconds: float) -> Optional[Row]:
    """The row that a line of tests.campaign.isolated is, None where it is none. The sum over all is left to us."""
    found = re.match(r"(\S.*?)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$", line)
    if found is None or found[1] == "all":
        return None
    name, _, reader = found[1].rpartition(" ")
    other = reader if reader in ENVIRONMENTS and name else ""
    surface = f"{name} ({other})" if other and other != engine else name if other else found[1]
    inputs, accepted, clean_errors, faults = (int(found[place]) for place in (2, 3, 4, 5))
    row = Row(surface, engine, inputs, accepted, clean_errors, faults, seconds)
    if int(found[6]):
        row.notes.append(f"    {found[6]} left out: the two builds of FFmpeg decode them differently, without VMZ too")
    return row


def run_row(line: str, engine: str, seconds: float) -> Optional[Row]:
    """The same for a line of tests.campaign.runs: a run that came to the same end was accepted."""
    found = re.match(r"(\S.*?)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$", line)
    if found is None or found[1] == "all":
        return None
    return Row(" ".join(found[1].split()), engine, int(found[2]), int(found[3]), None, int(found[4]), float(found[5]))


def soak_row(line: str, engine: str, seconds: float) -> Optional[Row]:
    found = re.match(r"soak, \w+: (\d+) clips .*; (\d+) faults$", line)
    if found is None:
        return None
    return Row("soak (clips)", engine, int(found[1]), None, None, int(found[2]), seconds, [f"    {line}"])


Reading = Callable[[str, str, float], Optional[Row]]


class Campaign:
    """Parts that run in all environments at a time, and what came of them."""

    def __init__(self, environments: Sequence[str], seed: int, logs: Path) -> None:
        self.environments, self.seed, self.logs = environments, seed, logs
        self.rows: list[Row] = []
        self._lock = threading.Lock()
        logs.mkdir(parents=True, exist_ok=True)

    def part(self, title: str, steps: int, reading: Reading, module: str, *arguments: str) -> None:
        """Run a module of tests.campaign in each environment. ENGINE in an argument stands for its engine's name."""
        with Progress(steps * len(self.environments), "steps", title) as shown:
            threads = [
                threading.Thread(target=self._run, args=(engine, reading, module, arguments, shown))
                for engine in self.environments
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _run(self, engine: str, reading: Reading, module: str, arguments: Sequence[str], shown: Progress) -> None:
        python = ROOT / ENVIRONMENTS[engine] / "bin/python"
        asked = [argument.replace("ENGINE", engine) for argument in arguments]
        command = [str(python), "-W", "ignore", "-m", f"tests.campaign.{module}", *asked]
        began = last = time.monotonic()
        errors, lines, mine = self.logs / f"{module}_{engine}.log", [], None
        with (
            errors.open("w") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                row = reading(line.rstrip(), engine, time.monotonic() - last)
                if row is not None:
                    mine, last = row, time.monotonic()
                    with self._lock:
                        self.rows.append(row)
                        shown.update(1, f"{row.surface} on {engine}: {row.faults} faults")
                elif mine is not None and line.startswith("    "):
                    mine.notes.append(line.rstrip())
        (self.logs / f"{module}_{engine}.txt").write_text("".join(lines))
        with self._lock:
            found = [row for row in self.rows if row.engine == engine and row.faults]
            if (process.returncode and not found) or mine is None:  # it did not come to its end
                last_words = errors.read_text(errors="replace").strip().splitlines()[-1:]
                self.rows.append(
                    Row(f"{module} did not end", engine, 0, None, None, 1, time.monotonic() - began,
                        [f"    status {process.returncode}: {' '.join(last_words)[:300]}; see {errors}"])
                )  # fmt: skip

    def table(self) -> str:
        """All rows and their sum."""
        summed = ("inputs", "accepted", "clean_errors", "faults", "seconds")
        sums: dict[str, Any] = {name: sum(getattr(row, name) or 0 for row in self.rows) for name in summed}
        everything = Row("all", "", **sums)
        return "\n".join([HEAD, *(row.line() for row in self.rows), everything.line()])


def machine() -> str:
    """Cores and system, for the record."""
    return f"{len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}, {platform.machine()}"


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="files in all, over surfaces and environments")
    parser.add_argument("--kills", type=int, default=50, help="of each writer on each engine; 0: leave the runs out")
    parser.add_argument("--clips", type=int, default=100_000, help="of the soak on each engine; 0: leave it out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=ROOT / "build/campaign", help="folder for what fails, and logs")
    parser.add_argument("--output", metavar="FILE", help="the table as JSON")
    options = parser.parse_args(argv)
    here = [name for name, folder in ENVIRONMENTS.items() if (ROOT / folder / "bin/python").exists()]
    for name in set(ENVIRONMENTS) - set(here):
        print(f"*** NOT RUN on {name}: there is no {ENVIRONMENTS[name]}", file=sys.stderr)
    began = time.monotonic()
    campaign = Campaign(here, options.seed, options.keep / "logs")
    seed, keep = f"--seed={options.seed}", f"--keep={options.keep}/ENGINE"
    each = -(-options.inputs // (len(SURFACES) * len(here)))
    if each:
        campaign.part("files", len(SURFACES), input_row, "isolated", f"--inputs={each}", seed, keep)
    if options.kills:
        if importlib.util.find_spec("tests.campaign.runs") is None:
            print("*** NOT RUN: kills and signals; there is no tests/campaign/runs.py", file=sys.stderr)
        else:
            campaign.part("runs", 40, run_row, "runs", f"--kills={options.kills}", seed, keep, "--engine=ENGINE")
    if options.clips:
        campaign.part("soak", 1, soak_row, "soak", f"--clips={options.clips}", "--engine=ENGINE")
    seconds = round(time.monotonic() - began)
    print(f"seed {options.seed}; {machine()}; {seconds} s\n{campaign.table()}")
    faults = sum(row.faults for row in campaign.rows)
    if faults:
        print(f"{faults} faults; what failed is in {options.keep}")
    if options.output:
        rows = [asdict(row) for row in campaign.rows]
        found = {"seed": options.seed, "machine": machine(), "seconds": seconds, "faults": faults, "rows": rows}
        write_json(options.output, found)
    return int(faults > 0 or not campaign.rows)


if __name__ == "__main__":
    sys.exit(main())
