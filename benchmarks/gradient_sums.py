#!/usr/bin/env python3
"""Gradients summed over processes: our own buckets against DistributedDataParallel, iteration by iteration.

    python benchmarks/gradient_sums.py [--processes 2] [--rounds 9]

Each process computes forward and backward passes of the same network on clips of its own, on the CPU over gloo with one
thread, or on GPUs over NCCL. The two ways take turns within every round, and the medians of the slowest process are
compared. One network is small, so that the sums count, and one is large. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Callable

sys.path.append(str(Path(__file__).resolve().parents[1] / "lib"))

import torch
import torch.distributed as dist
from torch.fx import GraphModule
from torch.nn.parallel import DistributedDataParallel

from vmz.cli.shared.launch import run_processes
from vmz.engines.torch_engine.graph.importer import import_net
from vmz.engines.torch_engine.training.ranks import Ranks, SharedGradients
from vmz.models.config import ModelConfig
from vmz.models.registry import build

NETWORKS = {
    "R(2+1)D-10, a tenth of the width, 8x112x112 (0.2 M parameters)": (
        {"model_name": "r2plus1d", "model_depth": 10, "channel_multiplier": 0.1},
        (2, 3, 8, 112, 112),
    ),
    "R3D-18, 8x112x112 (33 M parameters)": ({"model_name": "r3d", "model_depth": 18}, (1, 3, 8, 112, 112)),
}


def network(arguments: dict[str, Any]) -> GraphModule:
    """A training net of the zoo as a module: clips to logits."""
    model = build(ModelConfig(**arguments, clip_length=8, num_labels=400), is_test=False, scope="")
    return import_net(model.net, model.param_init_net, outputs=["last_out_L400"])


def iterations(model: GraphModule, clips: torch.Tensor, device: torch.device) -> dict[str, Callable[[], None]]:
    """{way: one forward and backward pass with the gradients summed over all processes}."""
    ours, theirs = model.to(device), copy.deepcopy(model).to(device)
    shared = SharedGradients(dict(ours.named_parameters()))
    parallel: Any = DistributedDataParallel(theirs, device_ids=[device] if device.type == "cuda" else None)

    def by_buckets() -> None:
        shared.start()
        shared.last_batch()
        ours(clips)["last_out_L400"].square().mean().backward()
        shared.finish()

    def by_ddp() -> None:
        parallel.zero_grad(set_to_none=False)
        parallel(clips)["last_out_L400"].square().mean().backward()

    return {"own buckets": by_buckets, "DistributedDataParallel": by_ddp}


def measure(rounds: int) -> None:
    ranks = Ranks("cuda" if torch.cuda.is_available() else "cpu")
    for name, (arguments, shape) in NETWORKS.items():
        torch.manual_seed(ranks.rank)
        clips = torch.randn(shape, device=ranks.device)
        ways = iterations(network(arguments), clips, ranks.device)
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(rounds + 1):
            for way, run in ways.items():
                dist.barrier()
                started = time.perf_counter()
                run()
                if ranks.device.type == "cuda":
                    torch.cuda.synchronize(ranks.device)
                took = torch.tensor(time.perf_counter() - started, device=ranks.device)
                dist.all_reduce(took, dist.ReduceOp.MAX)
                if turn:  # the first one builds the buckets of DDP
                    spent[way].append(float(took))
        if ranks.rank == 0:
            medians = {way: statistics.median(times) for way, times in spent.items()}
            shown = ", ".join(f"{way} {1000 * took:.1f} ms" for way, took in medians.items())
            ratio = medians["own buckets"] / medians["DistributedDataParallel"]
            print(f"{name}: {shown}; ratio {ratio:.3f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if "RANK" in os.environ:
        measure(options.rounds)
        return 0
    print(f"{options.processes} processes, torch {torch.__version__}, load {os.getloadavg()[0]:.2f}", flush=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return run_processes(options.processes, [sys.executable, *sys.argv])


if __name__ == "__main__":
    sys.exit(main())
