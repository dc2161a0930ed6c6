"""Convolutions, forwards and transposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, leaf, operator
from vmz.engines.torch_engine.graph.operators.windows import KERNEL, PADS, WINDOW, pad, pads_alike, window
from vmz.netdef.window_arguments import NOTSET, read_sides

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def conv(op: Op, x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """Convolution over the trailing axes. With group = channels the engine CHANNELWISE_3D gives the same numbers."""
    shape = window(op)
    x, padding = pad(x, shape, 0.0)
    convolution = CONVOLUTIONS[len(shape.kernel)]
    return convolution(x, weight, bias, shape.stride, padding, shape.dilation, op.arg("group", 1))


for _name in ("Conv", "Conv1D", "Conv2D", "Conv3D"):
    operator(_name, f"{WINDOW} group", channels_last=(2, 1))(conv)


@operator("ConvTranspose", f"{KERNEL} {PADS} adj adjs adj_h adj_w group legacy_pad", channels_last=(2, 1))
def conv_transpose(op: Op, x: Tensor, weight: Tensor, bias: Optional[Tensor] = None) -> Tensor:
    """Transposed convolution; `adj` widens the output at its ends, `pad` cuts it."""
    shape = window(op)
    axes = len(shape.kernel)
    if max(shape.dilation) > 1:
        raise op.unsupported("dilations" if "dilations" in op.arguments else "dilation", "Caffe2 has none here")
    if shape.legacy != NOTSET:
        raise op.unsupported("legacy_pad", "give pads")
    adj = op.arg("adjs", None) or read_sides(str(op), op.arguments, "adj", "hw"[:axes], 0)
    if axes == 3 and len(adj) != 3:
        adj = [op.arg("adj", 0)] * 3
    group = op.arg("group", 1)
    padding = shape.before if pads_alike(shape) else (0,) * axes
    y = TRANSPOSED[axes](x, weight, bias, shape.stride, padding, tuple(adj), group)
    return y if pads_alike(shape) else cut(y, shape.before, shape.after)


@leaf
def cut(x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """x without so much of its trailing axes at both ends."""
    for axis, (begin, end) in enumerate(zip(before, after), x.dim() - len(before)):
        x = x.narrow(axis, begin, x.shape[axis] - begin - end)
    return x
