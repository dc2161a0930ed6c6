"""Triton kernels for GPUs, usable by themselves: two functions on PyTorch tensors.

    from vmz.engines.torch_engine.kernels import depthwise_conv3d, pointwise_conv3d

They need the package triton, which PyTorch's CUDA builds bring along. None was run on a GPU yet, see
docs/internals/gpu.md: tests compare them with float64 in Triton's interpreter.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Optional

from torch import Tensor

from vmz.errors import UsageError


def depthwise_conv3d(
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int] = (1, 1, 1),
    scale: Optional[Tensor] = None,
    shift: Optional[Tensor] = None,
    relu: bool = False,
) -> Tensor:
    """Depth-wise 3x3x3 convolution with padding 1: relu(conv(x, weight) * scale + shift), in one pass over memory.

    Differentiable once in x, weight, scale and shift. Sums are float32 (float64 for float64 clips), in the same order
    each time: the same call gives the same bits.

    Args:
        x: clips (N, C, T, H, W), float32, bfloat16, float16 or float64. In memory they are channels last (torch's
            channels_last_3d); others are copied to that layout first.
        weight: (C, 1, 3, 3, 3), of any float type.
        stride: along T, H and W, each 1 or 2.
        scale, shift: (C,) each, such as those of a folded batch norm. The scale is multiplied into the weight.
        relu: whether negative results become 0.

    Returns:
        (N, C, (T - 1) // stride + 1, ...), of the type of x, channels last.

    Raises:
        UsageError: another shape, type or stride, or no GPU or triton for it.
    """
    if scale is not None:
        if tuple(scale.shape) != tuple(weight.shape[:1]):
            raise UsageError(f"depthwise_conv3d: the scale has shape {tuple(scale.shape)}, not {(len(weight),)}")
        weight = weight * scale.to(_wider(weight, scale)).reshape(-1, 1, 1, 1, 1)
    result: Tensor = _module("depthwise").run(x, weight, stride, shift, relu)
    return result


def pointwise_conv3d(
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int] = (1, 1, 1),
    scale: Optional[Tensor] = None,
    shift: Optional[Tensor] = None,
    residual: Optional[Tensor] = None,
    relu: bool = False,
) -> Tensor:
    """1x1x1 convolution for inference: relu(conv(x, weight) * scale + shift + residual), in one pass over memory.

    Sums are float32; products of float32 are full float32, not TF32. It has no gradient.

    Args:
        x: clips (N, C, T, H, W), float32, bfloat16 or float16; channels last in memory, or copied to that first.
        weight: (K, C, 1, 1, 1), of the type of x.
        stride: along T, H and W.
        scale, shift: (K,) each.
        residual: what is added before the ReLU, of the result's shape and type.
        relu: whether negative results become 0.

    Returns:
        (N, K, (T - 1) // stride + 1, ...), of the type of x, channels last.

    Raises:
        UsageError: another shape or type, a tensor that needs a gradient, or no GPU or triton for it.
    """
    result: Tensor = _module("pointwise").run(x, weight, stride, scale, shift, residual, relu)
    return result


def check_kernels(device: Any) -> None:
    """UsageError where the kernels cannot run on a torch.device: no triton, or neither a GPU nor the interpreter."""
    launching = _module("launching")
    if device.type != "cuda" and not launching.INTERPRETED:
        raise UsageError(
            f"the Triton kernels run on a GPU, not on {device}; leave out --kernels=1 or use --device=cuda"
        )


def _wider(weight: Tensor, scale: Tensor) -> Any:
    """The type of their product: at least float32, so that a folded scale costs no precision."""
    import torch

    return torch.promote_types(torch.promote_types(weight.dtype, scale.dtype), torch.float32)


def _module(name: str) -> Any:
    """The kernels, which import triton. UsageError where it is missing."""
    try:
        return importlib.import_module(f"vmz.engines.torch_engine.kernels.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "triton":
            raise
        raise UsageError(
            "the Triton kernels need the package triton, which is for Linux: PyTorch's CUDA builds bring it along; "
            "without one, pip install triton"
        ) from error
