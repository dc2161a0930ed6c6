"""What all benchmarks share: runs in turns on an idle machine, medians with their spread, the machine's own limits.

Each measures peers side by side in one run: what else the machine does meets all of them. Compare ratios rather than
milliseconds. `Timing` has wall and CPU seconds of each round.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Optional, Union

import torch

from vmz.cores import available_cores

MOST_BUSY = 0.1  # of all cores, what others may use while we wait
LOOK_S = 1.0
GEMM, COPY = 2048, 1 << 26  # side of the matrices; floats copied


@dataclass
class Timing:
    """Seconds of each round of one run: wall, and CPU of all threads of its process."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.wall)

    def divided(self, by: int) -> Timing:
        """Of one of `by` clips that a run had."""
        return Timing([value / by for value in self.wall], [value / by for value in self.cpu])

    @property
    def middle_half(self) -> tuple[float, float]:
        if len(self.wall) < 2:
            return self.wall[0], self.wall[0]
        low, _, high = statistics.quantiles(self.wall, n=4)
        return low, high


def add_options(parser: argparse.ArgumentParser, rounds: int = 7) -> None:
    """--threads, --rounds, --busy, --output."""
    parser.add_argument("--threads", type=int, default=min(2, available_cores()), help="CPU threads of each peer")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"timed runs of each, in turns; {rounds} by default")
    parser.add_argument("--busy", action="store_true", help="run on a busy machine too; the table then says so")
    parser.add_argument("--output", type=Path, help="write the tables as JSON, too")


def idle_or_exit(busy: bool = False) -> float:
    """The share of the cores that others use now; SystemExit where that is more than MOST_BUSY, unless `busy`."""
    share = busy_share()
    if share > MOST_BUSY and not busy:
        raise SystemExit(
            f"the machine is busy: other processes use {100 * share:.0f} % of its {os.cpu_count()} cores (load "
            f"{os.getloadavg()[0]:.1f}); wait, or give --busy to measure anyway"
        )
    return share


def busy_share() -> float:
    """Of all cores' time in the next second, what is not idle. 0 where the system does not say."""
    try:
        before = _ticks()
        time.sleep(LOOK_S)
        spent = [after - start for start, after in zip(before, _ticks())]
        return 1 - (spent[3] + spent[4]) / max(sum(spent[:8]), 1)  # idle, and waiting for a disk
    except (OSError, ValueError, IndexError):
        return 0.0


def _ticks() -> list[int]:
    with open("/proc/stat") as stream:
        return [int(number) for number in stream.readline().split()[1:]]


def process_peak() -> float:
    """The most memory that this process has held, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@dataclass(frozen=True)
class Prepared:
    """What a Worker's process runs in its turns. said: what it has to say before, for `pickle`. peak: see Worker."""

    run: Callable[[], Any]
    said: Any = None
    peak: Callable[[], float] = process_peak


class Worker:
    """A peer in a process of its own: what one asks of the C library, the processor's affinity or threads that wait for
    work would help or hinder the others.

    prepare(*arguments) runs there and gives a Prepared; both go through `pickle`. Raises RuntimeError with the message
    of what prepare raised.
    """

    def __init__(self, prepare: Callable[..., Optional[Prepared]], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, prepare, arguments), daemon=True)
        self._process.start()
        theirs.close()
        try:
            is_ready, self.said = self._pipe.recv()
        except EOFError:
            is_ready, self.said = False, "its process died"
        if not is_ready:
            raise RuntimeError(self.said)

    def timed(self) -> tuple[float, float]:
        """Wall and CPU seconds of one run."""
        self._pipe.send("run")
        seconds: tuple[float, float] = self._pipe.recv()
        return seconds

    def close(self) -> float:
        """End it. The peak of its memory in GiB: the process's, or as the peer counts it."""
        self._pipe.send("end")
        peak: float = self._pipe.recv()
        self._process.join()
        return peak


def _work(pipe: Any, prepare: Callable[..., Optional[Prepared]], arguments: tuple[Any, ...]) -> None:
    try:
        prepared = prepare(*arguments)
    except Exception as error:
        pipe.send((False, f"{type(error).__name__}: {error}"))
        return
    if prepared is None:
        pipe.send((False, "it has no such network"))
        return
    pipe.send((True, prepared.said))
    while pipe.recv() == "run":
        pipe.send(_timed(prepared.run))
    pipe.send(prepared.peak())


