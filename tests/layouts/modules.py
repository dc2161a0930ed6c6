"""Modules of other libraries, made anew from their description, with their names for the parts.

Not torchvision's and pytorchvideo's, which the tests take from the packages themselves.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

Strides = Union[int, tuple[int, int, int]]
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)
EPS = struct.unpack("f", struct.pack("f", 1e-3))[0]  # as Caffe2's operators have it: an argument is a float32


def convolution(
    channels: int, out: int, kernel: tuple[int, int, int], strides: Strides = 1, groups: int = 1
) -> nn.Conv3d:
    pads = tuple(extent // 2 for extent in kernel)
    return nn.Conv3d(channels, out, kernel, strides, pads, groups=groups, bias=False)  # type: ignore[arg-type]


def norm(channels: int, eps: float = EPS) -> nn.BatchNorm3d:
    return nn.BatchNorm3d(channels, eps=eps)


def factorised(channels: int, out: int, stride: int) -> nn.Sequential:
    """R(2+1)D's convolution; the middle width is that of this convolution, not of the block."""
    middle = channels * out * 27 // (channels * 9 + 3 * out)
    return nn.Sequential(
        convolution(channels, middle, (1, 3, 3), (1, stride, stride)),
        norm(middle),
        nn.ReLU(),
        convolution(middle, out, (3, 1, 1), (stride, 1, 1)),
    )


def depthwise(channels: int, out: int, stride: int) -> nn.Conv3d:
    return convolution(channels, out, (3, 3, 3), stride, groups=channels)


def pointwise_then_depthwise(channels: int, out: int, stride: int) -> nn.Sequential:
    """ip-CSN's: no ReLU between the two."""
    return nn.Sequential(convolution(channels, out, (1, 1, 1)), norm(out), depthwise(out, out, stride))


def full(channels: int, out: int, stride: int) -> nn.Conv3d:
    return convolution(channels, out, (3, 3, 3), stride)


class _Residual(nn.Module):
    """conv1, conv2, for a bottleneck conv3, and the shortcut with its projection."""

    def __init__(
        self, make: Callable[[int, int, int], nn.Module], channels: int, width: int, out: int, stride: int, deep: bool
    ) -> None:
        super().__init__()
        if deep:
            self.conv1 = nn.Sequential(convolution(channels, width, (1, 1, 1)), norm(width), nn.ReLU())
            self.conv2 = nn.Sequential(make(width, width, stride), norm(width), nn.ReLU())
            self.conv3 = nn.Sequential(convolution(width, out, (1, 1, 1)), norm(out))
        else:
            self.conv1 = nn.Sequential(make(channels, out, stride), norm(out), nn.ReLU())
            self.conv2 = nn.Sequential(make(out, out, 1), norm(out))
        self.deep = deep
        self.downsample = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(convolution(channels, out, (1, 1, 1), stride), norm(out))

    def forward(self, clips: Tensor) -> Tensor:
        inside = self.conv2(self.conv1(clips))
        inside = self.conv3(inside) if self.deep else inside
        return torch.relu(inside + (clips if self.downsample is None else self.downsample(clips)))


class VideoResNet(nn.Module):
    """That of ig65m-pytorch and of the original's PyTorch part: stem, layer1 to layer4, fc."""

    def __init__(self, make: Callable[[int, int, int], nn.Module], depth: int, classes: int) -> None:
        super().__init__()
        if make is factorised:
            first = convolution(3, 45, (1, 7, 7), (1, 2, 2)), norm(45), nn.ReLU(), convolution(45, 64, (3, 1, 1))
            self.stem = nn.Sequential(*first, norm(64), nn.ReLU())
        else:
            self.stem = nn.Sequential(convolution(3, 64, (3, 7, 7), (1, 2, 2)), norm(64), nn.ReLU())
        deep, channels = depth >= 50, 64
        for stage, (width, count) in enumerate(zip(WIDTHS, BLOCKS[depth]), 1):
            out = width * (4 if deep else 1)
            blocks: list[nn.Module] = []
            for block in range(count):
                stride = 2 if stage > 1 and block == 0 else 1
                blocks.append(_Residual(make, channels, width, out, stride, deep))
                channels = out
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, classes)

    def forward(self, clips: Tensor) -> Tensor:
        for name in ("stem", "layer1", "layer2", "layer3", "layer4"):
            clips = getattr(self, name)(clips)
        logits: Tensor = self.fc(clips.mean((2, 3, 4)))
        return logits


