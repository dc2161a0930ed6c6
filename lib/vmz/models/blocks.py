"""The pieces of the residual networks: stems, the convolutions they differ in, the two kinds of block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from vmz.errors import UsageError
from vmz.netdef.builder import NetBuilder, Triple

STEM_CHANNELS = 64
FACTORISED_STEM_CHANNELS = 45
MOMENTUM = 0.9
UNIT: Triple = (1, 1, 1)


@dataclass(frozen=True)
class Style:
    """What all layers of a trunk share: biases in its convolutions, batch norm's momentum, a prefix of their names."""

    bias: bool = False
    momentum: float = MOMENTUM
    prefix: str = ""


PLAIN = Style()  # of every published network


@dataclass(frozen=True)
class Window:
    """Sizes and strides of a convolution over T, H, W, and its padding: per axis, or for both ends of each."""

    kernels: Triple
    strides: Triple = UNIT
    pads: tuple[int, ...] = (0, 0, 0)


@dataclass
class Block:
    """Names what lies inside residual block `number`: comp_N_conv_i, comp_N_spatbn_i, with i counting convolutions.

    `frames` is the temporal size of its k x k x k convolution: 3, or 1 where the stage does not see time.
    `batch_norm`: whether the block's convolutions have one.
    """

    net: NetBuilder
    number: int
    frames: int = 3
    convolutions: int = 0
    style: Style = PLAIN
    batch_norm: bool = True

    def count(self) -> None:
        self.convolutions += 1

    def name(self, what: str, suffix: str = "") -> str:
        return f"{self.style.prefix}comp_{self.number}_{what}_{self.convolutions}{suffix}"

    def conv(
        self, blob: str, channels_in: int, channels_out: int, window: Window, suffix: str = "", depthwise: bool = False
    ) -> str:
        """A convolution under the block's present number."""
        return self.net.conv(
            blob, self.name("conv", suffix), channels_in, channels_out, window.kernels, strides=window.strides,
            pads=window.pads, bias=self.style.bias, depthwise=depthwise,
        )  # fmt: skip

    def bn(self, blob: str, channels: int, suffix: str = "") -> str:
        return self.net.spatial_bn(blob, self.name("spatbn", suffix), channels, momentum=self.style.momentum)

    def relu(self, blob: str) -> str:
        return self.net.relu(blob)

    def add(self, convolution: Convolution, blob: str, channels_in: int, channels_out: int, window: Window) -> str:
        """One of the convolutions of the block, and its batch norm if it has one."""
        return self.bn_if_any(convolution(self, blob, channels_in, channels_out, window), channels_out)

    def bn_if_any(self, blob: str, channels: int) -> str:
        return self.bn(blob, channels) if self.batch_norm else blob


Convolution = Callable[[Block, str, int, int, Window], str]
"""(block, blob, channels in, channels out, window) -> the blob after the convolution, before its batch norm."""


def factorised_width(channels_in: int, channels_out: int, area: int = 9) -> int:
    """Channels between (1,k,k) and (t,1,1) that give R(2+1)D as many parameters as 3 x k x k, of k x k = `area`."""
    return int(3 * area * channels_in * channels_out / (area * channels_in + 3 * channels_out))


def full(block: Block, blob: str, channels_in: int, channels_out: int, window: Window) -> str:
    """One convolution over the whole window."""
    block.count()
    return block.conv(blob, channels_in, channels_out, window)


def factorised(block: Block, blob: str, channels_in: int, channels_out: int, window: Window) -> str:
    """R(2+1)D: (1,k,k) to the width between, batch norm, ReLU, then (t,1,1)."""
    block.count()
    middle = factorised_width(channels_in, channels_out, window.kernels[1] * window.kernels[2])
    space, time = _factors(window)
    conv = block.conv(blob, channels_in, middle, space, "_middle")
    blob = block.relu(block.bn(conv, middle, "_middle"))
    return block.conv(blob, middle, channels_out, time)


def depthwise(block: Block, blob: str, channels_in: int, channels_out: int, window: Window) -> str:
    """ir-CSN: one depth-wise convolution. The original counts it twice, and checkpoints are keyed by that name."""
    block.count()
    return channelwise(block, blob, channels_in, channels_out, window)


def channelwise(block: Block, blob: str, channels_in: int, channels_out: int, window: Window, suffix: str = "") -> str:
    """A depth-wise convolution under a number of its own. UsageError where the channels differ."""
    block.count()
    if channels_in != channels_out:
        raise UsageError(
            f"{block.name('conv', suffix)} is depth-wise and needs the same number of channels on both sides, not "
            f"{channels_in} and {channels_out}; bottleneck blocks (depths 26, 50, 101 and 152) have that"
        )
    return block.conv(blob, channels_in, channels_out, window, suffix, depthwise=True)


def pointwise_then_depthwise(block: Block, blob: str, channels_in: int, channels_out: int, window: Window) -> str:
    """ip-CSN: a 1x1x1 with batch norm and no ReLU, then a depth-wise convolution."""
    block.count()
    conv = block.conv(blob, channels_in, channels_out, Window(UNIT), "_middle")
    return block.conv(block.bn(conv, channels_out, "_middle"), channels_out, channels_out, window, depthwise=True)


def pointwise_relu_then_depthwise(block: Block, blob: str, channels_in: int, channels_out: int, window: Window) -> str:
    """ip-CSN's with a ReLU between; of no published network."""
    block.count()
    conv = block.conv(blob, channels_in, channels_out, Window(UNIT), "_middle")
    blob = block.relu(block.bn(conv, channels_out, "_middle"))
    return block.conv(blob, channels_out, channels_out, window, depthwise=True)


