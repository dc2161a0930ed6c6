"""How much sooner real Caffe2 answers with all cores than with one.

    .venv-caffe2/bin/python benchmarks/caffe2_threads.py [--threads 2] [--rounds 7] [--models r2plus1d-18]

An engine with one thread and one with all of them, each in a process of its own, run the same clip in turns. A line a
network gives the ratio of the medians, and the largest difference of the two softmaxes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from vmz.cores import available_cores, use_threads
from vmz.engines.registry import open_engine
from vmz.models.config import ModelConfig
from vmz.models.registry import build

MODELS = {
    "r2plus1d-18": ModelConfig("r2plus1d", 18, 400, crop_size=112, clip_length=16),
    "ip-csn-50": ModelConfig("ip-csn", 50, 400, crop_size=224, clip_length=8, use_pool1=True),
}


def compute(name: str, threads: int, pipe: Any) -> None:
    """Answer each message of the pipe with (seconds of one run, softmax)."""
    use_threads(threads)
    model = build(MODELS[name])
    clip = np.random.RandomState(2).randn(1, *model.clip_shape).astype(np.float32)
    with open_engine("caffe2") as engine:
        engine.load(model.param_init_net, model.net, seed=1, keep=[model.prediction])
        while pipe.recv():
            engine.feed(model.blob("data"), clip)
            engine.feed(model.blob("label"), np.zeros(1, np.int32))
            start = time.perf_counter()
            engine.run()
            pipe.send((time.perf_counter() - start, engine.fetch(model.prediction)))


def compare(name: str, threads: int, rounds: int) -> tuple[float, float, float]:
    """(median seconds with one thread, with `threads`, largest difference of the softmaxes)"""
    started = multiprocessing.get_context("spawn")
    seconds: dict[int, list[float]] = {1: [], threads: []}
    softmaxes: dict[int, np.ndarray] = {}
    pipes, processes = {}, []
    for count in seconds:
        pipes[count], other = started.Pipe()
        processes.append(started.Process(target=compute, args=(name, count, other), daemon=True))
        processes[-1].start()
    for number in range(rounds + 1):
        for count, pipe in pipes.items():
            pipe.send(True)
            taken, softmaxes[count] = pipe.recv()
            if number:  # the first makes buffers
                seconds[count].append(taken)
    for pipe in pipes.values():
        pipe.send(False)
    for process in processes:
        process.join()
    difference = float(np.abs(softmaxes[1] - softmaxes[threads]).max())
    return statistics.median(seconds[1]), statistics.median(seconds[threads]), difference


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", default="r2plus1d-18", help=f"of {', '.join(MODELS)}")
    options = parser.parse_args(argv)
    if options.threads < 2:
        parser.error("there is one core here; nothing to compare")
    print(f"Caffe2, load {os.getloadavg()[0]:.1f} of {available_cores()} cores, {options.rounds} rounds in turns")
    for name in options.models.split(","):
        one, several, difference = compare(name, options.threads, options.rounds)
        print(
            f"{name}: {one / several:.2f} times as fast with {options.threads} threads as with one ({1e3 * several:.0f}"
            f" ms to {1e3 * one:.0f} ms here), largest difference of softmax {difference:.1e}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
