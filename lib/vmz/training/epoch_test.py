"""The evaluation after an epoch: its settings, and the network without a reader that a checkpoint carries."""

from __future__ import annotations

from typing import Any

from vmz.engines.precisions import FP32
from vmz.evaluation.config import EvaluationConfig
from vmz.models.registry import Model, build
from vmz.settings.engine import device_names, gpu_numbers
from vmz.settings.network import model_config
from vmz.settings.self_description import evaluation_protocol
from vmz.settings.setting import settings_of
from vmz.training.config import TrainConfig


def evaluation_config(config: TrainConfig) -> EvaluationConfig:
    """The evaluation after an epoch; of several devices of a process the first tests."""
    gpus = gpu_numbers(config)
    own = settings_of(EvaluationConfig)
    shared = {name: value for name, value in evaluation_protocol(config.flags()).items() if name in own}
    changes: dict[str, Any] = {
        **({"gpus": str(gpus[0])} if gpus and len(device_names(config)) > 1 else {}),
        "batch_size": config.test_batch_size,
        "get_video_id": 0,
        "num_iter": config.test_num_iter,
        "load_model_path": None,
        "precision": FP32,  # those of training are of its forward pass; so test_net repeats the test to the last digit
        "channels_last": None,
        "check_data": 0,
        "output": None,
        "report": None,
    }
    return EvaluationConfig(**{**shared, **changes}, listed=config.listed)


def evaluation_network(config: TrainConfig) -> Model:
    """The network for testing, without a reader: what a checkpoint carries beside the weights."""
    return build(model_config(config), is_test=True, use_cudnn=bool(config.use_cudnn))
