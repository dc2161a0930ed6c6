"""Windows in PyTorch: which pads an operator of its own can do, and the padding of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, leaf
from vmz.netdef.window_arguments import NOTSET, VALID, Window, read_window

KERNEL = "kernel kernels kernel_h kernel_w stride strides stride_h stride_w dilation dilations dilation_h dilation_w"
PADS = "pad pads pad_t pad_l pad_b pad_r"
WINDOW = f"{KERNEL} {PADS} legacy_pad"


def window(op: Op) -> Window:
    """The window of an operator. Raises VmzError."""
    return read_window(str(op), op.arguments)


def pads_alike(window: Window) -> bool:
    """Whether the pads are known before the input is, and PyTorch's own operators can do them: both ends alike."""
    return window.before == window.after and window.legacy in (NOTSET, VALID)


def pad(x: Tensor, window: Window, value: float) -> tuple[Tensor, tuple[int, ...]]:
    """x and the padding that is left to the operator."""
    if pads_alike(window):
        return x, window.before
    return padded(x, window, value), (0,) * len(window.kernel)


@leaf
def padded(x: Tensor, window: Sequence[Any], value: float) -> Tensor:
    """x with `value` around it, as the window (a Window's fields) wants it."""
    widths = [width for ends in reversed(Window(*window).pads(x.shape[2:])) for width in ends]
    return F.pad(x, widths, value=value)
