"""Real Caffe2: how soon it answers with one thread and with all, and with each of its types of nets.

    .venv-caffe2/bin/python benchmarks/caffe2_nets.py [--threads 2] [--rounds 7] [--models r2plus1d-18]

Each is an engine in a process of its own, and they run the same clip in turns. The first row is what VMZ uses: all
threads, and the type `simple`, one operator after the other. `dag` and `async_scheduling` run those that do not wait
for each other at the same time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from harness import Table, Timing, add_options, idle_or_exit, machine, report

from vmz.cores import use_threads
from vmz.engines.registry import open_engine
from vmz.models.config import ModelConfig
from vmz.models.registry import build

MODELS = {
    "r2plus1d-18": ModelConfig("r2plus1d", 18, 400, crop_size=112, clip_length=16),
    "ip-csn-50": ModelConfig("ip-csn", 50, 400, crop_size=224, clip_length=8, use_pool1=True),
    "av_resnet-r3d-18": ModelConfig("av_resnet-r3d", 18, 400, crop_size=112, clip_length=8),
}
TYPES = ("simple", "dag", "async_scheduling")


def compute(name: str, threads: int, kind: str, pipe: Any) -> None:
    """Answer each message of the pipe with (wall seconds, CPU seconds, softmax) of one run."""
    use_threads(threads)
    model = build(MODELS[name])
    model.net.type, model.net.num_workers = kind, threads
    random = np.random.RandomState(2)
    with open_engine("caffe2") as engine:
        engine.load(model.param_init_net, model.net, seed=1, keep=[model.prediction])
        for blob, shape in model.input_shapes().items():
            engine.feed(blob, random.randn(*shape).astype(np.float32))
        engine.feed(model.blob("label"), np.zeros(1, np.int32))
        while pipe.recv():
            wall, cpu = time.perf_counter(), time.process_time()
            engine.run()
            pipe.send((time.perf_counter() - wall, time.process_time() - cpu, engine.fetch(model.prediction)))


def measured(name: str, threads: int, rounds: int) -> Table:
    """A row for each type with all threads, and one for `simple` with one thread."""
    started = multiprocessing.get_context("spawn")
    rows = {f"{kind}, {threads} threads": (threads, kind) for kind in TYPES}
    rows["simple, 1 thread"] = (1, "simple")
    pipes, processes, softmaxes = {}, [], {}
    timings = {row: Timing() for row in rows}
    for row, (count, kind) in rows.items():
        pipes[row], other = started.Pipe()
        processes.append(started.Process(target=compute, args=(name, count, kind, other), daemon=True))
        processes[-1].start()
    for number in range(rounds + 1):
        for row, pipe in pipes.items():
            pipe.send(True)
            wall, cpu, softmaxes[row] = pipe.recv()
            if number:  # the first makes buffers
                timings[row].wall.append(wall)
                timings[row].cpu.append(cpu)
    for pipe in pipes.values():
        pipe.send(False)
    for process in processes:
        process.join()
    first = next(iter(softmaxes.values()))
    notes = {row: f"difference {np.abs(value - first).max():.1e}" for row, value in softmaxes.items()}
    return Table(f"{name}, real Caffe2, batch 1, ms a clip", timings, notes)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--models", default="r2plus1d-18,ip-csn-50", help=f"of {', '.join(MODELS)}")
    options = parser.parse_args(argv)
    if options.threads < 2:
        parser.error("with one thread there is nothing to compare; give --threads=2 or more")
    busy = idle_or_exit(options.busy)
    tables = [measured(name, options.threads, options.rounds) for name in options.models.split(",")]
    report(tables, machine(options.threads, busy), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
