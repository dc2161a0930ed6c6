"""VideoModelBuilder: residual blocks and what they are made of, one call each, on the caller's model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from vmz.engines.caffe2_engine.helper_net import HelperNet
from vmz.engines.caffe2_engine.programs import program_logger
from vmz.errors import UsageError
from vmz.models.blocks import (
    Block,
    Convolution,
    Style,
    Window,
    bottleneck_block,
    channelwise,
    convolution_of,
    simple_block,
)
from vmz.netdef.builder import both_sides

log = program_logger("video_model")

_UNIT, _NO_PADS = (1, 1, 1), (0, 0, 0)


class VideoModelBuilder:
    """Adds layers to `model`, each on top of the last one, whose blob is `prev_blob`.

    comp_count: the number of the next block, comp_<comp_count> in names, behind `prefix`. comp_idx: of the last
    convolution in it. Both may be set, and so may prev_blob. no_bias: convolutions have no biases. spatial_bn_mom:
    batch norm's momentum. Every method returns the blob that it made. Blocks are built by add_conv, add_spatial_bn and
    add_relu, so a subclass that has one of its own has blocks of its own.
    """

    def __init__(
        self, model: Any, prev_blob: Any, no_bias: Any, is_test: Any, spatial_bn_mom: float = 0.9, prefix: str = ""
    ) -> None:
        self.model = model
        self.prev_blob = prev_blob
        self.no_bias = 1 if no_bias else 0
        self.is_test = is_test
        self.spatial_bn_mom = spatial_bn_mom
        self.prefix = prefix
        self.comp_count = 0
        self.comp_idx = 0

    def add_conv(
        self,
        in_filters: int,
        out_filters: int,
        kernels: Sequence[int],
        strides: Sequence[int] = _UNIT,
        pads: Sequence[int] = _NO_PADS,
        block_type: str = "3d",
        group: int = 1,
    ) -> Any:
        """A convolution of the kind `block_type`; kernels and strides over T, H, W, pads too, or for both their ends.

        Raises UsageError for an unknown block_type, or for groups, which none of them has.
        """
        log.info("in: %d out: %d", in_filters, out_filters)
        convolution = _convolution(block_type, group)
        return self._add(convolution, in_filters, out_filters, _window(kernels, strides, pads))

    def add_channelwise_conv(
        self,
        in_filters: int,
        out_filters: int,
        kernels: Sequence[int],
        strides: Sequence[int] = _UNIT,
        pads: Sequence[int] = _NO_PADS,
        suffix: str = "",
    ) -> Any:
        """A depth-wise convolution. Raises UsageError where the filters differ."""

        def convolution(block: Block, blob: Any, channels_in: int, channels_out: int, window: Window) -> Any:
            return channelwise(block, blob, channels_in, channels_out, window, suffix)

        return self._add(convolution, in_filters, out_filters, _window(kernels, strides, pads))

    def add_relu(self) -> Any:
        """A ReLU in place."""
        self.prev_blob = self._block().net.relu(self.prev_blob)
        return self.prev_blob

    def add_spatial_bn(self, num_filters: int, suffix: str = "", bn_init: float = 1.0) -> Any:
        """Batch norm under the number of the last convolution. bn_init: what its scale is before training."""
        block = self._block()
        self.prev_blob = block.bn(self.prev_blob, int(num_filters), suffix)
        if bn_init != 1.0:
            _set_scale(block, suffix, bn_init)
        return self.prev_blob

    def add_bottleneck(
        self,
        input_filters: int,
        output_filters: int,
        base_filters: int,
        down_sampling: Any = False,
        down_sampling_temporal: Any = None,
        spatial_batch_norm: Any = True,
        block_type: str = "3d",
        is_real_3d: Any = True,
        gama_init: Any = False,
        group: int = 1,
        use_shuffle: Any = False,
    ) -> Any:
        """1x1x1 down to base_filters, 3x3x3 (1x3x3 without is_real_3d) of `block_type`, 1x1x1 up, and the shortcut.

        down_sampling: halve the size, and, in time, as down_sampling_temporal says, or like it. gama_init: the scale
        of the first batch norm begins at 0. use_shuffle does nothing, as in the original.
        """
        block = self._start(block_type, group, is_real_3d, spatial_batch_norm, gama_init)
        strides = _strides(down_sampling, down_sampling_temporal, is_real_3d)
        blob = bottleneck_block(
            block, _inner, self.prev_blob, int(input_filters), int(base_filters), int(output_filters), strides
        )
        return self._finish(block, blob)

    def add_simple_block(
        self,
        input_filters: int,
        num_filters: int,
        base_filters: int = 0,
        down_sampling: Any = False,
        down_sampling_temporal: Any = None,
        spatial_batch_norm: Any = True,
        block_type: str = "3d",
        is_real_3d: Any = True,
        group: int = 1,
        use_shuffle: Any = False,
    ) -> Any:
        """Two 3x3x3 (1x3x3 without is_real_3d) of `block_type` and the shortcut; the rest as in add_bottleneck.

        base_filters and use_shuffle do nothing, as in the original.
        """
        block = self._start(block_type, group, is_real_3d, spatial_batch_norm)
        strides = _strides(down_sampling, down_sampling_temporal, is_real_3d)
        blob = simple_block(block, _inner, self.prev_blob, int(input_filters), int(num_filters), strides)
        return self._finish(block, blob)

    def _block(self, kind: type[Block] = Block, **given: Any) -> Any:
        """The block that is being built, at the convolution that was added last."""
        net = HelperNet(self.model, self.is_test)
        style = Style(bias=not self.no_bias, momentum=float(self.spatial_bn_mom), prefix=self.prefix)
        return kind(net, self.comp_count, convolutions=self.comp_idx, style=style, **given)

    def _add(self, convolution: Convolution, in_filters: int, out_filters: int, window: Window) -> Any:
        block = self._block(_MethodBlock, builder=self)
        self.prev_blob = convolution(block, self.prev_blob, int(in_filters), int(out_filters), window)
        self.comp_idx = block.convolutions
        return self.prev_blob

    def _start(self, block_type: str, group: int, is_real_3d: Any, batch_norm: Any, gama_init: Any = False) -> Block:
        if type(self).add_conv is VideoModelBuilder.add_conv:  # another one may know other kinds
            _convolution(block_type, group, is_real_3d)
        self.comp_idx = 0
        norm = {"batch_norm": bool(batch_norm), "starts_at_zero": bool(gama_init)}
        kind = {"block_type": block_type, "group": group}
        return self._block(_MethodBlock, builder=self, frames=3 if is_real_3d else 1, **norm, **kind)

    def _finish(self, block: Block, blob: Any) -> Any:
        self.prev_blob, self.comp_idx = blob, block.convolutions + 1
        self.comp_count += 1
        return blob


@dataclass
class _MethodBlock(Block):
    """A block that is built by the methods of its builder, which a program may have made its own in a subclass.

    block_type and group: of its convolutions but the 1x1x1 ones. starts_at_zero: the scale of the first batch norm, so
    that the block passes on its shortcut alone.
    """

    builder: Any = None
    block_type: str = "3d"
    group: int = 1
    starts_at_zero: bool = False

    def add(self, convolution: Convolution, blob: Any, channels_in: int, channels_out: int, window: Window) -> Any:
        self.builder.prev_blob = blob
        kernels, strides, pads = list(window.kernels), list(window.strides), both_sides(window.pads)
        kind = {"block_type": self.block_type, "group": self.group} if convolution is _inner else {}
        self.builder.add_conv(channels_in, channels_out, kernels=kernels, strides=strides, pads=pads, **kind)
        self.convolutions = self.builder.comp_idx
        return self.bn_if_any(self.builder.prev_blob, channels_out)

    def bn(self, blob: Any, channels: int, suffix: str = "") -> Any:
        self.builder.prev_blob, self.builder.comp_idx = blob, self.convolutions
        first = self.starts_at_zero and self.convolutions == 1
        self.builder.add_spatial_bn(channels, suffix=suffix, **({"bn_init": 0.0} if first else {}))
        return self.builder.prev_blob

    def relu(self, blob: Any) -> Any:
        self.builder.prev_blob = blob
        self.builder.add_relu()
        return self.builder.prev_blob


def _inner(block: Block, blob: Any, channels_in: int, channels_out: int, window: Window) -> Any:
    """Stands for the convolution that the builder's add_conv makes of the block's block_type."""
    raise NotImplementedError


def _set_scale(block: Block, suffix: str, value: float) -> None:
    """Fill a batch norm's scale anew, where it is to be trained."""
    if not block.net.is_test:
        name = block.name("spatbn", suffix)
        block.net.model.param_init_net.ConstantFill([f"{name}_s"], f"{name}_s", value=float(value))  # type: ignore[attr-defined]
        log.info("%s is initialized with %s", name, value)


