"""The golden training runs (golden/train): what to train, on what, and how far a trainer is from what was recorded."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np

from tests.generated_weights import generated_weights, weights_sha256
from tests.golden import GOLDEN
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import MOMENTUM_SUFFIX, Step, Trainer, Training
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build

JOBS = ("mc3_10_multilabel", "r2plus1d10", "ircsn26_pool1")


class GoldenRun:
    """One recorded run of five iterations."""

    def __init__(self, job: str) -> None:
        self.golden: dict[str, Any] = json.loads((GOLDEN / "train" / f"{job}.json").read_text())
        arguments = self.golden["build_args"]
        flags = {name: bool(arguments.get(name, 0)) for name in ("multi_label", "use_pool1")}
        self.config = ModelConfig(**{**arguments, **flags})

    def build(self, scope: str, device: Any, loss_scale: float) -> Model:
        """What Trainer.load takes."""
        from dataclasses import replace

        config = replace(self.config, loss_scale=loss_scale)
        return build(config, is_test=False, net_name=f"{config.model_name}_train", scope=scope, device=device)

    @property
    def training(self) -> Training:
        """The settings of the run."""
        optimizer = self.golden["optimizer"]
        schedule = Schedule(optimizer["base_lr"], "step", optimizer["stepsize"], optimizer["gamma"])
        return Training(schedule, optimizer["weight_decay"], optimizer["momentum"], bool(optimizer["nesterov"]))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The initial values, the very ones recorded."""
        model = self.build("", None, 1.0)
        weights = generated_weights([*model.params, *model.computed_params])
        assert weights_sha256(weights) == self.golden["weights_sha256"]
        return weights

    def batch(self, iteration: int) -> dict[str, np.ndarray]:
        """The blobs of an iteration (1, 2, ...)."""
        config, clips = self.config, self.golden["build_args"]["batch_size"]
        random = np.random.RandomState(1000 + iteration)
        data = random.randn(clips, config.num_channels, config.clip_length, config.crop_size, config.crop_size)
        label = (
            random.rand(clips, config.num_labels) < 0.3
            if config.multi_label
            else random.randint(0, config.num_labels, clips)
        )
        return {"data": data.astype(np.float32), "label": label.astype(np.int32)}

    def step(self, trainer: Trainer, iteration: int) -> Step:
        """Feed and train one iteration."""
        for blob, array in self.batch(iteration).items():
            trainer.feed(blob, array)
        return trainer.step()

    def loss_error(self, loss: Any, iteration: int) -> float:
        """The largest relative difference of the values of blob `loss`."""
        expected = np.array(self.golden["iterations"][iteration - 1]["loss"])
        return float(np.abs(np.ravel(loss) - expected).max() / np.abs(expected).max())

    def errors(self, blobs: Any, iteration: int) -> dict[str, dict[str, float]]:
        """{"params" or "momentum": {blob: largest difference of the samples, over the blob's largest value}}.

        blobs: a function name -> array, such as Trainer.fetch. Only iterations 1 and 5 were recorded.
        """
        found: dict[str, dict[str, float]] = {}
        for kind, suffix in (("params", ""), ("momentum", MOMENTUM_SUFFIX)):
            found[kind] = {}
            for blob, recorded in self.golden["snapshots"][str(iteration)][kind].items():
                name = blob.rpartition("/")[2]
                array = blobs(name.removesuffix(suffix) + suffix if suffix else name)
                places = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF).randint(0, array.size, 8)
                differences = [
                    *np.abs(array.ravel()[places].astype(np.float64) - recorded["sample"]),
                    abs(float(np.abs(array).max()) - recorded["absmax"]),
                ]
                found[kind][name] = float(max(differences)) / recorded["absmax"]
        return found
