"""Settings of a network, under the names of the original tools' flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from vmz.errors import UsageError
from vmz.models.config import LARGEST as MODEL_LARGEST
from vmz.models.config import WIDEST, ModelConfig
from vmz.models.families import A_RESNET, AUDIO_VISUAL
from vmz.netdef.video_outputs import FLOW_CHANNELS, HEARING, RGB_AND_SOUND, SOUND, WITH_RGB
from vmz.settings.kinds import Integer, Number, switch
from vmz.settings.reader import (
    BEYOND_THE_ORIGINAL,
    SOUND_BEYOND_THE_ORIGINAL,
    FlowSettings,
    ReaderSettings,
    ViewSettings,
)
from vmz.settings.setting import Settings, setting, settings_of
from vmz.text import counted
from vmz.video.arguments import MOST as READER_MOST


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """Which network. `model_config` makes the checked ModelConfig of it, with the flow's length where it sees flow."""

    model_name: str = setting(
        "r2plus1d",
        "network: r2plus1d, r3d, mc2 to mc5, rmc2 to rmc5, r2d, r2df, ir-csn, ip-csn or c3d; a_resnet for sound; "
        "av_resnet-r2plus1d, -r3d, -ir-csn or -ip-csn for pictures and sound",
        str,
    )
    model_depth: int = setting(
        18, "number of layers: 10, 16, 18, 26, 34, 50, 101 or 152; with sound also 68", Integer(1, 1000)
    )
    num_labels: int = setting(101, "number of classes", Integer(1, MODEL_LARGEST["num_labels"]))
    num_channels: int = setting(3, "number of channels of a clip", Integer(1, MODEL_LARGEST["num_channels"]))
    crop_size: int = setting(112, "height and width of a clip, in pixels", Integer(1, READER_MOST["crop_size"]))
    clip_length_rgb: int = setting(16, "number of frames of a clip", Integer(1, READER_MOST["length_rgb"]))
    multi_label: int = setting(0, "1: several labels per video, with sigmoid instead of softmax", switch)
    channel_multiplier: float = setting(
        1.0, "factor of the width of every stage, including the inside of bottlenecks", Number(0, WIDEST)
    )
    bottleneck_multiplier: float = setting(1.0, "additional factor of the width inside bottlenecks", Number(0, WIDEST))
    use_dropout: int = setting(0, "1: dropout before the classifier", switch)
    conv1_temporal_stride: int = setting(1, "temporal stride of the first layer", Integer(1, 64))
    conv1_temporal_kernel: int = setting(3, "temporal kernel size of the first layer: 3 or 5", Integer(1, 64))
    use_convolutional_pred: int = setting(
        0, "1: fully convolutional head, for crops of 128, 256 and 320 pixels (testing only)", switch
    )
    use_pool1: int = setting(0, "1: max pooling after the first layer, for crops of 224 pixels and more", switch)
    pred_layer_name: Optional[str] = setting(
        None, "name of the classifier's blob; last_out_L<num_labels> by default", str, metavar="BLOB"
    )
    audio_input_3d: int = setting(
        0,
        "1: an audio-visual network that takes several log-mel maps a clip, N x C x 1 x 100 x 40, and averages them; "
        "of a video it gets one",
        switch,
    )
    g_blend: int = setting(
        0,
        "1: an audio-visual network with two classifiers more, of the sound and of the pictures alone "
        "(Gradient-Blending): a_last_out_L*, v_last_out_L*. Scores are those of the joint one",
        switch,
    )
    use_cudnn: int = setting(
        1, "1: write the CUDNN engine into the operators, as published; it has no effect on the PyTorch engine", switch
    )


def model_config(settings: NetworkSettings, **changes: Any) -> ModelConfig:
    """The checked network configuration; `changes` are arguments of ModelConfig, set on top.

    Raises UsageError naming the setting.
    """
    names = [name for name in settings_of(NetworkSettings) if name not in ("clip_length_rgb", "use_cudnn")]
    arguments = {name: getattr(settings, name) for name in names}
    arguments["clip_length"] = settings.clip_length_rgb
    if isinstance(settings, FlowSettings) and settings.sees_flow:
        arguments["clip_length"] = settings.clip_length_of
    config = ModelConfig(**{**arguments, **changes})
    if isinstance(settings, FlowSettings):
        _check_sound(config, settings.input_type)
        _check_flow(config, settings)
    return config


def hearing_input(model_name: str) -> Optional[int]:
    """The --input_type of a network that hears; None: it hears nothing."""
    if model_name == A_RESNET:
        return SOUND
    return RGB_AND_SOUND if model_name in AUDIO_VISUAL else None


def _check_sound(config: ModelConfig, input_type: int) -> None:
    """UsageError for a network and an input that do not go together."""
    name, given = f"--model_name={config.model_name}", f"--input_type={input_type}"
    wanted = hearing_input(config.model_name)
    if wanted is not None and input_type != wanted:
        takes = "pictures and sound" if config.sees_pictures else "sound alone"
        raise UsageError(f"{name} takes {takes}, not {given}; give --input_type={wanted}")
    if wanted is None and input_type in HEARING:
        raise UsageError(f"{name} hears no sound, so {given} is not possible; give 0 (RGB) or 1 (optical flow)")


def _check_flow(config: ModelConfig, settings: FlowSettings) -> None:
    """UsageError for optical flow of another number of channels than the network takes."""
    channels = FLOW_CHANNELS[settings.flow_data_type]
    if settings.sees_flow and config.num_channels != channels:
        raise UsageError(
            f"--num_channels={config.num_channels}, but flow has {counted(channels, 'channel')} with "
            f"--flow_data_type={settings.flow_data_type}; give --num_channels={channels}"
        )


def video_input_arguments(network: NetworkSettings, reader: ReaderSettings, views: ViewSettings) -> dict[str, Any]:
    """The arguments of a test net's reader, all those that the original writes, by their operator names: of VideoInput,
    or with --input_type=2 and 3 of AVInput.

    With --input_type=1 the flow is all that the operator gives, with 2 the log-mels: they are the network's `data`.
    """
    beyond = {**BEYOND_THE_ORIGINAL, **(SOUND_BEYOND_THE_ORIGINAL if reader.hears else {})}
    return {
        "batch_size": views.batch_size,
        "clip_per_video": views.clip_per_video,
        "crop_per_clip": views.crop_per_clip,
        "crop_size": network.crop_size,
        "scale_h": reader.scale_h,
        "scale_w": reader.scale_w,
        "short_edge": min(reader.scale_h, reader.scale_w),
        "video_res_type": reader.video_res_type,
        "length_rgb": network.clip_length_rgb,
        "sampling_rate_rgb": reader.sampling_rate_rgb,
        "length_of": reader.clip_length_of,
        "sampling_rate_of": reader.sampling_rate_of,
        "frame_gap_of": reader.frame_gap_of,
        "do_flow_aggregation": reader.do_flow_aggregation,
        "flow_data_type": reader.flow_data_type,
        "input_type": reader.input_type,
        "get_rgb": int(reader.input_type in WITH_RGB),
        "get_optical_flow": int(reader.sees_flow),
        "get_logmels": int(reader.hears),
        "decode_type": 1,
        "random_crop": 0,
        "random_mirror": 0,
        "num_decode_threads": reader.num_decode_threads,
        "do_multi_label": network.multi_label,
        "num_of_class": network.num_labels,
        "use_local_file": reader.local_files,
        **{name: value for name, default in beyond.items() if (value := getattr(reader, name)) != default},
    }
