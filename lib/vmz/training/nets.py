"""The network that train_net makes, and its reader, whose arguments are those that the original wrote, name by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vmz.engines.trainer import Build
from vmz.errors import UsageError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.inputs import VideoSource
from vmz.settings.network import model_config, video_input_arguments
from vmz.settings.reader import ViewSettings
from vmz.training.config import TrainConfig
from vmz.video.sound.arguments import reader_arguments

LOSS_WEIGHTS = ("audio_weight", "visual_weight", "av_weight")
MEGABYTE = 1024 * 1024


def train_input_arguments(config: TrainConfig) -> dict[str, Any]:
    """VideoInput's arguments of the net that learns: a clip from a random place, cropped and mirrored at random.

    Raises UsageError for --jitter_scales that are no sizes.
    """
    arguments = video_input_arguments(
        config, config, ViewSettings(clip_per_video=1, crop_per_clip=1, batch_size=config.batch_size)
    )
    del arguments["crop_per_clip"]  # train_net never wrote it
    return {
        **arguments,
        "use_local_file": config.local_files_of(config.train_data),
        "decode_type": 0,
        "get_video_id": config.get_video_id,
        "jitter_scales": jitter_scales(config),
        "random_crop": 1,
        "random_mirror": 1,
    }


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


def trained_network(config: TrainConfig) -> ModelConfig:
    """The network that learns, with the weights of its losses where there are several. Raises UsageError for settings
    that are no network, and for Gradient-Blending without any weight.
    """
    if not config.g_blend:
        return model_config(config, batch_size=config.batch_size)
    weights = {name: getattr(config, name) for name in LOSS_WEIGHTS}
    if not any(weights.values()):
        flags = ", ".join(f"--{name}" for name in LOSS_WEIGHTS)
        raise UsageError(f"--g_blend=1, but {flags} are all 0, so that nothing would be learned; give one of them")
    return model_config(config, batch_size=config.batch_size, **weights)


def builder(config: TrainConfig, **reader: Any) -> Build:
    """What builds the network of `config` that learns, for a device, with its reader of --train_data in front.

    `reader`: VideoInput arguments of ours on top of the original's. Raises UsageError for settings that are no network
    or no reader, or lack a database.
    """
    arguments = {**train_input_arguments(config), **reader}
    source = VideoSource(
        config.train_database,
        arguments,
        reader_name="train_reader",
        operator=config.reader_operator,
        maps_in_3d=bool(config.audio_input_3d),
    )
    network = trained_network(config)  # refused here, before any device is touched
    reader_arguments(arguments, config.reader_operator)  # an engine's operator refuses them only while it reads

    def build_for(scope: str, device: Any, loss_scale: float) -> Model:
        return build(
            replace(network, loss_scale=loss_scale),
            is_test=False,
            net_name=f"{config.model_name}_train",
            scope=scope,
            source=source,
            use_cudnn=bool(config.use_cudnn),
            device=device,
            workspace_limit=config.cudnn_workspace_limit_mb * MEGABYTE,
        )

    return build_for
