"""The networks as rows: which depths, which stem, which convolution, which stages see time.

Stages count from 1: the stem is stage 1, the residual stages are 2 to 5. Source: R(2+1)D (arXiv:1711.11248, the MCx and
rMCx of its section 3), CSN (arXiv:1904.02811), and the blob names of the original builders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Optional

from vmz.models.blocks import Convolution, depthwise, factorised, full, pointwise_then_depthwise

C3D = "c3d"

BLOCKS_PER_STAGE = {
    10: (1, 1, 1, 1),
    16: (2, 2, 2, 1),
    18: (2, 2, 2, 2),
    26: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
ALL_DEPTHS = tuple(BLOCKS_PER_STAGE)
BOTTLENECKS = (26, 50, 101, 152)
DEEP_BOTTLENECKS = (50, 101, 152)

SHALLOW_CHANNELS = (64, 128, 256, 512)
DEEP_CHANNELS = (256, 512, 1024, 2048)
BOTTLENECK_WIDTHS = (64, 128, 256, 512)

WHOLE_CLIP = 0


@dataclass(frozen=True)
class Family:
    """One row: how the fourteen residual networks differ.

    convolution: the k x k x k convolution of a block. three_d: whether a residual stage (2..5) convolves over time.
    bottlenecks: the depths that use bottleneck blocks. stem_frames: the stem's temporal kernel; None takes the
    configuration's, WHOLE_CLIP folds all frames into channels. factorised_stem: (1,7,7) then (t,1,1).
    """

    convolution: Convolution
    three_d: Callable[[int], bool]
    bottlenecks: tuple[int, ...] = BOTTLENECKS
    depths: tuple[int, ...] = ALL_DEPTHS
    stem_frames: Optional[int] = None
    factorised_stem: bool = False


def _always(stage: int) -> bool:
    return True


def _never(stage: int) -> bool:
    return False


def _mixed(first_flat_stage: int) -> Family:
    """MCx: 3-D before stage x, 2-D from there on."""
    return Family(full, lambda stage: stage < first_flat_stage, bottlenecks=(), stem_frames=3)


def _reversed_mixed(first_deep_stage: int) -> Family:
    """rMCx: 2-D before stage x, 3-D from there on."""
    return Family(full, lambda stage: stage >= first_deep_stage, bottlenecks=(), stem_frames=1)


FAMILIES = {
    "r2d": Family(full, _never, stem_frames=WHOLE_CLIP),
    "r2df": Family(full, _never, bottlenecks=DEEP_BOTTLENECKS, stem_frames=1),
    **{f"mc{x}": _mixed(x) for x in (2, 3, 4, 5)},
    **{f"rmc{x}": _reversed_mixed(x) for x in (2, 3, 4, 5)},
    "r3d": Family(full, _always),
    "r2plus1d": Family(factorised, _always, factorised_stem=True),
    # Depth-wise convolutions need equal channels on both sides, which only bottlenecks give.
    "ir-csn": Family(depthwise, _always, depths=BOTTLENECKS),
    "ip-csn": Family(pointwise_then_depthwise, _always),
}

# The audio-visual networks: depths of their own, as the original has them.
A_RESNET = "a_resnet"
AUDIO_VISUAL_BLOCKS = {depth: BLOCKS_PER_STAGE[depth] for depth in (18, 26, 34, 50, 101, 152)}
AUDIO_VISUAL_BLOCKS[68] = (3, 4, 23, 3)
AUDIO_VISUAL_DEPTHS = tuple(sorted(AUDIO_VISUAL_BLOCKS))
AUDIO_VISUAL_BOTTLENECKS = (*BOTTLENECKS, 68)


def _with_sound(name: str) -> Family:
    """The visual half of av_resnet-NAME."""
    family = FAMILIES[name]
    depths = tuple(depth for depth in AUDIO_VISUAL_DEPTHS if depth == 68 or depth in family.depths)
    return replace(family, depths=depths, bottlenecks=AUDIO_VISUAL_BOTTLENECKS)


AUDIO_VISUAL = {f"av_resnet-{name}": _with_sound(name) for name in ("r2plus1d", "r3d", "ir-csn", "ip-csn")}
SOUND_NAMES = (A_RESNET, *AUDIO_VISUAL)


def family_of(model_name: str) -> Family:
    """The row of a residual network that sees pictures. KeyError for another name."""
    return {**FAMILIES, **AUDIO_VISUAL}[model_name]
