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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from tests.campaign.plain_decoding import decode_differently
from tests.campaign.readings import Refused, difference
from tests.campaign.surfaces import ENGINES, SURFACES, Surface
from tests.goldens.e2e import TOOLS
from vmz.cli.shared.running import run_tool
from vmz.text import printable

SECONDS = 60
BYTES = 2 << 30
KINDS_SHOWN = 12
LONGEST_LINE = 4000  # characters of an error that a person still reads
ACCEPTED, REFUSED, DIFFER = "accepted", "refused", "engines differ"
OF_FFMPEG = "FFmpeg's builds differ"
FOUND = "found"  # a file's name
NOTES = ("warning:", "dense prediction", "reading ")  # how lines begin that are no error
LACKS = ("MemoryError", "out of memory", "enough memory", "bad_alloc")
UNCLEAN = re.compile(r"Traceback|internal error|This is a bug in VMZ")
ROOMS = (
    "evaluation.aggregation datasets.official_lists features.dense_prediction features.extraction "
    "settings.self_description training.checkpoints training.history datasets.video_lists model.loading "
    "finetuning.split datasets.named_videos inspection.dump_clips cli.predict cli.export cli.finetune"
)
BASE_MODULES = (
    "h5py",
    "vmz.inspection.convert_net",
    "vmz.features.video_index",
    *(f"vmz.{name}" for name in ROOMS.split()),
)


@dataclass(frozen=True)
class Outcome:
    """`what` is ACCEPTED, REFUSED (in one clean sentence), or the fault: a signal, a hang, memory, an unclean end.

    found: what a reader made of the input, to be compared with another's.
    """

    what: str
    says: str
    found: str = ""

    @property
    def is_fault(self) -> bool:
        return self.what not in (ACCEPTED, REFUSED, OF_FFMPEG)


def read_by_all(surface: Surface, content: bytes, seconds: int = SECONDS) -> list[Outcome]:
    """The outcome of each engine of the surface. Where two of them found different things, that is the second's.

    It is no fault where the two builds of FFmpeg behind them do not decode the video alike.
    """
    outcomes = [read_one(surface, content, seconds, engine) for engine in surface.engines]
    if len(outcomes) == 2 and not any(outcome.is_fault for outcome in outcomes):
        differs = difference(*(outcome.found for outcome in outcomes))
        if differs:
            of_ffmpeg = surface.video is not None and decode_differently(surface.video(content))
            outcomes[1] = Outcome(OF_FFMPEG if of_ffmpeg else DIFFER, differs)
    return outcomes


def read_one(surface: Surface, content: bytes, seconds: int = SECONDS, engine: str = "") -> Outcome:
    """Write the input to a folder of its own and read it in a child process."""
    folder = Path(tempfile.mkdtemp(prefix="vmz_campaign_"))
    try:
        path = folder / "in" / f"input{surface.suffix}"
        path.parent.mkdir()
        path.write_bytes(content)
        sys.stdout.flush()
        child = os.fork()
        if not child:
            _child(surface, path, folder, seconds, engine)
        status, usage = _waited(child, seconds + 5)
        said, found = (
            place.read_text("utf-8", "replace") if place.exists() else ""
            for place in (folder / "stderr", folder / FOUND)
        )
        return replace(_judged(status, usage, said), found=found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _child(surface: Surface, path: Path, folder: Path, seconds: int, engine: str) -> None:
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
            if not engine:
                surface.read(path)
                return 0
            try:
                found = surface.read(path, engine)
            except Refused as error:
                (folder / FOUND).write_text(error.found)
                raise
            (folder / FOUND).write_text(str(found))
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
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(NOTES)]
    shown = " | ".join(lines)[:400]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return Outcome("hang" if number in (signal.SIGXCPU, signal.SIGKILL) else signal.Signals(number).name, shown)
    if usage.ru_maxrss * 1024 > BYTES or any(text in said for text in LACKS):
        return Outcome("memory", shown)
    code = os.WEXITSTATUS(status)
    if not code:
        return Outcome(ACCEPTED, shown)
    if code not in (1, 2) or UNCLEAN.search(said):
        return Outcome("unclean", shown)
    if len(lines) != 1 or not lines[0].startswith("error: ") or printable(lines[0]) != lines[0]:
        return Outcome("not one sentence", shown)
    if len(lines[0]) > LONGEST_LINE:
        return Outcome("endless sentence", shown)
    return Outcome(REFUSED, shown)


