"""The pieces of the residual networks: stems, the convolutions they differ in, the two kinds of block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from vmz.netdef.builder import NetBuilder, Triple

STEM_CHANNELS = 64
FACTORISED_STEM_CHANNELS = 45


@dataclass
class Block:
    """Names what lies inside residual block `number`: comp_N_conv_i, comp_N_spatbn_i, with i counting convolutions.

    `frames` is the temporal size of its k x k x k convolution: 3, or 1 where the stage does not see time.
    """

    net: NetBuilder
    number: int
    frames: int
    convolutions: int = 0

    def count(self, steps: int = 1) -> None:
        self.convolutions += steps

    def name(self, what: str, suffix: str = "") -> str:
        return f"comp_{self.number}_{what}_{self.convolutions}{suffix}"

    def bn(self, blob: str, channels: int, suffix: str = "") -> str:
        return self.net.spatial_bn(blob, self.name("spatbn", suffix), channels)


Convolution = Callable[[Block, str, int, int, Triple], str]
"""(block, blob, channels in, channels out, strides) -> the blob after the convolution and its batch norm."""


def factorised_width(channels_in: int, channels_out: int, frames: int = 3, side: int = 3) -> int:
    """Channels between (1,k,k) and (t,1,1) that give R(2+1)D as many parameters as the k x k x k convolution."""
    return int(frames * side * side * channels_in * channels_out / (side * side * channels_in + frames * channels_out))


def full(block: Block, blob: str, channels_in: int, channels_out: int, strides: Triple) -> str:
    """One (t,3,3) convolution, t the stage's frames."""
    block.count()
    kernels, pads = (block.frames, 3, 3), (block.frames // 2, 1, 1)
    conv = block.net.conv(blob, block.name("conv"), channels_in, channels_out, kernels, strides=strides, pads=pads)
    return block.bn(conv, channels_out)


def factorised(block: Block, blob: str, channels_in: int, channels_out: int, strides: Triple) -> str:
    """R(2+1)D: (1,3,3) to the width between, batch norm, ReLU, then (3,1,1)."""
    block.count()
    time, height, width = strides
    middle = factorised_width(channels_in, channels_out)
    name = block.name("conv", "_middle")
    conv = block.net.conv(blob, name, channels_in, middle, (1, 3, 3), strides=(1, height, width), pads=(0, 1, 1))
    blob = block.net.relu(block.bn(conv, middle, "_middle"))
    conv = block.net.conv(
        blob, block.name("conv"), middle, channels_out, (3, 1, 1), strides=(time, 1, 1), pads=(1, 0, 0)
    )
    return block.bn(conv, channels_out)


def depthwise(block: Block, blob: str, channels_in: int, channels_out: int, strides: Triple) -> str:
    """ir-CSN: a depth-wise 3x3x3. The original counts it twice, and checkpoints are keyed by that name."""
    block.count(2)
    return _depthwise_and_bn(block, blob, channels_out, strides)


def pointwise_then_depthwise(block: Block, blob: str, channels_in: int, channels_out: int, strides: Triple) -> str:
    """ip-CSN: a 1x1x1 with batch norm and no ReLU, then a depth-wise 3x3x3."""
    block.count()
    conv = block.net.conv(blob, block.name("conv", "_middle"), channels_in, channels_out, (1, 1, 1))
    return _depthwise_and_bn(block, block.bn(conv, channels_out, "_middle"), channels_out, strides)


def _depthwise_and_bn(block: Block, blob: str, channels: int, strides: Triple) -> str:
    name = block.name("conv")
    conv = block.net.conv(blob, name, channels, channels, (3, 3, 3), strides=strides, pads=(1, 1, 1), depthwise=True)
    return block.bn(conv, channels)


def pointwise(block: Block, blob: str, channels_in: int, channels_out: int) -> str:
    """The 1x1x1 convolutions at both ends of a bottleneck."""
    block.count()
    return block.bn(block.net.conv(blob, block.name("conv"), channels_in, channels_out, (1, 1, 1)), channels_out)


def simple_block(
    block: Block, convolution: Convolution, blob: str, channels_in: int, channels_out: int, strides: Triple
) -> str:
    """Two convolutions and the shortcut."""
    inside = block.net.relu(convolution(block, blob, channels_in, channels_out, strides))
    inside = convolution(block, inside, channels_out, channels_out, (1, 1, 1))
    return _add_shortcut(block, blob, inside, channels_in, channels_out, strides, passes_momentum=False)


def bottleneck_block(
    block: Block, convolution: Convolution, blob: str, channels_in: int, width: int, channels_out: int, strides: Triple
) -> str:
    """1x1x1 down to `width`, the convolution there, 1x1x1 up, and the shortcut."""
    inside = block.net.relu(pointwise(block, blob, channels_in, width))
    inside = block.net.relu(convolution(block, inside, width, width, strides))
    inside = pointwise(block, inside, width, channels_out)
    return _add_shortcut(block, blob, inside, channels_in, channels_out, strides, passes_momentum=True)


def _add_shortcut(
    block: Block, blob: str, inside: str, channels_in: int, channels_out: int, strides: Triple, passes_momentum: bool
) -> str:
    if channels_in != channels_out or strides != (1, 1, 1):
        name = f"shortcut_projection_{block.number}"
        blob = block.net.conv(blob, name, channels_in, channels_out, (1, 1, 1), strides=strides, pads=None)
        blob = block.net.spatial_bn(blob, f"{name}_spatbn", channels_out, momentum=0.9 if passes_momentum else None)
    return block.net.relu(block.net.sum(blob, inside, block.name("sum")))


def full_stem(net: NetBuilder, blob: str, channels: int, frames: int, stride: int, pad: int) -> str:
    """conv1 (frames, 7, 7) to 64 channels, batch norm, ReLU."""
    conv = net.conv(blob, "conv1", channels, STEM_CHANNELS, (frames, 7, 7), strides=(stride, 2, 2), pads=(pad, 3, 3))
    return net.relu(net.spatial_bn(conv, "conv1_spatbn_relu", STEM_CHANNELS))


def factorised_stem(net: NetBuilder, blob: str, channels: int, frames: int, stride: int, pad: int) -> str:
    """conv1_middle (1, 7, 7) to 45 channels and conv1 (frames, 1, 1) to 64, each with batch norm and ReLU."""
    middle = FACTORISED_STEM_CHANNELS
    conv = net.conv(blob, "conv1_middle", channels, middle, (1, 7, 7), strides=(1, 2, 2), pads=(0, 3, 3))
    blob = net.relu(net.spatial_bn(conv, "conv1_middle_spatbn_relu", middle))
    conv = net.conv(blob, "conv1", middle, STEM_CHANNELS, (frames, 1, 1), strides=(stride, 1, 1), pads=(pad, 0, 0))
    return net.relu(net.spatial_bn(conv, "conv1_spatbn_relu", STEM_CHANNELS))
