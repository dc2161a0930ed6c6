"""The golden training runs: a few iterations each, started anew on a trainer and compared with what the original gave.

Five iterations of the networks that see, three of those that hear (av/train). How close an iteration can be is
measured, not chosen: see measure_training.py and docs/internals/training_goldens.md.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import numpy as np

from tests.goldens.recordings import golden_names, golden_path
from tests.support.generated_weights import generated_weights, weights_sha256
from vmz.engines.registry import open_trainer
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Step, Trainer, Training
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.builder import make_argument
from vmz.netdef.training_state import MOMENTUM_SUFFIX

BOUNDS = Path(__file__).with_name("measured") / "training_bounds.json"
KINDS = ("params", "statistics", "momentum")
PERTURBATION = 1e-7
HEAD_LOSSES = ("a_unscaled_loss", "v_unscaled_loss", "av_loss")
Arrays = dict[str, dict[str, np.ndarray]]
"""kind -> {blob: array}."""
Snapshot = dict[str, dict[str, np.ndarray]]
"""kind -> {blob: float64 array of its 8 sampled values, mean, standard deviation and largest value}."""


def jobs() -> list[str]:
    """Of the networks that see."""
    return [Path(name).stem for name in golden_names("train/*.json")]


def sound_jobs() -> list[str]:
    """Of the networks that hear."""
    return [Path(name).stem for name in golden_names("av/train/*.json")]


class TrainingGolden:
    """One recorded run: what to train, on what, and what came out."""

    def __init__(self, job: str) -> None:
        self.job = job
        folder = "av/train" if job in sound_jobs() else "train"
        self.recorded: dict[str, Any] = json.loads(golden_path(f"{folder}/{job}.json").read_text())
        arguments = self.recorded["build_args"]
        self.clips: int = arguments["batch_size"]
        self.config = ModelConfig.from_mapping(arguments)

    @property
    def iterations(self) -> int:
        """How many were recorded."""
        return len(self.recorded["iterations"])

    @property
    def snapshots(self) -> list[int]:
        """After which of them the parameters were."""
        return sorted(map(int, self.recorded["snapshots"]))

    def build(self, scope: str, device: Any, loss_scale: float) -> Model:
        """The network, as Trainer.load wants it."""
        config = dataclasses.replace(self.config, loss_scale=loss_scale)
        name = f"{config.model_name}_train"
        model = build(config, is_test=False, net_name=name, scope=scope, device=device)
        if self.job.endswith("_dropout_off"):
            for op in model.net.op:
                if op.type == "Dropout":
                    op.ClearField("arg")
                    op.arg.append(make_argument("is_test", 1))
        return model

    @property
    def training(self) -> Training:
        optimizer = self.recorded["optimizer"]
        schedule = Schedule(optimizer["base_lr"], stepsize=optimizer["stepsize"], gamma=optimizer["gamma"])
        return Training(
            schedule, optimizer["weight_decay"], optimizer["momentum"], bool(optimizer["nesterov"]), abort_loss=np.inf
        )

    def weights(self) -> dict[str, np.ndarray]:
        """The initial values; their hash is the recorded one's."""
        model = self.build("", None, 1.0)
        found = generated_weights([*model.params, *model.computed_params])
        assert weights_sha256(found) == self.recorded["weights_sha256"]
        return found

    def batch(self, iteration: int, perturbed: int = 0) -> dict[str, np.ndarray]:
        """What is fed, by blob, the label last. `perturbed`: a seed; then each value of clips and maps is up or down by
        1e-7 of itself.
        """
        config, random = self.config, np.random.RandomState(1000 + iteration)
        shapes = self.build("", None, 1.0).input_shapes(self.clips)
        fed = {blob: random.randn(*shape).astype(np.float32) for blob, shape in shapes.items()}
        if config.multi_label:
            label = (random.rand(self.clips, config.num_labels) < 0.3).astype(np.int32)
        else:
            label = random.randint(0, config.num_labels, self.clips).astype(np.int32)
        if perturbed:
            choices = np.random.RandomState([perturbed, iteration])
            for blob, values in fed.items():
                signs = choices.choice([-1, 1], values.shape)
                fed[blob] = (values * (1 + PERTURBATION * signs)).astype(np.float32)
        return {**fed, "label": label}

    @contextmanager
    def trainer(self, engine: str, build: Any = None) -> Iterator[Trainer]:
        with open_trainer(engine) as trainer:
            trainer.load(build or self.build, self.training, self.weights())
            yield trainer

    def step(self, trainer: Trainer, iteration: int, perturbed: int = 0) -> Step:
        for blob, array in self.batch(iteration, perturbed).items():
            trainer.feed(blob, array)
        return trainer.step()

    def recorded_loss(self, iteration: int) -> np.ndarray:
        """One value, or one a clip."""
        return np.ravel(self.recorded["iterations"][iteration - 1]["loss"])

    def recorded_snapshot(self, iteration: int) -> Snapshot:
        found: Snapshot = {kind: {} for kind in KINDS}
        for section, entries in self.recorded["snapshots"][str(iteration)].items():
            for blob, entry in entries.items():
                numbers = [*entry["sample"], entry["mean"], entry["std"], entry["absmax"]]
                found[_kind(section, blob)][blob] = np.array(numbers, np.float64)
        return found

    def arrays(self, trainer: Trainer) -> Arrays:
        """The trainer's parameters, statistics and momenta as they stand, by the names of the golden data."""
        found: Arrays = {kind: {} for kind in KINDS}
        for section, entries in self.recorded["snapshots"]["1"].items():
            for blob in entries:
                name = blob.replace(MOMENTUM_SUFFIX, "") + (MOMENTUM_SUFFIX if section == "momentum" else "")
                found[_kind(section, blob)][blob] = trainer.fetch(name)
        return found


