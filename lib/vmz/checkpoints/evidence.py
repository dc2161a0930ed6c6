"""What the blobs of a checkpoint say about its network: settings that can be read off names and shapes.

Weights may be loaded into another network than the one that they were trained in: 2-D weights are inflated to 3-D ones
(see `matching`). So a fact says which values of a setting fit the blobs, and which one to take where nothing else is
known.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Optional

from vmz.checkpoints.matching import FIRST_CONVOLUTIONS, Shape
from vmz.models.audio_visual import AUDIO, FIRST_STAGE, VISUAL
from vmz.models.blocks import Convolution, depthwise, factorised, full, pointwise_then_depthwise
from vmz.models.families import (
    A_RESNET,
    AUDIO_VISUAL,
    AUDIO_VISUAL_BLOCKS,
    AUDIO_VISUAL_BOTTLENECKS,
    BLOCKS_PER_STAGE,
    BOTTLENECK_WIDTHS,
    C3D,
    DEEP_CHANNELS,
    FAMILIES,
    SHALLOW_CHANNELS,
    WHOLE_CLIP,
    Family,
)
from vmz.netdef.training_state import is_training_state
from vmz.netdef.video_outputs import OPTICAL_FLOW, RGB_AND_SOUND, SOUND
from vmz.text import counted

_CONVOLUTION = re.compile(r"comp_(\d+)_conv_(\d+)(_middle)?_w")
_TRUNK = re.compile(r"((a_|v_)?(conv|comp_|shortcut_|pred_logit)|fc[67]_|av_fc[12]_).*")
_CLASSIFIER = re.compile(r"last_out_L(\d+)")
_FLOW_OF_CHANNELS = {2: 0, 5: 3}  # channels that only optical flow has -> --flow_data_type


@dataclass(frozen=True)
class Fact:
    """One setting as the blobs have it.

    flag: its name. value: what to take where nothing else says it. known: whether there is such a value. accepts:
    whether the blobs fit a network with another value. blob: the one that shows it. says: what it shows.
    """

    flag: str
    value: Any
    accepts: Callable[[Any], bool]
    blob: str
    says: str
    known: bool = True


def facts(blobs: Mapping[str, Any]) -> list[Fact]:
    """The facts that {name without scope: array or anything with a shape} shows, none for blobs of an unknown network.

    The more basic ones come first: a wrong network or depth makes the rest meaningless.
    """
    shapes = {name: tuple(blob.shape) for name, blob in blobs.items() if not is_training_state(name)}
    if f"{AUDIO}conv1_w" in shapes:
        return _audio_visual(shapes)
    first = _first_of(shapes)
    if first is None:
        return []
    if shapes[first][1] == 1 and "conv1_b" in shapes:  # the audio trunk's alone has a bias
        return _audio(shapes)
    trunk = [_one_of("model_name", C3D, (C3D,), first)] if first == "conv1a_w" else _Residual(shapes).facts()
    if not trunk:
        return []
    return [*trunk, *_channels(first, shapes[first]), *_head(shapes)]


def _first_of(shapes: Mapping[str, Shape]) -> Optional[str]:
    """The convolution that looks at the pixels, or at the log-mels of a network that only hears."""
    first = next((name for name in FIRST_CONVOLUTIONS if name in shapes), None)
    return first if first is not None and len(shapes[first]) >= 4 else None


def _audio_visual(shapes: Mapping[str, Shape]) -> list[Fact]:
    """Of an av_resnet: its visual half is one of the residual networks."""
    seen = {name[len(VISUAL) :]: shape for name, shape in shapes.items() if name.startswith(VISUAL)}
    heard = _blocks_of({name[len(AUDIO) :]: shape for name, shape in shapes.items() if name.startswith(AUDIO)})
    first = _first_of(seen)
    trunk = [] if first is None else _Residual(seen, AUDIO_VISUAL, AUDIO_VISUAL_BLOCKS, VISUAL).facts()
    if first is None or not trunk or not _is_whole(heard) or len(heard) != FIRST_STAGE[0] + len(_blocks_of(seen)):
        return []
    channels, blob = seen[first][1], f"{VISUAL}{first}"
    return [
        *trunk,
        Fact("input_type", RGB_AND_SOUND, _anything, f"{AUDIO}conv1_w", ""),
        _one_of("num_channels", channels, (channels,), blob),
        *_head(shapes),
    ]


def _audio(shapes: Mapping[str, Shape]) -> list[Fact]:
    """Of a_resnet."""
    every = _blocks_of(shapes)
    blocks = {number - FIRST_STAGE[0]: block for number, block in every.items() if number >= FIRST_STAGE[0]}
    bottleneck = len(blocks.get(0, {})) > 2
    depths = [
        depth
        for depth, counts in AUDIO_VISUAL_BLOCKS.items()
        if sum(counts) == len(blocks) and (depth in AUDIO_VISUAL_BOTTLENECKS) == bottleneck
    ]
    if not depths or not _is_whole(every):
        return []
    last = f"comp_{max(every)}_conv_{max(every[max(every)])}_w"
    return [
        _one_of("model_name", A_RESNET, (A_RESNET,), "conv1_w"),
        _one_of("model_depth", depths[0], sorted(depths), last),
        Fact("input_type", SOUND, _anything, "conv1_w", ""),
        *_widths(blocks, AUDIO_VISUAL_BLOCKS[depths[0]], depths[0], last, f"comp_{FIRST_STAGE[0]}_conv_1_w"),
        *_head(shapes),
    ]


Blocks = Mapping[int, Mapping[int, Shape]]  # number of a block -> number of a convolution -> its shape


def _blocks_of(shapes: Mapping[str, Shape]) -> dict[int, dict[int, Shape]]:
    blocks: dict[int, dict[int, Shape]] = {}
    for name, shape in shapes.items():
        found = _CONVOLUTION.fullmatch(name)
        if found and not found[3]:
            blocks.setdefault(int(found[1]), {})[int(found[2])] = shape
    return blocks


def _is_whole(blocks: Blocks) -> bool:
    """Whether no block is missing; the file may hold a part of a network."""
    return bool(blocks) and sorted(blocks) == list(range(len(blocks)))


class _Residual:
    """The blobs of one of the residual networks that see pictures, or of the visual half of an av_resnet.

    families: which there are; stages: {depth: the blocks of each stage}. prefix: of the names in the file.
    """

    def __init__(
        self,
        shapes: Mapping[str, Shape],
        families: Mapping[str, Family] = FAMILIES,
        stages: Mapping[int, Sequence[int]] = BLOCKS_PER_STAGE,
        prefix: str = "",
    ) -> None:
        self.shapes, self.families, self.stages, self.prefix = shapes, families, stages, prefix
        self.blocks = _blocks_of(shapes)
        middles = [_CONVOLUTION.fullmatch(name) for name in shapes]
        self.middles = [shapes[found[0]] for found in middles if found and found[3]]
        self.stem: Shape = shapes.get("conv1_w", ())
        first = self.blocks.get(0, {})
        self.bottleneck = len(first) > 2
        self.last = f"{prefix}comp_{max(self.blocks, default=0)}_conv_{max(first, default=0)}_w"

    def facts(self) -> list[Fact]:
        if not _is_whole(self.blocks):
            return []
        fitting = {name: depths for name, family in self.families.items() if (depths := self._fitting_depths(family))}
        if not fitting:
            return []
        exact = [name for name in fitting if self._fits(self.families[name], fitting[name][0], inflated=False)]
        exact.sort(key=lambda name: self.families[name].stem_frames == WHOLE_CLIP)  # of any clip length: the last guess
        name = exact[0] if exact else None
        depths = sorted({depth for some in fitting.values() for depth in some})
        depth = fitting[name][0] if name else depths[0]
        blob = "conv1_middle_w" if "conv1_middle_w" in self.shapes else _name_of(self.blocks[0])
        found = [_one_of("model_name", name, tuple(fitting), f"{self.prefix}{blob}", known=name is not None)]
        found.append(_one_of("model_depth", depth, depths, self.last))
        widths = _widths(self.blocks, self.stages[depth], depth, self.last, f"{self.prefix}comp_0_conv_1_w")
        return [*found, *self._first_layer(name), *widths]

    def _fitting_depths(self, family: Family) -> list[int]:
        """Depths at which a family has these blobs, weights perhaps inflated."""
        if family.convolution is not self._convolution() or family.factorised_stem != ("conv1_middle_w" in self.shapes):
            return []
        return [
            depth
            for depth in self.stages
            if depth in family.depths
            and sum(self.stages[depth]) == len(self.blocks)
            and (depth in family.bottlenecks) == self.bottleneck
            and self._fits(family, depth, inflated=True)
        ]

    def _convolution(self) -> Convolution:
        if self.middles:
            return factorised if self.middles[0][-1] == 3 else pointwise_then_depthwise
        inside = list(self.blocks[0].values())[1 if self.bottleneck else 0]
        return depthwise if self.bottleneck and inside[1] == 1 and inside[-1] == 3 else full

    def _fits(self, family: Family, depth: int, inflated: bool) -> bool:
        """Whether the temporal sizes are a family's, or can be inflated to them."""
        stem = _frames(self.stem)
        accepted = (3, 5) if family.stem_frames is None else (family.stem_frames,)
        if family.stem_frames != WHOLE_CLIP and stem not in accepted and not (inflated and stem in (None, 1)):
            return False
        if family.stem_frames == WHOLE_CLIP and stem is None and not inflated:
            return False
        number = 0
        for stage, blocks in zip((2, 3, 4, 5), self.stages[depth]):
            wanted = 3 if family.three_d(stage) else 1
            for _ in range(blocks):
                sizes = [_frames(shape) for shape in self.blocks[number].values()]
                frames = None if None in sizes else max(size for size in sizes if size is not None)
                if frames != wanted and not (inflated and frames in (None, 1)):
                    return False
                number += 1
        return True

    def _first_layer(self, name: Optional[str]) -> list[Fact]:
        """The temporal size of the first layer; a single frame may be inflated to any."""
        frames = _frames(self.stem)
        if name is None or frames in (None, 1):
            return []
        family, blob = self.families[name], f"{self.prefix}conv1_w"
        if family.stem_frames is None:
            return [_one_of("conv1_temporal_kernel", frames, (frames,), blob)]
        if family.stem_frames == WHOLE_CLIP:
            flow = self.stem[1] in _FLOW_OF_CHANNELS
            return [_one_of("clip_length_of" if flow else "clip_length_rgb", frames, (frames,), blob)]
        return []


