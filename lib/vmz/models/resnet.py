"""The fourteen residual video networks: r2d, r2df, mc2..5, rmc2..5, r3d, r2plus1d, ir-csn, ip-csn."""

from __future__ import annotations

from vmz.models.blocks import STEM_CHANNELS, Block, bottleneck_block, factorised_stem, full_stem, simple_block
from vmz.models.config import ModelConfig, bottleneck_width
from vmz.models.families import (
    BLOCKS_PER_STAGE,
    BOTTLENECK_WIDTHS,
    DEEP_CHANNELS,
    FAMILIES,
    SHALLOW_CHANNELS,
    WHOLE_CLIP,
)
from vmz.models.heads import FeatureMap
from vmz.netdef.builder import NetBuilder

STAGES = (2, 3, 4, 5)
# Clips shorter than this are not strided in time by the stage: too few frames would be left.
FRAMES_TO_STRIDE = {3: 1, 4: 4, 5: 8}


def build_trunk(net: NetBuilder, config: ModelConfig, blob: str = "data") -> FeatureMap:
    """All layers from the clip `blob` (N, num_channels, T, H, W) to `final_avg`, which it returns."""
    family = FAMILIES[config.model_name]
    channels = STEM_CHANNELS
    blob = _stem(net, config, blob)
    if config.use_pool1:
        blob = net.pool("MaxPool", blob, "pool1", (1, 3, 3), (1, 2, 2), (0, 1, 1))
    bottleneck = config.model_depth in family.bottlenecks
    stage_channels = DEEP_CHANNELS if bottleneck and config.model_depth > 34 else SHALLOW_CHANNELS
    number, halvings = 0, 0
    for stage, blocks in zip(STAGES, BLOCKS_PER_STAGE[config.model_depth]):
        out = int(config.channel_multiplier * stage_channels[stage - 2])
        width = bottleneck_width(config, BOTTLENECK_WIDTHS[stage - 2])
        strides_time = stage > 2 and family.three_d(stage)
        halvings += strides_time
        for first in [True] + [False] * (blocks - 1):
            time = 2 if strides_time and config.clip_length >= FRAMES_TO_STRIDE[stage] else 1
            strides = (time, 2, 2) if first and stage > 2 else (1, 1, 1)
            block = Block(net, number, frames=3 if family.three_d(stage) else 1)
            if bottleneck:
                blob = bottleneck_block(block, family.convolution, blob, channels, width, out, strides)
            else:
                blob = simple_block(block, family.convolution, blob, channels, out, strides)
            channels, number = out, number + 1
    kernels = (_final_frames(config, halvings), config.final_side, config.final_side)
    return FeatureMap(net.pool("AveragePool", blob, "final_avg", kernels, (1, 1, 1)), channels)


def _stem(net: NetBuilder, config: ModelConfig, blob: str) -> str:
    family = FAMILIES[config.model_name]
    stem = factorised_stem if family.factorised_stem else full_stem
    if family.stem_frames == WHOLE_CLIP:
        return stem(net, blob, config.num_channels, config.clip_length, 1, 0)
    frames = family.stem_frames or config.conv1_temporal_kernel
    return stem(net, blob, config.num_channels, frames, config.conv1_temporal_stride, frames // 2)


def _final_frames(config: ModelConfig, halvings: int) -> int:
    """The temporal size of final_avg: the frames left after the stem's stride and the stages' `halvings`."""
    if FAMILIES[config.model_name].stem_frames == WHOLE_CLIP:
        return 1
    return max(1, config.clip_length * 2 ** (len(STAGES) - 1 - halvings) // 8 // config.conv1_temporal_stride)
