"""oneDNN's convolutions, by weights laid out for them. Looked up late, as old PyTorch has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Layout(NamedTuple):
    """Of a convolution, as oneDNN's take it."""

    padding: list[int]
    stride: list[int]
    dilation: list[int]
    groups: int


def packed_weight(weight: Tensor, layout: Layout, extent: Sequence[int]) -> Tensor:
    """The weights laid out for inputs of the shape `extent`."""
    laid_out: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *layout, extent)
    return laid_out


def packed() -> Any:
    """oneDNN's convolution, with a ReLU or without."""
    return torch.ops.mkldnn._convolution_pointwise.default


def packed_sum() -> Any:
    """The same, added to a value in its memory."""
    return torch.ops.mkldnn._convolution_pointwise_.binary
