"""What a training starts from: the network on its own, and the weights that a file gives it."""

from __future__ import annotations

import argparse
from typing import Optional

import numpy as np

from vmz.checkpoints import matching
from vmz.checkpoints.loading import load
from vmz.cli.options import model_config
from vmz.engines.trainer import without_scopes
from vmz.models.registry import Model, build


def forward_net(options: argparse.Namespace) -> Model:
    """The training network on its own, as the plan looks at it."""
    return build(model_config(options), is_test=False, use_cudnn=bool(options.use_cudnn))


def initial_weights(options: argparse.Namespace, say: bool) -> Optional[dict[str, np.ndarray]]:
    """What --load_model_path initialises the network with, fitted to it, by names without scope; None without a file.

    The classifier may be missing: it is new in fine-tuning. Raises VmzError for a file that lacks more.
    """
    if not options.load_model_path:
        return None
    model = forward_net(options)
    blobs = load(options.load_model_path, options.db_type)
    weights, report = matching.match(
        blobs,
        [*model.params, *model.computed_params],
        center_init=bool(options.center_init),
        bgr2rgb=bool(options.bgr2rgb),
    )
    matching.check(
        report,
        options.load_model_path,
        new_head=True,
        allow_partial=bool(options.allow_partial_load),
        classifier=model.config.last_layer,
    )
    if say:
        print(f"{options.load_model_path}: {report.summary()}", flush=True)
    return without_scopes(weights)
