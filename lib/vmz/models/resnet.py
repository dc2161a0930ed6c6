"""The fourteen residual video networks: r2d, r2df, mc2..5, rmc2..5, r3d, r2plus1d, ir-csn, ip-csn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Callable

from vmz.errors import UsageError
from vmz.models.blocks import (
    PLAIN,
    STEM_CHANNELS,
    Block,
    Convolution,
    Stem,
    Style,
    add_stem,
    bottleneck_block,
    simple_block,
)
from vmz.models.config import ModelConfig, bottleneck_width
from vmz.models.families import (
    AUDIO_VISUAL_BLOCKS,
    BLOCKS_PER_STAGE,
    BOTTLENECK_WIDTHS,
    DEEP_CHANNELS,
    SHALLOW_CHANNELS,
    SOUND_NAMES,
    WHOLE_CLIP,
    family_of,
)
from vmz.models.heads import FeatureMap
from vmz.netdef.builder import NetBuilder, Triple

STAGES = (2, 3, 4, 5)
# Clips shorter than this are not strided in time by the stage: too few frames would be left.
FRAMES_TO_STRIDE = {2: 1, 3: 1, 4: 4, 5: 8}


@dataclass(frozen=True)
class Stage:
    """Some blocks in a row. three_d: whether they convolve over time. halves_time: whether the first one strides in it.

    width: the channels inside bottlenecks. The first stage, number 2, does not stride at all.
    """

    number: int
    blocks: int
    channels: int
    width: int
    three_d: bool
    halves_time: bool


@dataclass(frozen=True)
class Layout:
    """A residual trunk, in numbers. final_kernels: what final_avg averages over."""

    stem: Stem
    pool1: bool
    stages: tuple[Stage, ...]
    convolution: Convolution
    bottleneck: bool
    final_kernels: Triple
    style: Style = PLAIN


def build_trunk(net: NetBuilder, config: ModelConfig, blob: str = "data") -> FeatureMap:
    """All layers from the clip `blob` (N, num_channels, T, H, W) to `final_avg`, which it returns."""
    return build_layout(net, layout_of(config), blob, config.num_channels)


def build_layout(net: NetBuilder, layout: Layout, blob: str, channels: int) -> FeatureMap:
    """The layers of a layout, from a clip of `channels` channels to `final_avg`."""
    *_, last = build_blocks(net, layout, blob, channels)
    return final_average(net, layout, last)


def final_average(net: NetBuilder, layout: Layout, last: FeatureMap) -> FeatureMap:
    """`final_avg` of what the last block gives."""
    name = f"{layout.style.prefix}final_avg"
    return FeatureMap(net.pool("AveragePool", last.blob, name, layout.final_kernels, (1, 1, 1)), last.channels)


def build_blocks(net: NetBuilder, layout: Layout, blob: str, channels: int) -> Iterator[FeatureMap]:
    """The layers up to the last block, one at a time: what the stem gives, with pool1, and then each block."""
    blob, channels, number = add_stem(net, layout.stem, blob, channels, layout.style), STEM_CHANNELS, 0
    if layout.pool1:
        blob = net.pool("MaxPool", blob, "pool1", (1, 3, 3), (1, 2, 2), (0, 1, 1))
    yield FeatureMap(blob, channels)
    for stage in layout.stages:
        for first in [True] + [False] * (stage.blocks - 1):
            shrinks = first and stage.number > 2
            strides = (2 if stage.halves_time else 1, 2, 2) if shrinks else (1, 1, 1)
            block = Block(net, number, frames=3 if stage.three_d else 1, style=layout.style)
            if layout.bottleneck:
                blob = bottleneck_block(block, layout.convolution, blob, channels, stage.width, stage.channels, strides)
            else:
                blob = simple_block(block, layout.convolution, blob, channels, stage.channels, strides)
            channels, number = stage.channels, number + 1
            yield FeatureMap(blob, channels)


def layout_of(config: ModelConfig) -> Layout:
    """The trunk that a configuration asks for."""
    family = family_of(config.model_name)
    return Layout(
        stem=_stem(config),
        pool1=config.use_pool1,
        stages=config_stages(config, family.bottlenecks, family.three_d),
        convolution=family.convolution,
        bottleneck=config.model_depth in family.bottlenecks,
        final_kernels=(_final_frames(config), config.final_side, config.final_side),
    )


def config_stages(config: ModelConfig, bottlenecks: Sequence[int], three_d: Callable[[int], bool]) -> tuple[Stage, ...]:
    """The four stages of a configuration. bottlenecks: the depths that use bottleneck blocks."""
    deep = config.model_depth in bottlenecks and config.model_depth > 34
    return stages_of(
        config.model_depth,
        [int(config.channel_multiplier * width) for width in (DEEP_CHANNELS if deep else SHALLOW_CHANNELS)],
        [bottleneck_width(config, width) for width in BOTTLENECK_WIDTHS],
        three_d,
        config.clip_length,
        AUDIO_VISUAL_BLOCKS if config.model_name in SOUND_NAMES else BLOCKS_PER_STAGE,
    )


def stages_of(
    depth: int,
    channels: Sequence[int],
    widths: Sequence[int],
    three_d: Callable[[int], bool],
    clip_length: int,
    blocks: Mapping[int, tuple[int, ...]] = BLOCKS_PER_STAGE,
) -> tuple[Stage, ...]:
    """The four stages of a depth of `blocks`; channels, and widths inside bottlenecks, by stage.

    UsageError for another depth.
    """
    if depth not in blocks:
        raise UsageError(f"model_depth is {depth}, but it must be {', '.join(map(str, blocks))}")
    rows = zip(STAGES, blocks[depth], channels, widths)
    return tuple(
        Stage(number, blocks, out, width, three_d(number), three_d(number) and clip_length >= FRAMES_TO_STRIDE[number])
        for number, blocks, out, width in rows
    )


def _stem(config: ModelConfig) -> Stem:
    family = family_of(config.model_name)
    if family.stem_frames == WHOLE_CLIP:
        return Stem(config.clip_length)
    frames = family.stem_frames or config.conv1_temporal_kernel
    return Stem(frames, config.conv1_temporal_stride, frames // 2, family.factorised_stem)


def _final_frames(config: ModelConfig) -> int:
    """The temporal size of final_avg: the frames left after the stem's stride and the stages that see time."""
    family = family_of(config.model_name)
    if family.stem_frames == WHOLE_CLIP:
        return 1
    halvings = sum(family.three_d(number) for number in STAGES[1:])
    return max(1, config.clip_length * 2 ** (len(STAGES) - 1 - halvings) // 8 // config.conv1_temporal_stride)
