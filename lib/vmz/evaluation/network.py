"""The network that is tested: built with its reader in front, checked, and given its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import numpy as np

from vmz.checkpoints.matching import Report
from vmz.errors import UsageError
from vmz.models.registry import Model, build
from vmz.netdef.analysis import ShapeError, Totals, totals
from vmz.netdef.inputs import VideoSource
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.clips import ClipSettings
from vmz.settings.network import model_config
from vmz.text import counted

Weights = Optional[Mapping[str, np.ndarray]]


def evaluation_model(clips: ClipSettings, sliced: bool = False, **reader: Any) -> Model:
    """The testing network as the original's test_net builds it on one CPU, its reader in front unless it takes slices.

    `reader`: arguments of ours of VideoInput or AVInput on top of the original's. Raises UsageError for a network or
    arguments that cannot be.
    """
    config = model_config(clips, batch_size=-1)  # open: a slice or a batch may be short
    clips.reader_args(**reader)  # an engine's operator refuses them only while it reads
    arguments = {**clips.reader_arguments(), **reader}
    source = VideoSource(
        clips.database, arguments, operator=clips.reader_operator, maps_in_3d=bool(clips.audio_input_3d)
    )
    return build(config, is_test=True, source=None if sliced else source, use_cudnn=bool(clips.use_cudnn))


def check_fits(model: Model) -> Totals:
    """What one clip costs. Raises UsageError when the layers do not fit the clip."""
    try:
        return totals(model.costs())
    except ShapeError as error:
        config = model.config
        raise UsageError(
            f"{config.model_name} cannot run on clips of {counted(config.clip_length, 'frame')} and "
            f"{counted(config.crop_size, 'pixel')} "
            f"({error}); use 2, 4 or a multiple of 8 frames, and the crop the model was made for"
        ) from error


def load_weights(
    model: Model, checkpoint: CheckpointSettings, random: bool = False
) -> tuple[Weights, Optional[Report]]:
    """The checkpoint's blobs, fitted to the network, and the account of them.

    Raises VmzError for a file that leaves part of the network at its initial values, unless --allow_partial_load.
    """
    if checkpoint.load_model_path:
        return checkpoint.fitted_weights(model)
    if random:
        return None, None
    raise UsageError("--load_model_path is not given; --random_weights=1 scores an untrained network on purpose")
