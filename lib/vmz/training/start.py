"""What a training starts from: the network on its own, and the weights that a file gives it."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import numpy as np

from vmz.models.registry import Model, build
from vmz.netdef.blob_names import without_scopes
from vmz.training.config import TrainConfig
from vmz.training.nets import trained_network


def forward_net(config: TrainConfig) -> Model:
    """The training network on its own, as the plan looks at it."""
    return build(replace(trained_network(config), batch_size=1), is_test=False, use_cudnn=bool(config.use_cudnn))


def initial_weights(config: TrainConfig, say: bool) -> Optional[dict[str, np.ndarray]]:
    """What --load_model_path initialises the network with, fitted to it, by names without scope; None without a file.

    The classifier may be missing: it is new in fine-tuning. Raises VmzError for a file that lacks more.
    """
    if not config.load_model_path:
        return None
    weights, report = config.fitted_weights(forward_net(config), new_head=True)
    if say:
        print(f"{config.load_model_path}: {report.summary()}", flush=True)
    return without_scopes(weights)