def run(
    surface: Surface, seed: int, inputs: int, keep: Optional[Path] = None, seconds: int = SECONDS
) -> dict[str, list[Outcome]]:
    """By engine, the outcome of inputs 0 to inputs - 1; those that end in a fault are kept."""
    found: dict[str, list[Outcome]] = {engine: [] for engine in surface.engines}
    for number, content in enumerate(surface.make(seed, number) for number in range(inputs)):
        outcomes = read_by_all(surface, content, seconds)
        for engine, outcome in zip(surface.engines, outcomes):
            found[engine].append(outcome)
        if any(outcome.is_fault for outcome in outcomes) and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{surface.name.replace(' ', '_')}_{seed}_{number}{surface.suffix}").write_bytes(content)
    return found


def row(name: str, outcomes: list[Outcome]) -> str:
    """A line of the table: inputs, accepted, clean errors, faults; and the rest, where FFmpeg's builds differ."""
    counts = Counter(outcome.what for outcome in outcomes)
    faults = sum(outcome.is_fault for outcome in outcomes)
    return f"{name:18} {len(outcomes):7} {counts[ACCEPTED]:9} {counts[REFUSED]:13} {faults:7} {counts[OF_FFMPEG]:14}"


def prepare_engines() -> None:
    """Import what the readers need, once for all children."""
    import vmz.inspection.dump_clips

    if "caffe2" in ENGINES:
        import vmz.engines.caffe2_engine.engine
        import vmz.engines.caffe2_engine.workspace

        vmz.engines.caffe2_engine.workspace.load_operators()


def _print_faults(outcomes: list[Outcome]) -> None:
    """Each kind of fault once, with the number of the first input of that kind."""
    kinds: dict[tuple[str, str], list[int]] = {}
    for number, one in enumerate(outcomes):
        if one.is_fault:
            kinds.setdefault(
                (one.what, re.sub(r"\S*vmz_campaign\S*|[\da-f]*\d[\da-f]*", "#", one.says)[:300]), []
            ).append(number)
    for (what, says), numbers in sorted(kinds.items(), key=lambda kind: -len(kind[1]))[:KINDS_SHOWN]:
        print(f"    {len(numbers)} x {what} (input {numbers[0]}): {says}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--surface", action="append", help="one of them, may be given again; not given: all")
    parser.add_argument("--replay", type=Path, nargs="+", help="files to read instead, as --keep left them")
    parser.add_argument("--keep", type=Path, help="folder for inputs that end in a fault")
    options = parser.parse_args()
    sys.path.append(str(TOOLS))
    for module in BASE_MODULES:
        __import__(module)
    prepare_engines()
    print(
        f"seed {options.seed}\n{'surface':18} {'inputs':>7} {'accepted':>9} {'clean errors':>13} {'faults':>7} "
        f"{'FFmpeg differs':>14}"
    )
    total: list[Outcome] = []
    for surface in SURFACES:
        if options.surface and surface.name not in options.surface:
            continue
        if options.replay:
            files = [path.read_bytes() for path in options.replay]
            surface = replace(surface, make=lambda seed, number: files[number])  # noqa: B023
            options.inputs = len(files)
        by_engine = run(surface, options.seed, options.inputs, options.keep, options.seconds)
        for engine, outcomes in by_engine.items():
            total += outcomes
            print(row(f"{surface.name} {engine}", outcomes), flush=True)
            _print_faults(outcomes)
    print(row("all", total))
    return int(any(outcome.is_fault for outcome in total))


if __name__ == "__main__":
    sys.exit(main())