def _widths(blocks: Blocks, stages: Sequence[int], depth: int, last: str, first: str) -> list[Fact]:
    """channel_multiplier from what the stages give, bottleneck_multiplier from the insides of their blocks.

    last, first: the blobs that show them.
    """
    bottleneck = len(blocks[0]) > 2
    ends = [sum(stages[: stage + 1]) - 1 for stage in range(4)]
    outs = [blocks[end][max(blocks[end])][0] for end in ends]
    plain = DEEP_CHANNELS if bottleneck and depth > 34 else SHALLOW_CHANNELS
    found = _multiplier("channel_multiplier", plain, outs, last)
    if not found or not bottleneck:
        return found
    widths = [int(found[0].value * width) for width in BOTTLENECK_WIDTHS]
    inside = [blocks[end][min(blocks[end])][0] for end in ends]
    return [*found, *_multiplier("bottleneck_multiplier", widths, inside, first)]


def _frames(shape: Shape) -> Optional[int]:
    """The temporal size of a 3-D kernel, None of a 2-D one."""
    return shape[2] if len(shape) == 5 else None


def _name_of(block: Mapping[int, Shape]) -> str:
    kernel = next((place for place, shape in sorted(block.items()) if shape[-1] > 1), min(block))
    return f"comp_0_conv_{kernel}_w"