def conv_module(
    channels: int, out: int, kernel: int = 1, strides: Strides = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """What mmaction2 calls a ConvModule: conv, bn, and the activation."""
    sizes = (3, 7, 7) if kernel == 7 else (kernel,) * 3
    parts: list[tuple[str, nn.Module]] = [
        ("conv", convolution(channels, out, sizes, strides, groups)),  # type: ignore[arg-type]
        ("bn", norm(out)),
    ]
    return nn.Sequential(OrderedDict([*parts, *([("activate", nn.ReLU())] if active else [])]))


class _CSNBottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, mode: str) -> None:
        super().__init__()
        out = width * 4
        self.conv1 = conv_module(channels, width)
        inner = [conv_module(width, width, active=False)] if mode == "ip" else []
        self.conv2 = nn.Sequential(*inner, conv_module(width, width, 3, stride, groups=width))
        self.conv3 = conv_module(width, out, active=False)
        self.downsample: Optional[nn.Module] = None
        if stride != 1 or channels != out:
            self.downsample = conv_module(channels, out, strides=stride, active=False)

    def forward(self, clips: Tensor) -> Tensor:
        inside = self.conv3(self.conv2(self.conv1(clips)))
        return torch.relu(inside + (clips if self.downsample is None else self.downsample(clips)))


class ResNet3dCSN(nn.Module):
    """mmaction2's backbone, for clips of 112 pixels: without the pool behind conv1."""

    def __init__(self, depth: int, mode: str) -> None:
        super().__init__()
        self.conv1 = conv_module(3, 64, 7, (1, 2, 2))
        channels = 64
        for stage, (width, count) in enumerate(zip(WIDTHS, BLOCKS[depth]), 1):
            blocks = []
            for block in range(count):
                blocks.append(_CSNBottleneck(channels, width, 2 if stage > 1 and block == 0 else 1, mode))
                channels = width * 4
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))

    def forward(self, clips: Tensor) -> Tensor:
        for name in ("conv1", "layer1", "layer2", "layer3", "layer4"):
            clips = getattr(self, name)(clips)
        return clips


class Recogniser(nn.Module):
    """mmaction2's Recognizer3D with the head I3DHead."""

    def __init__(self, depth: int, mode: str, classes: int) -> None:
        super().__init__()
        self.backbone = ResNet3dCSN(depth, mode)
        self.cls_head = nn.Module()
        self.cls_head.fc_cls = nn.Linear(2048, classes)

    def forward(self, clips: Tensor) -> Tensor:
        classify: Any = self.cls_head.fc_cls
        logits: Tensor = classify(self.backbone(clips).mean((2, 3, 4)))
        return logits


def randomised(module: nn.Module, seed: int = 0, eps: float = EPS) -> nn.Module:
    """The module in evaluation mode with random weights and random running statistics, small variances among them."""
    random = torch.Generator().manual_seed(seed)

    def drawn(shape: Sequence[int], low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(tuple(shape), generator=random)

    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv3d):
                fan = part.weight[0].numel()
                part.weight.copy_(torch.randn(part.weight.shape, generator=random) * (2 / fan) ** 0.5)
            elif isinstance(part, nn.Linear):
                part.weight.copy_(torch.randn(part.weight.shape, generator=random) * 0.05)
                part.bias.copy_(drawn(part.bias.shape, -1, 1))
            elif isinstance(part, nn.BatchNorm3d):
                part.eps = eps
                part.weight.copy_(drawn(part.weight.shape, 0.2, 0.6))
                part.bias.copy_(drawn(part.bias.shape, -0.2, 0.2))
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.copy_(drawn(part.running_mean.shape, -0.2, 0.2))
                part.running_var.copy_(drawn(part.running_var.shape, 0.02, 1.0))
    return module.eval()
