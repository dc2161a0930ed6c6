"""The residual networks without their losses, on the caller's model: by name, and by what they differ in."""

from __future__ import annotations

from typing import Any

from vmz.engines.caffe2_engine.helper_net import HelperNet
from vmz.engines.caffe2_engine.programs import program_logger
from vmz.errors import UsageError
from vmz.models import families
from vmz.models.blocks import CONVOLUTIONS, Stem, Style, convolution_of
from vmz.models.config import ModelConfig, multiplied_width
from vmz.models.heads import build_logits, check_head, classify
from vmz.models.resnet import Layout, build_layout, build_trunk, stages_of

from .arguments import config_of

log = program_logger("r3d_model")

BLOCK_CONFIG = dict(families.BLOCKS_PER_STAGE)
SHALLOW_FILTER_CONFIG = [list(pair) for pair in zip(families.SHALLOW_CHANNELS, families.BOTTLENECK_WIDTHS)]
DEEP_FILTER_CONFIG = [list(pair) for pair in zip(families.DEEP_CHANNELS, families.BOTTLENECK_WIDTHS)]
model_blocktype = {
    name: kind
    for name in ("r2plus1d", "r3d", "ir-csn", "ip-csn")
    for kind, convolution in CONVOLUTIONS.items()
    if convolution is families.FAMILIES[name].convolution
}

_ANY_LENGTH = 8  # from 8 frames on all stages stride in time
_FACTORISED = ("2.5d", "2.5d-sep")


def create_model(
    model: Any,
    model_name: str,
    model_depth: int,
    num_labels: int,
    num_channels: int,
    crop_size: int,
    clip_length: int,
    data: Any,
    is_test: Any,
    use_full_ft: Any = True,
    channel_multiplier: float = 1.0,
    bottleneck_multiplier: float = 1.0,
    use_dropout: Any = False,
    conv1_temporal_stride: int = 1,
    conv1_temporal_kernel: int = 3,
    use_convolutional_pred: Any = False,
    use_pool1: Any = False,
) -> Any:
    """A residual network from the clip `data` to its logits, which it returns. Arguments as build_model has them."""
    if model_name not in families.FAMILIES:
        raise UsageError(f"unknown model_name {model_name!r}; choose from: {', '.join(families.FAMILIES)}")
    config = config_of(
        ModelConfig,
        model_name=model_name,
        model_depth=model_depth,
        num_labels=num_labels,
        num_channels=num_channels,
        crop_size=crop_size,
        clip_length=clip_length,
        use_pool1=use_pool1,
        use_dropout=use_dropout,
        use_convolutional_pred=use_convolutional_pred,
        channel_multiplier=channel_multiplier,
        bottleneck_multiplier=bottleneck_multiplier,
        conv1_temporal_kernel=conv1_temporal_kernel,
        conv1_temporal_stride=conv1_temporal_stride,
    )
    net = HelperNet(model, is_test or not use_full_ft)
    check_head(net, config.use_convolutional_pred)
    return build_logits(net, config, build_trunk(net, config, data), frozen=not use_full_ft)