# What a Fact accepts: functions of the module, so that what holds them can be pickled.
def _anything(value: Any) -> bool:
    return True


def _makes(plain: Sequence[int], seen: Sequence[int], multiplier: Any) -> bool:
    return all(int(multiplier * one) == channels for one, channels in zip(plain, seen))


def _multiplier(flag: str, plain: Sequence[int], seen: Sequence[int], blob: str) -> list[Fact]:
    """The shortest decimal fraction that makes `seen` channels of `plain` ones; none where there is no such number."""
    accepts = partial(_makes, plain, seen)
    least = max(channels / one for one, channels in zip(plain, seen))
    for digits in range(9):
        value = math.ceil(least * 10**digits - 1e-9) / 10**digits
        if accepts(value):
            return [Fact(flag, value, accepts, blob, _network(flag, f"{value:g}"))]
    return []


def _channels(first: str, shape: Shape) -> list[Fact]:
    found = [_one_of("num_channels", shape[1], (shape[1],), first)]
    if shape[1] in _FLOW_OF_CHANNELS:
        kind = _FLOW_OF_CHANNELS[shape[1]]
        found.append(Fact("input_type", OPTICAL_FLOW, _anything, first, ""))
        found.append(Fact("flow_data_type", kind, _anything, first, ""))
    return found


def _head(shapes: Mapping[str, Shape]) -> list[Fact]:
    """Labels, and whether a video has several of them, from the classifier, where there is exactly one.

    Of the three of Gradient-Blending it is the joint one.
    """
    names = [name[:-2] for name in shapes if name.endswith("_w") and not _TRUNK.fullmatch(name)]
    heads = [name for name in names if f"{name}_b" in shapes and len(shapes[f"{name}_b"]) == 1]
    if len(heads) == 3:
        heads = [name for name in heads if {f"{AUDIO}{name}", f"{VISUAL}{name}"} <= set(heads)]
    if len(heads) != 1:
        return []
    (head,) = heads
    labels, blob = shapes[f"{head}_b"][0], f"{head}_w"
    usual = _CLASSIFIER.fullmatch(head)
    own_name = None if usual and int(usual[1]) == labels else head
    several = int("pred_logit_w" in shapes)
    shown = "pred_logit_w" if several else blob
    return [
        Fact("num_labels", labels, partial(operator.contains, (labels,)), blob, f"is for {counted(labels, 'label')}"),
        Fact(
            "pred_layer_name", own_name, partial(operator.contains, (own_name, head)), blob, f"is the classifier {head}"
        ),
        _one_of("multi_label", several, (several,), shown),
    ]


def _one_of(flag: str, value: Any, accepted: Collection[Any], blob: str, known: bool = True) -> Fact:
    says = _network(flag, " or ".join(map(str, accepted)))
    return Fact(flag, value, partial(operator.contains, tuple(accepted)), blob, says, known)


def _network(flag: str, values: str) -> str:
    return f"is for a network with --{flag}={values}"