def factorised_depthwise(block: Block, blob: str, channels_in: int, channels_out: int, window: Window) -> str:
    """R(2+1)D of depth-wise convolutions, with a 1x1x1 between; of no published network."""
    block.count()
    space, time = _factors(window)
    blob = channelwise(block, blob, channels_in, channels_out, space, "_middle")
    blob = block.relu(block.bn(blob, channels_out, "_middle"))
    blob = block.conv(blob, channels_out, channels_out, Window(UNIT), "_1x")
    blob = block.relu(block.bn(blob, channels_out, "_1x"))
    return channelwise(block, blob, channels_out, channels_out, time)


# The original's names of them, its `block_type`
CONVOLUTIONS: dict[str, Convolution] = {
    "3d": full,
    "2.5d": factorised,
    "3d-sep": depthwise,
    "0.3d": pointwise_then_depthwise,
    "0.3d+relu": pointwise_relu_then_depthwise,
    "2.5d-sep": factorised_depthwise,
}


def convolution_of(block_type: str) -> Convolution:
    """The convolution of a `block_type`. UsageError for an unknown one."""
    if block_type not in CONVOLUTIONS:
        raise UsageError(f"unknown block_type {block_type!r}; choose from: {', '.join(CONVOLUTIONS)}")
    return CONVOLUTIONS[block_type]


def _factors(window: Window) -> tuple[Window, Window]:
    """The window's part over space, and its part over time."""
    (t, h, w), (stride, *strides), (pad, *pads) = window.kernels, window.strides, window.pads[:3]
    return Window((1, h, w), (1, strides[0], strides[1]), (0, *pads)), Window((t, 1, 1), (stride, 1, 1), (pad, 0, 0))


def pointwise(block: Block, blob: str, channels_in: int, channels_out: int) -> str:
    """The 1x1x1 convolutions at both ends of a bottleneck."""
    return block.add(full, blob, channels_in, channels_out, Window(UNIT))


def _inner(
    block: Block, convolution: Convolution, blob: str, channels_in: int, channels_out: int, strides: Triple
) -> str:
    """The block's (t,3,3) convolution, t its frames, which keeps sizes but for the strides."""
    window = Window((block.frames, 3, 3), strides, (block.frames // 2, 1, 1))
    return block.add(convolution, blob, channels_in, channels_out, window)


def simple_block(
    block: Block,
    convolution: Convolution,
    blob: str,
    channels_in: int,
    channels_out: int,
    strides: Triple,
) -> str:
    """Two convolutions and the shortcut, which is projected where channels or sizes change."""
    inside = block.relu(_inner(block, convolution, blob, channels_in, channels_out, strides))
    inside = _inner(block, convolution, inside, channels_out, channels_out, UNIT)
    return _add_shortcut(block, blob, inside, channels_in, channels_out, strides, None)


def bottleneck_block(
    block: Block,
    convolution: Convolution,
    blob: str,
    channels_in: int,
    width: int,
    channels_out: int,
    strides: Triple,
) -> str:
    """1x1x1 down to `width`, the convolution there, 1x1x1 up, and the shortcut."""
    inside = block.relu(pointwise(block, blob, channels_in, width))
    inside = block.relu(_inner(block, convolution, inside, width, width, strides))
    inside = pointwise(block, inside, width, channels_out)
    return _add_shortcut(block, blob, inside, channels_in, channels_out, strides, block.style.momentum)


def _add_shortcut(
    block: Block,
    blob: str,
    inside: str,
    channels_in: int,
    channels_out: int,
    strides: Triple,
    momentum: Optional[float],
) -> str:
    if channels_in != channels_out or strides != UNIT:
        name = f"{block.style.prefix}shortcut_projection_{block.number}"
        bias = block.style.bias
        blob = block.net.conv(blob, name, channels_in, channels_out, UNIT, strides=strides, pads=None, bias=bias)
        if block.batch_norm:
            blob = block.net.spatial_bn(blob, f"{name}_spatbn", channels_out, momentum=momentum)
    return block.relu(block.net.sum([blob, inside], block.name("sum")))


@dataclass(frozen=True)
class Stem:
    """conv1: (frames, 7, 7) to 64 channels with `stride` and `pad` in time, or, `factorised`, in two steps."""

    frames: int
    stride: int = 1
    pad: int = 0
    factorised: bool = False


def add_stem(net: NetBuilder, stem: Stem, blob: str, channels: int, style: Style = PLAIN) -> str:
    """conv1 with batch norm and ReLU; factorised: conv1_middle (1, 7, 7) to 45 channels, then conv1 (frames, 1, 1)."""
    window = Window((stem.frames, 7, 7), (stem.stride, 2, 2), (stem.pad, 3, 3))
    if stem.factorised:
        space, window = _factors(window)
        blob = _conv1(net, f"{style.prefix}conv1_middle", blob, channels, FACTORISED_STEM_CHANNELS, space, style)
        channels = FACTORISED_STEM_CHANNELS
    return _conv1(net, f"{style.prefix}conv1", blob, channels, STEM_CHANNELS, window, style)


def _conv1(net: NetBuilder, name: str, blob: str, channels: int, out: int, window: Window, style: Style) -> str:
    kernels, strides, pads = window.kernels, window.strides, window.pads
    conv = net.conv(blob, name, channels, out, kernels, strides=strides, pads=pads, bias=style.bias)
    return net.relu(net.spatial_bn(conv, f"{name}_spatbn_relu", out, momentum=style.momentum))
