"""How soon a network answers: VMZ's engines beside OpenVINO, ONNX Runtime, eager PyTorch and other libraries.

    make bench-peers
    .venv/bin/python benchmarks/inference.py [--models r2plus1d-18,ir-csn-50] [--batch 1] [--peers VMZ,OpenVINO]
                                             [--device cuda]

All have the same weights and clips, and run in turns, each in a process of its own; a table a network. The first run of
a turn does not count: an evaluation runs one network after itself. The ratio is against the first row of its
precision; a note gives the largest difference of the softmaxes to the first peer's, the share of what the machine's own
matrix products reach, and that of its bandwidth if only convolutions and pools touched memory. Refused on a busy
machine. `--device cuda` was never run: no GPU was at hand.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Optional

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from eager import initial_values
from harness import Limits, Prepared, Table, Worker, add_options, idle_or_exit, interleaved, limits, machine, report
from peers import ON_REQUEST, PEERS, Where

from vmz.engines.torch_engine.devices import checked_device
from vmz.errors import UsageError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.analysis import totals

MODELS = {
    "r2plus1d-18": ModelConfig("r2plus1d", 18, 400, crop_size=112, clip_length=16),
    "ir-csn-50": ModelConfig("ir-csn", 50, 400, crop_size=224, clip_length=8, use_pool1=True),
    "ir-csn-152": ModelConfig("ir-csn", 152, 400, crop_size=224, clip_length=32, use_pool1=True),
    "ip-csn-152": ModelConfig("ip-csn", 152, 400, crop_size=224, clip_length=32, use_pool1=True),
    "r2plus1d-152": ModelConfig("r2plus1d", 152, 400, crop_size=112, clip_length=32),
    "ip-csn-50": ModelConfig("ip-csn", 50, 400, crop_size=224, clip_length=8, use_pool1=True),
    "ir-csn-101": ModelConfig("ir-csn", 101, 400, crop_size=224, clip_length=32, use_pool1=True),
    "r3d-18": ModelConfig("r3d", 18, 400, crop_size=112, clip_length=8),
    "mc3-18": ModelConfig("mc3", 18, 400, crop_size=112, clip_length=8),
    "c3d-18": ModelConfig("c3d", 18, 400, crop_size=112, clip_length=16),
}
COMPUTES, SUMS = ("Conv", "MaxPool", "AveragePool", "FC"), ("Sum", "Add")
VALUE_BYTES = {"fp32": 4, "bf16": 2}
FIVE = "r2plus1d-18,ir-csn-50,ir-csn-152,ip-csn-152,r2plus1d-152"


@dataclass
class Row:
    """A peer with a number of clips a run, in a process of its own."""

    peer: str
    batch: int
    worker: Worker
    note: str


def measured(name: str, options: argparse.Namespace, peak: Limits) -> list[Table]:
    """A table of fp32 and one of bf16 of one network."""
    model = build(MODELS[name])
    rows: dict[str, Row] = {}
    expected: Optional[np.ndarray] = None
    for peer, batch in ((peer, batch) for peer in options.peers for batch in options.batch):
        try:
            worker = Worker(prepare, name, peer, batch, Where(options.device, options.threads))
        except RuntimeError as error:  # a package that does not fit this PyTorch, or without this network
            print(f"{name}: {peer} does not run here: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        seconds, answer = worker.said
        expected = answer if expected is None else expected
        note = f"first answer after {seconds:.1f} s"
        if PEERS[peer].same:
            both = min(len(answer), len(expected))
            note += f", difference {np.abs(answer[:both] - expected[:both]).max():.1e}"
        rows[peer if len(options.batch) == 1 else f"{peer}, batch {batch}"] = Row(peer, batch, worker, note)
    timings = interleaved({label: row.worker for label, row in rows.items()}, options.rounds, before=1)
    tables: dict[str, Table] = {}
    for label, row in rows.items():
        row.worker.close()
        precision = "bf16" if PEERS[row.peer].bf16 else "fp32"
        title = f"{name}, {precision}, batch {', '.join(map(str, options.batch))}, ms a clip"
        table = tables.setdefault(precision, Table(title, {}))
        table.timings[label] = timings[label].divided(row.batch)
        table.notes[label] = f"{shares(model, table.timings[label].median, peak, precision)}, {row.note}"
    return list(tables.values())


def prepare(name: str, peer: str, batch: int, where: Where) -> Optional[Prepared]:
    """In a peer's process: what answers; it says the seconds to its first answer, and that answer."""
    torch.set_num_threads(where.threads)
    model = build(MODELS[name])
    weights = initial_values(model)
    clips = np.random.RandomState(2).randn(batch, *model.clip_shape).astype(np.float32)
    began = time.perf_counter()
    run = PEERS[peer].make(model, weights, clips, where)
    if run is None:
        return None
    answer = run()
    return Prepared(run, (time.perf_counter() - began, answer))


def shares(model: Model, seconds: float, peak: Limits, precision: str) -> str:
    """What a clip's multiply-adds and its least traffic come to, of what the machine's products and copies reach."""
    products = peak.of_products(2e9 * totals(model.costs()).gmacs, seconds, precision)
    traffic = least_values(model) * VALUE_BYTES[precision] / seconds / 1e9 / peak.gigabytes
    return f"{products}, {100 * traffic:.0f} % of bandwidth"


def least_values(model: Model) -> int:
    """The values of a clip that are read and written where batch norms, sums and ReLUs touch no memory of their own."""
    shapes = {model.blob("data"): (1, *model.clip_shape), **{cost.blob: cost.shape for cost in model.costs()}}
    count = 0
    for op in model.net.op:
        if op.type in COMPUTES:
            count += sum(prod(shapes[blob][1:]) for blob in [*op.input, op.output[0]] if blob in shapes)
        elif op.type in SUMS:  # in the convolution before it, which reads the shortcut too
            count += prod(shapes[op.output[0]][1:])
    return count


def batches(text: str) -> list[int]:
    """ "1,8" """
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise ValueError(text)
    return numbers


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--batch", type=batches, default=[1], help="clips a run; 1,8 measures both")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the networks run")
    parser.add_argument("--models", default=FIVE, help=f"of {', '.join(MODELS)}")
    parser.add_argument("--peers", help=f"of {', '.join(PEERS)}; by default all but {', '.join(ON_REQUEST)}")
    options = parser.parse_args(argv)
    usual = [name for name, peer in PEERS.items() if name not in ON_REQUEST and options.device in peer.devices]
    asked = usual if options.peers is None else options.peers.split(",")
    unknown = [name for name in [*asked] if name not in PEERS]
    unknown += [name for name in options.models.split(",") if name not in MODELS]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; the networks are {', '.join(MODELS)}, the peers {', '.join(PEERS)}")
    elsewhere = [name for name in asked if options.device not in PEERS[name].devices]
    if elsewhere:
        parser.error(f"{elsewhere[0]} is not measured with --device={options.device}")
    try:
        checked_device(options.device)
    except UsageError as error:
        parser.error(str(error))
    options.peers = [name for name in asked if PEERS[name].is_here]
    busy = idle_or_exit(options.busy)
    peak = limits(options.threads, options.device)
    head = f"{machine(options.threads, busy, options.device)}\n{peak}; {options.rounds} rounds in turns"
    absent = [name for name in asked if name not in options.peers]
    head += f"\nnot installed: {', '.join(absent)} (make bench-peers)" if absent else ""
    tables = [table for name in options.models.split(",") for table in measured(name, options, peak)]
    report(tables, head, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
