"""Training with Gradient-Blending on both engines: three losses, their weighted sum, and each head's figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from vmz.engines.registry import open_trainer
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Step, Training
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build

WEIGHTS = {"audio": 0.1, "visual": 0.6, "joint": 0.3}
CONFIG = ModelConfig(
    model_name="av_resnet-r3d", clip_length=8, num_labels=5, channel_multiplier=0.1, g_blend=True,
    audio_weight=WEIGHTS["audio"], visual_weight=WEIGHTS["visual"], av_weight=WEIGHTS["joint"],
)  # fmt: skip
CLIPS = 2  # of a batch


def step_of_two_batches(engine: str, config: ModelConfig) -> Step:
    """One iteration of two batches: of two devices of Caffe2, or accumulated."""

    def build_for(scope: str, device: Any, loss_scale: float) -> Model:
        return build(replace(config, loss_scale=loss_scale), is_test=False, scope=scope, device=device)

    caffe2 = engine == "caffe2"
    training = Training(Schedule(0.01, stepsize=10, gamma=0.1), accumulation=1 if caffe2 else 2)
    model, random = build(config, is_test=False), np.random.RandomState(0)
    with open_trainer(engine, ("cpu", "cpu") if caffe2 else ("cpu",)) as trainer:
        trainer.load(build_for, training, seed=3)
        fed = {
            blob.partition("/")[2]: random.randn(*shape).astype(np.float32)
            for blob, shape in model.input_shapes(2 * CLIPS).items()
        }
        shape = (2 * CLIPS, 5) if config.multi_label else (2 * CLIPS,)
        fed["label"] = random.randint(0, 2 if config.multi_label else 5, shape).astype(np.int32)
        for blob, array in fed.items():
            if not caffe2:
                trainer.feed(blob, array)
                continue
            for device in range(2):
                trainer.feed(blob, array[device * CLIPS : (device + 1) * CLIPS], device)
        return trainer.step()


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("multi_label", [False, True])
def test_the_loss_is_that_of_the_heads(multi_label: bool, engine: str) -> None:
    """Whose it is before the scale, which is half of it with two batches."""
    step = step_of_two_batches(engine, replace(CONFIG, multi_label=multi_label))
    assert sorted(step.heads) == sorted(WEIGHTS)
    blended = sum(WEIGHTS[head] * figures.loss for head, figures in step.heads.items())
    assert step.loss == pytest.approx(blended, rel=1e-6)
    accuracies = [figures.accuracy for figures in step.heads.values()]
    if multi_label:
        assert accuracies == [None] * 3
    else:
        assert all(one in (0, 0.25, 0.5, 0.75, 1) for one in accuracies)
    assert step.heads["joint"].accuracy == step.accuracy
