"""One table a library: which of our networks its modules compute too, and what it calls their parts.

Parts, in the table's left column: the stem, the convolutions of a block and the norm after each, the two steps of a
factorised convolution ("middle", then "after"), a bottleneck's k x k x k convolution where it is named otherwise
("inner"), the projection of the shortcut, the classifier. In the right column stage counts from 1, block within its
stage from 0, part within its block from 1 (letter: from a).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Optional

EPSILON = 1e-3  # of all batch norms of VMZ's networks
DEPTHS = (10, 16, 18, 34, 50, 101, 152)  # all but 26, whose bottlenecks are as wide outside as inside
SHALLOW, DEEP = (10, 16, 18, 34), (50, 101, 152)


@dataclass(frozen=True)
class Layout:
    """A library's names for the parts of our networks.

    of: the modules that have them. networks: {model_name: depths}. names: {part: its module}. epsilon: what the batch
    norms of its own modules have; None where modules of either epsilon have these names, so that a file must say it.
    usual_epsilon: of those as the library makes them. trunk_alone: a state dict without the classifier is usual.
    """

    name: str
    of: str
    networks: Mapping[str, Collection[int]]
    names: Mapping[str, str]
    epsilon: Optional[float]
    usual_epsilon: float
    trunk_alone: bool = False

    def has(self, model_name: str, model_depth: int) -> bool:
        """Whether one of its modules computes the same as this network."""
        return model_depth in self.networks.get(model_name, ())


_BLOCK = "layer{stage}.{block}"
_VIDEO_RESNET = {
    "stem": "stem.0",
    "stem_norm": "stem.1",
    "stem_middle": "stem.0",
    "stem_middle_norm": "stem.1",
    "stem_after": "stem.3",
    "stem_after_norm": "stem.4",
    "conv": _BLOCK + ".conv{part}.0",
    "norm": _BLOCK + ".conv{part}.1",
    "middle": _BLOCK + ".conv{part}.0.0",
    "middle_norm": _BLOCK + ".conv{part}.0.1",
    "after": _BLOCK + ".conv{part}.0.3",  # behind a ReLU
    "depthwise_after": _BLOCK + ".conv{part}.0.2",  # behind none: ip-CSN
    "shortcut": _BLOCK + ".downsample.0",
    "shortcut_norm": _BLOCK + ".downsample.1",
    "classifier": "fc",
}
_RES_BLOCK = "blocks.{stage}.res_blocks.{block}"
_PYTORCHVIDEO = {
    "stem": "blocks.0.conv",
    "stem_norm": "blocks.0.norm",
    "conv": _RES_BLOCK + ".branch2.conv_{letter}",
    "norm": _RES_BLOCK + ".branch2.norm_{letter}",
    "shortcut": _RES_BLOCK + ".branch1_conv",
    "shortcut_norm": _RES_BLOCK + ".branch1_norm",
    "classifier": "blocks.5.proj",
}
_MMACTION2 = {
    "stem": "backbone.conv1.conv",
    "stem_norm": "backbone.conv1.bn",
    "conv": f"backbone.{_BLOCK}.conv{{part}}.conv",
    "norm": f"backbone.{_BLOCK}.conv{{part}}.bn",
    "inner": f"backbone.{_BLOCK}.conv2.0.conv",
    "inner_norm": f"backbone.{_BLOCK}.conv2.0.bn",
    "middle": f"backbone.{_BLOCK}.conv2.0.conv",
    "middle_norm": f"backbone.{_BLOCK}.conv2.0.bn",
    "depthwise_after": f"backbone.{_BLOCK}.conv2.1.conv",
    "after_norm": f"backbone.{_BLOCK}.conv2.1.bn",
    "shortcut": f"backbone.{_BLOCK}.downsample.conv",
    "shortcut_norm": f"backbone.{_BLOCK}.downsample.bn",
    "classifier": "cls_head.fc_cls",
}

# Where two have the same names, that with the network counts: in this order.
LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="torchvision",
            of="torchvision's VideoResNet (r3d_18, mc3_18)",
            networks={"r3d": DEPTHS, **{f"mc{x}": SHALLOW for x in (2, 3, 4, 5)}},
            names=_VIDEO_RESNET,
            epsilon=None,
            usual_epsilon=1e-5,
        ),
        Layout(
            name="ig65m",
            of="ig65m-pytorch's r2plus1d_34",
            networks={"r2plus1d": SHALLOW},
            names=_VIDEO_RESNET,
            epsilon=EPSILON,
            usual_epsilon=EPSILON,
        ),
        Layout(
            name="original-pytorch",
            of="the VideoResNet of the original's PyTorch part (r2plus1d_34, r2plus1d_152, ir_csn_152, ip_csn_152)",
            networks={"r2plus1d": DEPTHS, "ir-csn": DEEP, "ip-csn": DEEP},
            names=_VIDEO_RESNET,
            epsilon=EPSILON,
            usual_epsilon=EPSILON,
        ),
        Layout(
            name="pytorchvideo",
            of="pytorchvideo's create_csn",
            networks={"ir-csn": DEEP},
            names=_PYTORCHVIDEO,
            epsilon=None,
            usual_epsilon=1e-5,
        ),
        Layout(
            name="mmaction2",
            of="mmaction2's ResNet3dCSN, with the head of its recogniser if there is one",
            networks={"ir-csn": DEEP, "ip-csn": DEEP},
            names=_MMACTION2,
            epsilon=EPSILON,
            usual_epsilon=EPSILON,
            trunk_alone=True,
        ),
    )
}
