"""Two engines, one NetDef: every blob of one held against the other.

Where real Caffe2 cannot be imported beside this Python's PyTorch, its half runs in another interpreter, through files.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from vmz.engines.caffe2_engine.here import CAFFE2_PYTHON
from vmz.engines.precisions import FP32
from vmz.engines.registry import open_engine
from vmz.errors import UsageError, VmzError
from vmz.netdef.protos import NetDef
from vmz.results.comparison import BlobDifference, Comparison
from vmz.video.faults import EndedEarly, WithoutSound

LIBRARY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """What an engine is to compute: nets, weights and inputs {blob: array}, and the blobs that are looked at."""

    init_net: Any
    net: Any
    weights: Mapping[str, np.ndarray]
    inputs: Mapping[str, np.ndarray]
    blobs: tuple[str, ...]
    seed: int = 0
    precision: str = FP32  # of PyTorch; Caffe2 has one alone


def blobs_to_compare(net: Any) -> tuple[str, ...]:
    """Every float blob that the net computes, in the order of its last writer. Masks and shapes are left out."""
    found: dict[str, None] = {}
    for op in net.op:
        outputs = op.output[:1] if op.type in ("Dropout", "Reshape", "SpatialBN", "Concat") else op.output
        for blob in outputs:
            found.pop(blob, None)
            found[blob] = None
    return tuple(found)


def compare(
    job: Job,
    tolerance: float,
    network: str = "",
    python: Optional[Path] = None,
    ended_early: Sequence[EndedEarly] = (),
    without_sound: Sequence[WithoutSound] = (),
) -> Comparison:
    """Every blob of the job on real Caffe2 and on PyTorch, both on the CPU.

    tolerance: of a blob's largest value. network: its name, for the page. python: as `compute` has it. ended_early,
    without_sound: what the reader of the clips reported. Raises UsageError where there is no Caffe2, VmzError where
    shapes differ.
    """
    values, seconds = {}, {}
    for engine in ("caffe2", "pytorch"):
        started = time.perf_counter()
        values[engine] = compute(engine, job, python=python)
        seconds[engine] = time.perf_counter() - started
    found = differences(job.net, values["caffe2"], values["pytorch"])
    return Comparison(network, found, tolerance, seconds, ended_early, without_sound)


def compute(engine_name: str, job: Job, device: str = "cpu", python: Optional[Path] = None) -> dict[str, np.ndarray]:
    """The values of the job's blobs on an engine, here or, for Caffe2 where it is not importable, in another Python.

    `python`: that interpreter; .venv-caffe2's by default. UsageError where there is none.
    """
    if engine_name != "caffe2" or importlib.util.find_spec("caffe2") is not None:
        return run_job(engine_name, job, device)
    interpreter = python or CAFFE2_PYTHON
    if not interpreter.exists():
        raise UsageError(f"no Caffe2 in this Python, and no {interpreter}; run `make setup-caffe2` to create it")
    with tempfile.TemporaryDirectory(prefix="vmz_compare_") as folder:
        write_job(Path(folder), job)
        command = [str(interpreter), "-m", "vmz.inspection.compare_engines", folder, engine_name, device]
        environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise VmzError(f"{engine_name} in {interpreter} failed: {lines[-1]}")
        with np.load(Path(folder) / "values.npz") as values:
            return {blob: values[f"v{number}"] for number, blob in enumerate(job.blobs)}


def run_job(engine_name: str, job: Job, device: str) -> dict[str, np.ndarray]:
    precision = FP32 if engine_name == "caffe2" else job.precision
    with open_engine(engine_name, device, precision) as engine:
        engine.load(job.init_net, job.net, job.weights, seed=job.seed, keep=job.blobs)
        for blob, array in job.inputs.items():
            engine.feed(blob, array)
        engine.run()
        return {blob: engine.fetch(blob) for blob in job.blobs}


def differences(net: Any, left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]) -> list[BlobDifference]:
    """Blob by blob, in the order of `left`. VmzError where shapes differ."""
    kinds = {blob: op.type for op in net.op for blob in op.output}
    found = []
    for blob, one in left.items():
        other = right[blob]
        if one.shape != other.shape:
            raise VmzError(f"blob {blob} is {one.shape} on one engine and {other.shape} on the other")
        one, other = one.astype(np.float64), other.astype(np.float64)
        absolute = float(np.abs(one - other).max()) if one.size else 0.0
        scale = float(np.abs(one).max()) if one.size else 0.0
        if not np.isfinite(absolute):
            absolute = float("inf")
        found.append(BlobDifference(blob, kinds[blob], one.shape, absolute, scale))
    return found


# The job as files, for the other interpreter.


def write_job(folder: Path, job: Job) -> None:
    (folder / "init_net.pb").write_bytes(job.init_net.SerializeToString())
    (folder / "net.pb").write_bytes(job.net.SerializeToString())
    named = {"w": job.weights, "i": job.inputs}
    arrays = {f"{kind}{n}": array for kind, values in named.items() for n, array in enumerate(values.values())}
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
    order = {"weights": list(job.weights), "inputs": list(job.inputs), "blobs": list(job.blobs), "seed": job.seed}
    (folder / "order.json").write_text(json.dumps(order))


def read_job(folder: Path) -> Job:
    order = json.loads((folder / "order.json").read_text())
    with np.load(folder / "arrays.npz") as arrays:
        weights = {name: arrays[f"w{n}"] for n, name in enumerate(order["weights"])}
        inputs = {name: arrays[f"i{n}"] for n, name in enumerate(order["inputs"])}
    nets = [NetDef.FromString((folder / name).read_bytes()) for name in ("init_net.pb", "net.pb")]
    return Job(nets[0], nets[1], weights, inputs, tuple(order["blobs"]), order["seed"])


def main(folder: str, engine_name: str, device: str) -> None:
    values = run_job(engine_name, read_job(Path(folder)), device)
    arrays = {f"v{number}": array for number, array in enumerate(values.values())}
    np.savez(Path(folder) / "values.npz", **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