def _convolution(block_type: str, group: int, is_real_3d: Any = True) -> Convolution:
    if group != 1:
        raise UsageError(f"group={group} is not possible: convolutions are whole, or depth-wise by their block_type")
    if block_type == "2.5d" and not is_real_3d:
        raise UsageError("block_type 2.5d divides a 3-D convolution in two; it needs is_real_3d=True")
    return convolution_of(block_type)


def _window(kernels: Sequence[int], strides: Sequence[int], pads: Sequence[int]) -> Window:
    """The sizes as a Window. UsageError where there are not three, or for pads six, of them."""
    for name, sizes, lengths in (("kernels", kernels, (3,)), ("strides", strides, (3,)), ("pads", pads, (3, 6))):
        if len(sizes) not in lengths:
            raise UsageError(f"{name}={list(sizes)} must have {' or '.join(map(str, lengths))} numbers: over T, H, W")
    (t, h, w), (st, sh, sw) = (map(int, sizes) for sizes in (kernels, strides))
    return Window((t, h, w), (st, sh, sw), tuple(int(pad) for pad in pads))


def _strides(down_sampling: Any, temporal: Optional[Any], is_real_3d: Any) -> tuple[int, int, int]:
    if not down_sampling:
        return _UNIT
    halves_time = is_real_3d and (temporal is None or temporal)
    return (2 if halves_time else 1, 2, 2)
