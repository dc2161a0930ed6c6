"""Write docs/internals/training_goldens.md and tests/goldens/measured/training_bounds.json: how far runs differ.

The golden training runs on real Caffe2, once as they are and a few times with every value of the clips up or down by
1e-7 of itself. With --jobs the figures of the others stay. Run from the repository root in .venv-caffe2, with the
golden data beside it, and half an hour of time: python -m tests.goldens.measure_training
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from tests.goldens.training import (
    BOUNDS,
    KINDS,
    Arrays,
    TrainingGolden,
    distances,
    jobs,
    loss_distance,
    snapshot,
    sound_jobs,
)
from vmz.engines.trainer import Trainer
from vmz.files import atomic_write
from vmz.models.registry import Model

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("loss", *KINDS)
ALL = [*jobs(), *sound_jobs()]
PAGE = ROOT / "docs" / "internals" / "training_goldens.md"
TEXT = """# Reproducibility of the original's training runs

This page shows how closely real Caffe2 and the PyTorch engine reproduce recorded training runs of the original.
tests/goldens/measure_training.py measured it on {machine} with real Caffe2 (torch {torch}) and
wrote the page.

The golden data contains five iterations of {count} networks that see and three of {count_sound} that hear (a_resnet18
sound alone, av_* pictures and sound; av_r2plus1d18_gblend with Gradient-Blending), recorded from the original. The
table compares runs:

- "perturbed": {count_seeds} runs of each network on this machine, whose clips and log-mel maps differ by 1e-7 of each
  value, up or down at random. The figure is the largest distance from the run on the unchanged clips.
- "golden": the distance between that run and the recorded one: the same code on another CPU.

Distances of the loss are relative. Those of parameters, running statistics and momenta are the largest difference
divided by the largest value of the blob; the figure is the largest over all blobs. In the golden rows they cover the
recorded data of a blob: eight of its values, mean, standard deviation and largest value. The learning rate and the
iteration count are always equal.

{table}

## Why the momenta differ after one iteration

A gradient is not continuous where the input of a ReLU is 0. A run has millions of activations. Some are so close to 0
that rounding decides their sign. Each such flip adds a term to a sum of gradients, or removes one. With tanh instead of
every ReLU, the same perturbation changes the momenta of the first iteration only by rounding:

{kinks}

The flips depend on the CPU and its kernels (MKL selects them by CPU type). The momenta of another run agree to 1e-4
only if the same activations flip as in the recording. On this machine, real Caffe2 itself is no closer than the golden
rows show. The tests use these limits (limits() in tests/goldens/training.py): after the first iteration 1e-5 for the
loss and 1e-4 for everything else, or the perturbed distance if that is larger; after the last iteration the perturbed
distance (tests/goldens/measured/training_bounds.json).

## With the recorded ReLU decisions everything agrees to 1e-4

The decisions of the recorded ReLUs can be inferred from the recorded momenta alone.
tests/goldens/measure_relu_decisions.py finds the few that differ from a computation in float64
(tests/goldens/measured/relu_decisions.json); the remaining difference confirms that they are the right ones. With these
decisions both engines reproduce the first iteration. The test test_the_first_iteration_but_for_the_kinks of each engine
requires 1e-4. The table has the largest distances, measured on the machine named above. "flipped" is the number of ReLU
inputs that rounding had given the other sign in real Caffe2 on this machine.

| run | flipped | Caffe2: params | statistics | momentum | PyTorch: params | statistics | momentum |
|---|---|---|---|---|---|---|---|
| r2plus1d10 | 6 | 1.0e-07 | 1.4e-07 | 4.5e-06 | 3.1e-07 | 1.6e-07 | 5.1e-06 |
| mc3_10_multilabel | 2 | 2.4e-08 | 1.0e-07 | 2.3e-06 | 6.4e-08 | 2.1e-07 | 3.2e-06 |
| ircsn26_pool1 | 23 | 2.3e-07 | 3.5e-07 | 1.0e-05 | 3.9e-07 | 5.7e-07 | 1.7e-05 |
| a_resnet18 | 0 | 1.6e-07 | 2.3e-07 | 7.6e-06 | 2.1e-07 | 3.7e-07 | 1.8e-05 |
| av_r3d18 | 0 | 1.7e-07 | 2.3e-07 | 9.4e-06 | 4.4e-07 | 3.0e-07 | 2.4e-05 |

