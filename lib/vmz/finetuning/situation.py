"""What a recommendation depends on: the data, the network and how fast this machine runs it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vmz.cores import available_cores
from vmz.finetuning.recommendation import Situation
from vmz.finetuning.split import Split
from vmz.model.engine_model import EngineModel
from vmz.models.registry import build
from vmz.netdef.analysis import totals
from vmz.settings.engine import device_name
from vmz.settings.model import ModelSettings
from vmz.settings.network import model_config
from vmz.settings.setting import settings_of

CLIPS, RUNS = 2, 3


def situation_of(parts: Split, weights: str, given: Mapping[str, Any], minutes: float) -> Situation:
    """Measured on this machine in some seconds. given: flags by hand.

    Raises what resolving the settings of a file of weights raises, and UsageError for an engine that is not here.
    """
    known = settings_of(ModelSettings)
    chosen = {name: value for name, value in given.items() if name in known and name not in ("zoo", "num_gpus", "gpus")}
    settings = ModelSettings.resolved(**{**chosen, "load_model_path": weights, "use_convolutional_pred": 0})
    settings = replace(settings, num_labels=len(parts.classes), pred_layer_name=None)
    network = model_config(settings, batch_size=-1)
    cost = totals(build(network, is_test=True).costs())
    device = device_name(settings)
    return Situation(
        counts=parts.counts,
        test_videos=len(parts.test),
        classes=parts.classes,
        seconds_of_a_clip=_seconds_of_a_clip(settings),
        million_parameters=cost.params_m,
        on_gpu=_is_gpu(device),
        engine=settings.engine,
        cores=available_cores(),
        minutes=minutes,
    )


def _seconds_of_a_clip(settings: ModelSettings) -> float:
    """The median over some runs of the network on clips of zeros, after one that prepares it."""
    with EngineModel(model_config(settings, batch_size=-1), None, settings) as model:
        clips = [np.zeros((CLIPS, *shape), np.float32) for shape in model.input_shapes.values()]
        model.score(*clips)
        spent = []
        for _ in range(RUNS):
            started = time.perf_counter()
            model.score(*clips)
            spent.append(time.perf_counter() - started)
    return statistics.median(spent) / CLIPS


def _is_gpu(device: str) -> bool:
    if device != "auto":
        return device.startswith("cuda")
    import torch

    return torch.cuda.is_available()
