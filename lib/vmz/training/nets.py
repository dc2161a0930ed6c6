"""The networks that train_net makes: one that learns, and the original's own net for testing between epochs.

The arguments of both readers are those that the original wrote, name by name.
"""

from __future__ import annotations

from typing import Any

from vmz.engines.trainer import Build
from vmz.errors import UsageError
from vmz.models.registry import Model, build
from vmz.netdef.inputs import VideoSource
from vmz.settings.network import model_config, video_input_arguments
from vmz.settings.reader import ViewSettings
from vmz.training.config import TrainConfig

MEGABYTE = 1024 * 1024


def train_input_arguments(config: TrainConfig) -> dict[str, Any]:
    """VideoInput's arguments of the net that learns: a clip from a random place, cropped and mirrored at random.

    Raises UsageError for --jitter_scales that are no sizes.
    """
    return {
        **_shared_arguments(config),
        "jitter_scales": jitter_scales(config),
        "random_crop": 1,
        "random_mirror": 1,
    }


def test_input_arguments(config: TrainConfig) -> dict[str, Any]:
    """VideoInput's arguments of the original's net for testing while it trains: the centre crop of a random clip."""
    return {name: value for name, value in _shared_arguments(config).items() if name != "get_logmels"}


def _shared_arguments(config: TrainConfig) -> dict[str, Any]:
    arguments = video_input_arguments(
        config, config, ViewSettings(clip_per_video=1, crop_per_clip=1, batch_size=config.batch_size)
    )
    del arguments["crop_per_clip"]  # train_net never wrote it
    return {**arguments, "decode_type": 0, "get_video_id": config.get_video_id}


def jitter_scales(config: TrainConfig) -> list[int]:
    """The short edges of --jitter_scales; where it is not given, the test's own and 1.25 times it, as published."""
    if config.jitter_scales is None:
        edge = min(config.scale_h, config.scale_w)
        return [edge, int(1.25 * edge)]
    try:
        scales = [int(text) for text in config.jitter_scales.split(",")]
    except ValueError:
        scales = []
    if not scales or min(scales) < 1:
        raise UsageError(f"--jitter_scales={config.jitter_scales} is not a list of short edges, such as 128,160")
    return scales


def builder(config: TrainConfig, is_train: bool, **reader: Any) -> Build:
    """What builds the network of `config` for a device, with its reader of --train_data or --test_data in front.

    `is_train`: the net that learns, or else the original's test net, which is built as that one is (its batch norm
    and dropout do not test) and differs in reader, name and cuDNN's limit. `reader`: VideoInput arguments of ours on
    top of the original's. Raises UsageError for settings that are no network or lack a database.
    """
    flag = "train_data" if is_train else "test_data"
    database = getattr(config, flag)
    if not database:
        raise UsageError(f"--{flag} is not given; it takes an LMDB of videos, as create_video_db.py makes it")
    arguments = train_input_arguments(config) if is_train else test_input_arguments(config)
    reader_name = "train_reader" if is_train else "test_reader"
    source = VideoSource(database, {**arguments, **reader}, reader_name=reader_name)
    model_config(config)  # refused here, before any device is touched

    def build_for(scope: str, device: Any, loss_scale: float) -> Model:
        return build(
            model_config(config, loss_scale=loss_scale, batch_size=config.batch_size),
            is_test=False,
            net_name=f"{config.model_name}_{'train' if is_train else 'test'}",
            scope=scope,
            source=source,
            use_cudnn=bool(config.use_cudnn),
            device=device,
            workspace_limit=config.cudnn_workspace_limit_mb * MEGABYTE if is_train else None,
        )

    return build_for
