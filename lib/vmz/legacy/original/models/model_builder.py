"""build_model: any network of the video family, added to the caller's model in its current scopes."""

from __future__ import annotations

from typing import Any

from vmz.engines.caffe2_engine.helper_net import HelperNet
from vmz.engines.caffe2_engine.programs import program_logger
from vmz.errors import UsageError
from vmz.models.config import ModelConfig
from vmz.models.families import ALL_DEPTHS, AUDIO_VISUAL, C3D, FAMILIES
from vmz.models.registry import add_network

from .arguments import config_of

log = program_logger("model_builder")

video_models = [*FAMILIES, C3D]
av_joint_models = [*AUDIO_VISUAL]
model_depths = list(ALL_DEPTHS)


def model_validation(model_name: str, model_depth: int, clip_length: int, crop_size: int) -> bool:
    """Whether there is such a network. Logs which, or in one sentence why not."""
    try:
        config_of(
            ModelConfig, model_name=model_name, model_depth=model_depth, clip_length=clip_length, crop_size=crop_size
        )
    except UsageError as error:
        log.info("Not valid: %s", error)
        return False
    log.info("Validated: %s with %s layers", model_name, model_depth)
    log.info("with input %sx%sx%s", clip_length, crop_size, crop_size)
    return True


def build_model(
    model: Any,
    model_name: str,
    model_depth: int,
    num_labels: int,
    batch_size: int,
    num_channels: int,
    crop_size: int,
    clip_length: int,
    loss_scale: float,
    data: Any = "data",
    is_test: Any = 0,
    pred_layer_name: Any = None,
    multi_label: Any = 0,
    channel_multiplier: float = 1.0,
    bottleneck_multiplier: float = 1.0,
    use_dropout: Any = False,
    conv1_temporal_stride: int = 1,
    conv1_temporal_kernel: int = 3,
    use_convolutional_pred: Any = False,
    use_pool1: Any = False,
    use_full_ft: Any = True,
    audio_input_3d: Any = False,
    g_blend: Any = False,
    audio_weight: float = 0.0,
    visual_weight: float = 0.0,
    av_weight: float = 1.0,
) -> list[Any]:
    """Add a network, its scores and its loss to `model`. Returns [scaled loss], [None] for the convolutional head.

    data: the blob of clips, N x num_channels x clip_length x crop_size x crop_size; of a_resnet the log-mel maps,
    N x 1 x 100 x 40, which the other audio-visual networks read from the blob `logmels`. is_test: batch norm and
    dropout test. use_full_ft: 0 lets only the classifier learn, on top of a trunk that tests. Labels are the blob
    `label`. The arguments from audio_input_3d on are for audio-visual networks. Raises UsageError for arguments that
    are no network.
    """
    log.info("creating %s, depth=%s...", model_name, 8 if model_name == C3D else model_depth)
    config = config_of(
        ModelConfig,
        model_name=model_name,
        model_depth=model_depth,
        num_labels=num_labels,
        batch_size=batch_size,
        num_channels=num_channels,
        crop_size=crop_size,
        clip_length=clip_length,
        loss_scale=loss_scale,
        multi_label=multi_label,
        use_pool1=use_pool1,
        use_dropout=use_dropout,
        use_convolutional_pred=use_convolutional_pred,
        channel_multiplier=channel_multiplier,
        bottleneck_multiplier=bottleneck_multiplier,
        conv1_temporal_kernel=conv1_temporal_kernel,
        conv1_temporal_stride=conv1_temporal_stride,
        pred_layer_name=pred_layer_name or None,
        audio_input_3d=audio_input_3d,
        g_blend=g_blend,
        audio_weight=audio_weight,
        visual_weight=visual_weight,
        av_weight=av_weight,
    )
    net = HelperNet(model, is_test or not use_full_ft)
    return [add_network(net, config, data, frozen=not use_full_ft).loss]