def create_r3d(
    model: Any,
    data: Any,
    num_input_channels: int,
    num_labels: int,
    label: Any = None,
    is_test: Any = False,
    use_full_ft: Any = True,
    no_bias: Any = 0,
    final_spatial_kernel: int = 7,
    final_temporal_kernel: int = 1,
    model_depth: int = 18,
    block_type: str = "3d",
    transformation_type: str = "simple_block",
    channel_multiplier: float = 1.0,
    bottleneck_multiplier: float = 1.0,
    use_dropout: Any = False,
    conv1_temporal_stride: int = 1,
    conv1_temporal_kernel: int = 3,
    spatial_bn_mom: float = 0.9,
    clip_length: int = 8,
    use_shuffle: Any = False,
    use_convolutional_pred: Any = False,
    use_pool1: Any = False,
) -> Any:
    """R3D, R(2+1)D and CSN by their block_type, `transformation_type` simple_block or bottleneck. Returns the logits.

    `label` and use_shuffle do nothing, as in the original.
    """
    if conv1_temporal_kernel not in (3, 5):
        raise UsageError(f"conv1_temporal_kernel is {conv1_temporal_kernel}, but it must be 3 or 5")
    if transformation_type not in ("simple_block", "bottleneck"):
        raise UsageError(f"unknown transformation_type {transformation_type!r}; choose from: simple_block, bottleneck")
    config = DEEP_FILTER_CONFIG if model_depth > 34 else SHALLOW_FILTER_CONFIG
    stages = stages_of(
        int(model_depth),
        [int(channel_multiplier * channels) for channels, _ in config],
        [multiplied_width(width, channel_multiplier, bottleneck_multiplier) for _, width in config],
        lambda stage: True,
        int(clip_length),
    )
    frames = int(conv1_temporal_kernel)
    stem = Stem(frames, int(conv1_temporal_stride), frames // 2, block_type in _FACTORISED)
    layout = Layout(
        stem=stem,
        pool1=bool(use_pool1),
        stages=stages,
        convolution=convolution_of(block_type),
        bottleneck=transformation_type == "bottleneck",
        final_kernels=_cube(final_temporal_kernel, final_spatial_kernel),
        style=_style(no_bias, spatial_bn_mom),
    )
    net = HelperNet(model, is_test or not use_full_ft)
    check_head(net, bool(use_convolutional_pred))
    features = build_layout(net, layout, data, int(num_input_channels))
    return classify(
        net, features, f"last_out_L{num_labels}", int(num_labels), bool(use_convolutional_pred), bool(use_dropout),
        frozen=not use_full_ft,
    )  # fmt: skip


def create_r2df(
    model: Any,
    data: Any,
    num_input_channels: int,
    num_labels: int,
    label: Any = None,
    is_test: Any = False,
    no_bias: Any = 0,
    final_spatial_kernel: int = 7,
    final_temporal_kernel: int = 1,
    model_depth: int = 18,
    conv1_kernel_length: int = 1,
    spatial_bn_mom: float = 0.9,
    use_pool1: Any = False,
    block_type: str = "3d",
) -> Any:
    """A 2-D network on every frame. Returns the logits."""
    if conv1_kernel_length != 1:
        raise UsageError(f"conv1_kernel_length is {conv1_kernel_length}, but r2df looks at one frame at a time: 1")
    kernels = _cube(final_temporal_kernel, final_spatial_kernel)
    bottleneck = model_depth in families.FAMILIES["r2df"].bottlenecks
    layout = _layout(Stem(1), use_pool1, model_depth, "r2df", bottleneck, kernels, no_bias, spatial_bn_mom, block_type)
    return _logits(model, data, num_input_channels, num_labels, is_test, layout)


def create_r2d(
    model: Any,
    data: Any,
    num_input_channels: int,
    num_labels: int,
    label: Any = None,
    is_test: Any = False,
    no_bias: Any = 0,
    final_spatial_kernel: int = 7,
    model_depth: int = 18,
    conv1_kernel_length: int = 8,
    final_temporal_kernel: int = 1,
    spatial_bn_mom: float = 0.9,
    use_pool1: Any = False,
    block_type: str = "3d",
) -> Any:
    """A 2-D network whose first layer takes all frames of a clip, conv1_kernel_length. Returns the logits."""
    if final_temporal_kernel != 1:
        raise UsageError(f"final_temporal_kernel is {final_temporal_kernel}, but r2d leaves one frame: 1")
    kernels, stem = _cube(1, final_spatial_kernel), Stem(int(conv1_kernel_length))
    bottleneck = model_depth in families.FAMILIES["r2d"].bottlenecks
    layout = _layout(stem, use_pool1, model_depth, "r2d", bottleneck, kernels, no_bias, spatial_bn_mom, block_type)
    return _logits(model, data, num_input_channels, num_labels, is_test, layout)


def create_mcx(
    model: Any,
    data: Any,
    num_input_channels: int,
    num_labels: int,
    label: Any = None,
    is_test: Any = False,
    no_bias: Any = 0,
    final_spatial_kernel: int = 7,
    final_temporal_kernel: int = 1,
    model_depth: int = 18,
    mc_level: int = 2,
    spatial_bn_mom: float = 0.9,
    use_pool1: Any = False,
) -> Any:
    """MCx: 3-D before stage mc_level, 2 to 5, and 2-D from it on. Returns the logits."""
    kernels, name = _cube(final_temporal_kernel, final_spatial_kernel), _level("mc", mc_level)
    layout = _layout(Stem(3, 1, 1), use_pool1, model_depth, name, False, kernels, no_bias, spatial_bn_mom)
    return _logits(model, data, num_input_channels, num_labels, is_test, layout)


def create_rmcx(
    model: Any,
    data: Any,
    num_input_channels: int,
    num_labels: int,
    label: Any = None,
    is_test: Any = False,
    no_bias: Any = 0,
    final_spatial_kernel: int = 7,
    final_temporal_kernel: int = 1,
    model_depth: int = 18,
    mc_level: int = 2,
    spatial_bn_mom: float = 0.9,
    use_pool1: Any = False,
) -> Any:
    """rMCx: 2-D before stage mc_level, 2 to 5, and 3-D from it on. Returns the logits."""
    kernels, name = _cube(final_temporal_kernel, final_spatial_kernel), _level("rmc", mc_level)
    layout = _layout(Stem(1), use_pool1, model_depth, name, False, kernels, no_bias, spatial_bn_mom)
    return _logits(model, data, num_input_channels, num_labels, is_test, layout)


def _layout(
    stem: Stem,
    use_pool1: Any,
    model_depth: int,
    name: str,
    bottleneck: bool,
    kernels: tuple[int, int, int],
    no_bias: Any,
    spatial_bn_mom: float,
    block_type: str = "3d",
) -> Layout:
    """A trunk of the family `name`, whose blocks see time where that one's do."""
    config = DEEP_FILTER_CONFIG if bottleneck and model_depth > 34 else SHALLOW_FILTER_CONFIG
    channels, widths = zip(*config)
    three_d = families.FAMILIES[name].three_d
    return Layout(
        stem=stem,
        pool1=bool(use_pool1),
        stages=stages_of(int(model_depth), channels, widths, three_d, _ANY_LENGTH),
        convolution=convolution_of(block_type),
        bottleneck=bottleneck,
        final_kernels=kernels,
        style=_style(no_bias, spatial_bn_mom),
    )


def _logits(model: Any, data: Any, channels: int, num_labels: int, is_test: Any, layout: Layout) -> Any:
    net = HelperNet(model, is_test)
    features = build_layout(net, layout, data, int(channels))
    return classify(net, features, f"last_out_L{num_labels}", int(num_labels))


def _level(family: str, mc_level: int) -> str:
    if f"{family}{mc_level}" not in families.FAMILIES:
        raise UsageError(f"mc_level is {mc_level}, but it must be 2, 3, 4 or 5: the stage where {family} changes")
    return f"{family}{mc_level}"


def _cube(frames: int, side: int) -> tuple[int, int, int]:
    return (int(frames), int(side), int(side))


def _style(no_bias: Any, momentum: float) -> Style:
    return Style(bias=not no_bias, momentum=float(momentum))
