"""What a convolution of training has beside its tensors, and PyTorch's own gradients by it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Window(NamedTuple):
    """What a convolution has beside its tensors; each with a number for an axis of the window."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def within_frames(self) -> Window:
        """That of its pictures: without the axis of time."""
        return Window(self.stride[1:], self.padding[1:], self.dilation[1:], self.groups)


def gradient_by_pytorch(gradient: Tensor, x: Tensor, weight: Tensor, window: Window, of_x: bool) -> Tensor:
    """PyTorch's own gradient of x, or of the weights; of pictures too."""
    axes = len(window.stride)
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        window.stride,
        window.padding,
        window.dilation,
        False,
        (0,) * axes,
        window.groups,
        (of_x, not of_x, False),
    )
    return found[0 if of_x else 1]
