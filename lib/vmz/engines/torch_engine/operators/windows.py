"""The arguments that place a window: kernel, stride, pad and dilation, in the spellings that Caffe2 takes."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.op import Op
from vmz.errors import VmzError


class Window(NamedTuple):
    """A sliding window, one number an axis; `before` and `after` are the pads at both ends."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    dilation: tuple[int, ...]

    def pad(self, x: Tensor, value: float) -> tuple[Tensor, tuple[int, ...]]:
        """x and the padding that is left to the operator: PyTorch's own pads are alike at both ends."""
        if self.before == self.after:
            return x, self.before
        widths = [width for pair in zip(reversed(self.before), reversed(self.after)) for width in pair]
        return F.pad(x, widths, value=value), (0,) * len(self.kernel)


def window(op: Op) -> Window:
    """The window of a Conv or a pooling. A single `kernel` means two axes, as in Caffe2."""
    kernel = _per_axis(op, "kernel", 0, None)
    axes = len(kernel)
    pads = op.arg("pads", None)
    if pads is None:
        pads = (
            [op.arg(f"pad_{side}", op.arg("pad", 0)) for side in "tlbr"] if axes == 2 else [op.arg("pad", 0)] * 2 * axes
        )
    if len(pads) != 2 * axes:
        raise VmzError(
            f"{op}: argument pads={pads} must have {2 * axes} numbers, begins then ends, for kernel {kernel}"
        )
    stride, dilation = _per_axis(op, "stride", 1, axes), _per_axis(op, "dilation", 1, axes)
    return Window(kernel, stride, tuple(pads[:axes]), tuple(pads[axes:]), dilation)


def _per_axis(op: Op, name: str, default: int, axes: int | None) -> tuple[int, ...]:
    """`kernels=[1, 3, 3]`, `kernel=3` or `kernel_h=3, kernel_w=3`."""
    values = op.arg(f"{name}s", None)
    if values is None:
        number = op.arg(name, default)
        values = [op.arg(f"{name}_h", number), op.arg(f"{name}_w", number)] if axes in (None, 2) else [number] * axes
    if axes is not None and len(values) == 1:
        values = values * axes
    if (axes is not None and len(values) != axes) or min(values) < 1:
        raise VmzError(f"{op}: argument {name}s={list(values)} must be {axes or 'one, two or three'} positive numbers")
    return tuple(values)
