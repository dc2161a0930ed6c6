"""C3D (arXiv:1412.0767) as VMZ trains it: with batch norm, on clips of 16x112x112."""

from __future__ import annotations

from vmz.models.config import ModelConfig
from vmz.models.heads import FeatureMap
from vmz.netdef.builder import NetBuilder

# Each group ends in a max pool.
GROUPS = (
    (("1a", 64),),
    (("2a", 128),),
    (("3a", 256), ("3b", 256)),
    (("4a", 512), ("4b", 512)),
    (("5a", 512), ("5b", 512)),
)
FC_WIDTH = 4096
POOL5_SIZE = 512 * 1 * 3 * 3
CONV_STD, FC_STD = 0.01, 0.005


def build_trunk(net: NetBuilder, config: ModelConfig, blob: str = "data") -> FeatureMap:
    """All layers from the clip `blob` (N, num_channels, 16, 112, 112) to the dropout after fc7, which it returns."""
    return build_layers(net, blob, config.num_channels)


def build_layers(
    net: NetBuilder, blob: str, channels: int, bias: bool = True, fc_widths: tuple[int, int] = (FC_WIDTH, FC_WIDTH)
) -> FeatureMap:
    """The same from `channels` channels. bias: of the convolutions. fc_widths: what fc6 and fc7 give."""
    for number, group in enumerate(GROUPS, 1):
        for layer, width in group:
            name = f"conv{layer}"
            fill = {"fill": "GaussianFill", "std": CONV_STD}
            blob = net.conv(blob, name, channels, width, (3, 3, 3), pads=(1, 1, 1), bias=bias, **fill)  # type: ignore[arg-type]
            blob = net.relu(net.spatial_bn(blob, f"{name}_bn", width))
            channels = width
        size = (1, 2, 2) if number == 1 else (2, 2, 2)
        blob = net.pool("MaxPool", blob, f"pool{number}", size, size)
    width = POOL5_SIZE
    for name, out in zip(("fc6", "fc7"), fc_widths):
        blob = net.relu(net.fc(blob, name, width, out, fill="GaussianFill", std=FC_STD))
        blob = net.dropout(blob, f"{name}_dropout")
        width = out
    return FeatureMap(blob, width)