def _timed(run: Union[Callable[[], Any], Worker]) -> tuple[float, float]:
    if isinstance(run, Worker):
        return run.timed()
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def interleaved(
    runs: Mapping[str, Union[Callable[[], Any], Worker]], rounds: int, warm_up: int = 1, before: int = 0
) -> dict[str, Timing]:
    """The runs in turns, `rounds` times after `warm_up` rounds that do not count; each round begins with another one.

    before: runs at the beginning of a turn that do not count, so that caches hold what is the peer's.
    """
    names = list(runs)
    found = {name: Timing() for name in names}
    for number in range(warm_up + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            for _ in range(before):
                _timed(runs[name])
            wall, cpu = _timed(runs[name])
            if number >= warm_up:
                found[name].wall.append(wall)
                found[name].cpu.append(cpu)
    return found


@dataclass(frozen=True)
class Limits:
    """What the machine can do, measured: matrix products in GFLOP/s by precision, a copy in GB/s read and written."""

    gflops: Mapping[str, float]
    gigabytes: float

    def of_products(self, flops: float, seconds: float, precision: str) -> str:
        """What share of its matrix products a computation reaches."""
        return f"{100 * flops / seconds / 1e9 / self.gflops[precision]:.0f} % of products"

    def __str__(self) -> str:
        fp32, bf16 = (self.gflops[name] for name in ("fp32", "bf16"))
        return f"matrix products {fp32:.0f} GFLOP/s in fp32, {bf16:.0f} in bf16; copies {self.gigabytes:.1f} GB/s"


def limits(threads: int, device: str = "cpu") -> Limits:
    """Of the CPU on `threads` threads, or of a GPU; the best of five of each."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        gflops = {}
        for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            left, right = (torch.randn(GEMM, GEMM, device=device).to(kind) for _ in range(2))
            gflops[name] = 2 * GEMM**3 / _best(partial(torch.mm, left, right)) / 1e9
        source, target = torch.ones(COPY, device=device), torch.empty(COPY, device=device)
        return Limits(gflops, 2 * 4 * COPY / _best(lambda: target.copy_(source)) / 1e9)
    finally:
        torch.set_num_threads(before)


def _best(run: Callable[[], Any]) -> float:
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken)


def machine(threads: int, share: Optional[float] = None, device: str = "cpu") -> str:
    """A line: GPU, processor, cores, threads, versions, and how busy others kept it."""
    busy = "" if share is None else f", {100 * share:.0f} % busy before"
    gpu = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    return (
        f"{gpu}{processor()}, {available_cores()} cores, {threads} threads, PyTorch {torch.__version__}, Python "
        f"{platform.python_version()}{busy}"
    )


def processor() -> str:
    """The processor's name, with what it has of 16-bit numbers."""
    name, flags = platform.processor() or platform.machine(), ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            if key.strip() == "flags":
                flags = value
    except OSError:
        pass
    extras = [text for flag, text in (("avx512_bf16", "AVX-512 BF16"), ("amx_bf16", "AMX")) if flag in flags]
    return f"{name} ({', '.join(extras)})" if extras else name


@dataclass
class Table:
    """Rows of one measurement; the first one is what ratios are against: above 1 means slower than it."""

    title: str
    timings: dict[str, Timing]
    notes: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Name, median wall ms, middle half, CPU ms, ratio, note."""
        width = max(len(name) for name in self.timings) + 2
        first = next(iter(self.timings.values())).median
        rows = [self.title, f"{'':{width}}{'wall ms':>9}{'middle half':>16}{'CPU ms':>9}{'ratio':>8}"]
        for name, timing in self.timings.items():
            low, high = (1e3 * value for value in timing.middle_half)
            half = f"{low:.0f}-{high:.0f}"
            cpu = 1e3 * statistics.median(timing.cpu)
            wall = 1e3 * timing.median
            note = self.notes.get(name, "")
            row = f"{name:{width}}{wall:9.1f}{half:>16}{cpu:9.0f}{timing.median / first:8.2f}  {note}"
            rows.append(row.rstrip())
        return rows

    def as_json(self) -> dict[str, Any]:
        first = next(iter(self.timings.values())).median
        return {
            "title": self.title,
            "rows": [
                {
                    "name": name,
                    "wall_ms": [round(1e3 * value, 3) for value in timing.wall],
                    "cpu_ms": [round(1e3 * value, 3) for value in timing.cpu],
                    "median_ms": round(1e3 * timing.median, 3),
                    "ratio": round(timing.median / first, 4),
                    "note": self.notes.get(name, ""),
                }
                for name, timing in self.timings.items()
            ],
        }


def report(tables: Iterable[Table], head: str, output: Optional[Path] = None) -> None:
    """Print the machine's line and the tables; with `output` write them as JSON."""
    kept: Sequence[Table] = list(tables)
    print(head)
    for table in kept:
        print("\n" + "\n".join(table.lines()), flush=True)
    if output is not None:
        output.write_text(json.dumps({"machine": head, "tables": [table.as_json() for table in kept]}, indent=2) + "\n")