def _kind(section: str, blob: str) -> str:
    return "statistics" if section == "params" and blob.endswith(("_rm", "_riv")) else section


def snapshot(arrays: Arrays) -> Snapshot:
    """What `recorded_snapshot` is of the original."""
    found: Snapshot = {kind: {} for kind in arrays}
    for kind, blobs in arrays.items():
        for blob, array in blobs.items():
            values = array.astype(np.float64).ravel()
            places = np.random.RandomState(zlib.crc32(blob.encode()) & 0x7FFFFFFF).randint(0, values.size, 8)
            found[kind][blob] = np.array([*values[places], values.mean(), values.std(), np.abs(values).max()])
    return found


def distances(found: Arrays, expected: Arrays) -> dict[str, tuple[float, str]]:
    """kind -> the largest difference over the largest value of its blob, and the blob where that is.

    Of whole arrays, or of snapshots, where the blob's largest value is one of the numbers.
    """
    largest = {}
    for kind, blobs in expected.items():
        assert set(blobs) == set(found[kind])
        largest[kind] = max((float(np.abs(found[kind][b] - blobs[b]).max() / np.abs(blobs[b]).max()), b) for b in blobs)
    return largest


def loss_distance(found: Any, expected: Any) -> float:
    """The largest relative difference."""
    found, expected = np.ravel(found).astype(np.float64), np.ravel(expected).astype(np.float64)
    return float(np.abs(found / expected - 1).max())


def head_distance(trainer: Trainer, recorded: Mapping[str, Any]) -> float:
    """The largest relative difference of the losses of the single heads, 0 where the net has one head."""
    names = [name for name in HEAD_LOSSES if name in recorded]
    return max((loss_distance(trainer.fetch(name), recorded[name]) for name in names), default=0.0)


def bounds(job: str, iteration: int) -> Optional[dict[str, float]]:
    """How far two runs of the original are apart ("loss" and each kind), None for a job that was not measured."""
    measured = json.loads(BOUNDS.read_text())["jobs"]
    return dict(measured[job][str(iteration)]) if job in measured else None


def limits(job: str, iteration: int) -> dict[str, float]:
    """What a trainer is held to: after the first iteration 1e-5 of the loss and 1e-4 of each blob's largest value,
    where the original itself keeps to that, and else what two runs of the original differ by."""
    measured = bounds(job, iteration)
    assert measured is not None, f"{job} was never measured: python tests/goldens/measure_training.py"
    if iteration > 1:
        return measured
    return {name: max(1e-5 if name == "loss" else 1e-4, value) for name, value in measured.items()}