Of av_r2plus1d18_gblend, whose three losses meet in one net, 26 decisions were found that are not float64's. They bring
the momenta from 6.8e-3 to 1.3e-4 (both engines, in one blob: one decision more was not found), so no test uses them.
"""


@dataclass
class Run:
    """Losses of all iterations and the arrays after some, and which way each ReLU went in the first."""

    losses: list[np.ndarray]
    arrays: dict[int, Arrays]
    signs: np.ndarray


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", nargs="*", default=ALL, help="which of the golden runs; all, if not given")
    parser.add_argument("--seeds", type=int, default=5, help="perturbed runs of each")
    options = parser.parse_args()
    measured = json.loads(BOUNDS.read_text())["jobs"] if BOUNDS.exists() else {}
    for job in options.jobs:
        measured[job] = measure(TrainingGolden(job), options.seeds)
        print("\n".join([*rows(job, measured[job]), kinks(job, measured[job])]), flush=True)
        write({job: measured[job] for job in ALL if job in measured}, options.seeds)
    return 0


def measure(golden: TrainingGolden, seeds: int) -> dict[str, Any]:
    """By snapshot: how far perturbed runs are from the plain one; `golden`: how far this is from the recorded one.

    flips: how many ReLUs the perturbations turned. tanh: the momenta of the first iteration, without a kink.
    """
    clean = run(golden, 0)
    apart, flips = [], []
    for seed in range(1, seeds + 1):
        other = run(golden, seed)
        apart.append({at: distance(other, clean, at) for at in golden.snapshots})
        flips.append(int(np.unpackbits(other.signs ^ clean.signs).sum()))
    smooth = [run(golden, seed, 1, with_tanh(golden)) for seed in (0, 1)]
    return {
        **{str(at): rounded({name: max(one[at][name] for one in apart) for name in NAMES}) for at in golden.snapshots},
        "golden": {str(at): rounded(from_golden(golden, clean, at)) for at in golden.snapshots},
        "flips": f"{min(flips)} to {max(flips)} of {clean.signs.size * 8 / 1e6:.0f} M",
        "tanh": rounded(distance(smooth[1], smooth[0], 1))["momentum"],
    }


def rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def run(golden: TrainingGolden, seed: int, iterations: Optional[int] = None, build: Any = None) -> Run:
    """A run of the original engine; seed 0: on the recorded clips, else perturbed."""
    found = Run([], {}, np.empty(0, np.uint8))
    with golden.trainer("caffe2", build) as trainer:
        for iteration in range(1, (iterations or golden.iterations) + 1):
            step = golden.step(trainer, iteration, seed)
            assert (step.iteration, step.learning_rate) == recorded_rate(golden, iteration)
            found.losses.append(trainer.fetch("loss").ravel())
            if iteration in golden.snapshots:
                found.arrays[iteration] = golden.arrays(trainer)
            if iteration == 1 and build is None:
                found.signs = signs(golden, trainer)
    return found


def recorded_rate(golden: TrainingGolden, iteration: int) -> tuple[int, float]:
    entry = golden.recorded["iterations"][iteration - 1]
    return entry["ITER"], entry["LR"]


def signs(golden: TrainingGolden, trainer: Trainer) -> np.ndarray:
    """For every ReLU's output one bit a value: whether it is above 0."""
    blobs = [op.output[0] for op in golden.build("", None, 1.0).net.op if op.type == "Relu"]
    return np.concatenate([np.packbits(trainer.fetch(blob) > 0) for blob in blobs])


def distance(one: Run, other: Run, iteration: int) -> dict[str, float]:
    """Of the loss, and of each kind of blob."""
    apart = distances(one.arrays[iteration], other.arrays[iteration])
    loss = loss_distance(one.losses[iteration - 1], other.losses[iteration - 1])
    return {"loss": loss, **{kind: largest for kind, (largest, _) in apart.items()}}


def from_golden(golden: TrainingGolden, clean: Run, iteration: int) -> dict[str, float]:
    apart = distances(snapshot(clean.arrays[iteration]), golden.recorded_snapshot(iteration))
    loss = loss_distance(clean.losses[iteration - 1], golden.recorded_loss(iteration))
    return {"loss": loss, **{kind: largest for kind, (largest, _) in apart.items()}}


def with_tanh(golden: TrainingGolden) -> Any:
    """The golden's network without a kink in its activations."""

    def build(scope: str, device: Any, loss_scale: float) -> Model:
        model = golden.build(scope, device, loss_scale)
        for op in model.net.op:
            if op.type == "Relu":
                op.type = "Tanh"
        return model

    return build


def rows(job: str, measured: Mapping[str, Any]) -> list[str]:
    """Those of the first table."""
    kinds = {"perturbed": measured, "golden": measured["golden"]}
    return [
        f"| {job} | {at} | {what} | " + " | ".join(f"{found[at][name]:.1e}" for name in NAMES) + " |"
        for what, found in kinds.items()
        for at in measured["golden"]
    ]


def kinks(job: str, measured: Mapping[str, Any]) -> str:
    """The row of the second table."""
    return f"| {job} | {measured['flips']} | {measured['1']['momentum']:.1e} | {measured['tanh']:.1e} |"


def write(measured: Mapping[str, Any], seeds: int) -> None:
    import torch

    table = ["| run | iteration | compared | " + " | ".join(NAMES) + " |", "|---|---|---|---|---|---|---|"]
    table += [line for job, found in measured.items() for line in rows(job, found)]
    head = ["| run | flips | momenta, ReLU | momenta, tanh |", "|---|---|---|---|"]
    head += [kinks(job, found) for job, found in measured.items()]
    machine = cpu_name()
    with atomic_write(PAGE, "w") as stream:
        stream.write(
            TEXT.format(
                machine=machine,
                torch=torch.__version__,
                count=len(jobs()),
                count_sound=len(sound_jobs()),
                count_seeds=seeds,
                table="\n".join(table),
                kinks="\n".join(head),
            )
        )
    script = "tests/goldens/measure_training.py"
    about = f"{script}, {seeds} perturbed runs each, on {machine}; see {PAGE.relative_to(ROOT)}"
    with atomic_write(BOUNDS, "w") as stream:
        stream.write(json.dumps({"about": about, "jobs": measured}, indent=2) + "\n")


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
