"""What a network is asked to be: one checked object, refused by the name of the argument that is wrong."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from vmz.errors import UsageError
from vmz.models.families import (
    A_RESNET,
    AUDIO_VISUAL,
    AUDIO_VISUAL_DEPTHS,
    BLOCKS_PER_STAGE,
    C3D,
    FAMILIES,
    SOUND_NAMES,
    family_of,
)
from vmz.text import quoted

CROPS = (112, 224)
CONVOLUTIONAL_CROPS = (128, 256, 320)
# The largest values that are taken: beyond what any machine computes, below what overflows a shape.
LARGEST = {"num_labels": 1 << 20, "batch_size": 1 << 16, "num_channels": 64, "clip_length": 4096}
WIDEST = 64.0
MOST = {**LARGEST, "loss_scale": 1e6, "channel_multiplier": WIDEST, "bottleneck_multiplier": WIDEST}
HEAVIEST = 1e6  # weight of a loss
LONGEST_NAME = 200  # letters of a blob's or a net's name


@dataclass(frozen=True)
class ModelConfig:
    """The arguments of the original `build_model`, with its defaults.

    `batch_size` (clips a run) only shows in a reshape of the multi-label fully convolutional head; -1 leaves it open.
    `conv1_temporal_kernel` and `conv1_temporal_stride` are for r2plus1d, r3d and CSN. `loss_scale` multiplies the loss
    (1 / devices when training). `pred_layer_name` renames the classifier, `last_out_L<num_labels>` by default.

    Of the audio-visual networks: `audio_input_3d` takes log-mel maps of several channels (N, C, 1, 100, 40) and means
    them; `g_blend` adds a classifier and a loss for each trunk, weighed by `audio_weight`, `visual_weight` and, for the
    joint one, `av_weight`.

    Raises UsageError, naming the argument and what is accepted, for every combination that is no network.
    """

    model_name: str = "r2plus1d"
    model_depth: int = 18
    num_labels: int = 101
    batch_size: int = 1
    num_channels: int = 3
    crop_size: int = 112
    clip_length: int = 16
    loss_scale: float = 1.0
    multi_label: bool = False
    use_pool1: bool = False
    use_dropout: bool = False
    use_convolutional_pred: bool = False
    channel_multiplier: float = 1.0
    bottleneck_multiplier: float = 1.0
    conv1_temporal_kernel: int = 3
    conv1_temporal_stride: int = 1
    pred_layer_name: Optional[str] = None
    audio_input_3d: bool = False
    g_blend: bool = False
    audio_weight: float = 0.0
    visual_weight: float = 0.0
    av_weight: float = 1.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), str(field.type)
            if kind == "bool" and value in (0, 1):
                object.__setattr__(self, field.name, bool(value))
            elif kind == "float" and isinstance(value, int):
                object.__setattr__(self, field.name, float(value))
            elif not isinstance(value, _PYTHON_TYPES[kind]) or (kind == "int" and isinstance(value, bool)):
                raise UsageError(f"{field.name} is {quoted(value)}, but it must be {_IN_WORDS[kind]}")
            elif field.name in MOST and not getattr(self, field.name) <= MOST[field.name]:
                raise UsageError(f"{field.name} is {quoted(value)}, but it must be at most {MOST[field.name]}")
        if self.pred_layer_name is not None:
            check_name("pred_layer_name", self.pred_layer_name)
        self._check_name_and_depth()
        self._check_input()
        self._check_widths()
        self._check_sound()

    @classmethod
    def from_mapping(cls, arguments: Mapping[str, Any]) -> ModelConfig:
        """A configuration from {argument: value}; an unknown argument is refused with a guess at what was meant."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in arguments:
            if name not in known:
                raise UsageError(f"no model argument is called {quoted(name)}; {guess(name, known)}")
        return cls(**arguments)

    @property
    def last_layer(self) -> str:
        """The classifier's blob."""
        return self.pred_layer_name or f"last_out_L{self.num_labels}"

    @property
    def sees_pictures(self) -> bool:
        """Whether it takes clips of pictures: all but a_resnet do."""
        return self.model_name != A_RESNET

    @property
    def hears(self) -> bool:
        """Whether it takes log-mel maps: the audio-visual networks do."""
        return self.model_name in SOUND_NAMES

    @property
    def final_side(self) -> int:
        """Height and width that final_avg averages over: 7 at crop 112 or after pool1, else 14."""
        return 7 if self.use_pool1 or self.crop_size in (112, 128) else 14

    @property
    def positions(self) -> int:
        """Height and width of the map that final_avg leaves: 1, or more for the fully convolutional head's crops."""
        return self.crop_size // (32 if self.use_pool1 else 16) - self.final_side + 1

    def _check_name_and_depth(self) -> None:
        names = [*FAMILIES, C3D, *SOUND_NAMES]
        if self.model_name not in names:
            raise UsageError(f"unknown model_name {quoted(self.model_name)}; {guess(self.model_name, names)}")
        own = {C3D: tuple(BLOCKS_PER_STAGE), A_RESNET: AUDIO_VISUAL_DEPTHS}
        depths = own[self.model_name] if self.model_name in own else family_of(self.model_name).depths
        _one_of("model_depth", self.model_depth, depths, f"model_name {self.model_name}")

    def _check_input(self) -> None:
        name = f"model_name {self.model_name}"
        if self.model_name == C3D:
            _one_of("crop_size", self.crop_size, (112,), name)
            _one_of("clip_length", self.clip_length, (16,), name)
            for argument in ("use_pool1", "use_convolutional_pred"):
                _one_of(argument, getattr(self, argument), (False,), name)
        elif self.use_convolutional_pred:
            _one_of("crop_size", self.crop_size, CONVOLUTIONAL_CROPS, "use_convolutional_pred")
        elif self.crop_size in CONVOLUTIONAL_CROPS:
            raise UsageError(
                f"crop_size {self.crop_size} needs use_convolutional_pred=1; without it it must be {_listed(CROPS)}"
            )
        else:
            _one_of("crop_size", self.crop_size, CROPS, name)
        if self.use_pool1 and self.crop_size < 224:
            raise UsageError(
                f"use_pool1 with crop_size {self.crop_size} leaves less than the 7x7 map that final_avg takes; "
                "use crop_size 224 (256 or 320 with use_convolutional_pred), or leave use_pool1 out"
            )
        if self.clip_length % 2 and self.model_name not in ("r2d", "r2df"):
            raise UsageError(f"clip_length {self.clip_length} is odd; {self.model_name} takes an even number of frames")
        for argument in ("clip_length", "num_channels", "num_labels"):
            if getattr(self, argument) < 1:
                raise UsageError(f"{argument} is {getattr(self, argument)}, but it must be at least 1")
        if self.batch_size < 1 and self.batch_size != -1:
            raise UsageError(f"batch_size is {self.batch_size}, but it must be at least 1 (or -1 to leave it open)")

    def _check_widths(self) -> None:
        residual = self.model_name in (*FAMILIES, *AUDIO_VISUAL)
        if residual and family_of(self.model_name).stem_frames is None:
            _one_of("conv1_temporal_kernel", self.conv1_temporal_kernel, (3, 5), f"model_name {self.model_name}")
            _one_of("conv1_temporal_stride", self.conv1_temporal_stride, (1, 2), f"model_name {self.model_name}")
        else:  # their first layer has its own temporal size
            _one_of("conv1_temporal_kernel", self.conv1_temporal_kernel, (3,), f"model_name {self.model_name}")
            _one_of("conv1_temporal_stride", self.conv1_temporal_stride, (1,), f"model_name {self.model_name}")
        for argument in ("channel_multiplier", "bottleneck_multiplier"):
            if int(64 * getattr(self, argument)) < 1:  # 64: the narrowest stage
                raise UsageError(f"{argument} is {getattr(self, argument)}, which leaves no channel; use at least 1/64")
        if bottleneck_width(self, 64) < 1:
            raise UsageError(
                f"channel_multiplier is {self.channel_multiplier} and bottleneck_multiplier is "
                f"{self.bottleneck_multiplier}, which together leave no channel in a bottleneck; raise one of them"
            )

    def _check_sound(self) -> None:
        for_what = f"model_name {self.model_name}"
        if not self.hears:
            _one_of("audio_input_3d", self.audio_input_3d, (False,), for_what)
        else:  # the original drops the layer without a word
            _one_of("use_dropout", self.use_dropout, (False,), for_what)
        if self.model_name not in AUDIO_VISUAL:
            _one_of("g_blend", self.g_blend, (False,), for_what)
        if self.model_name == A_RESNET:
            _one_of("use_convolutional_pred", self.use_convolutional_pred, (False,), for_what)
        if self.g_blend and self.use_convolutional_pred:
            raise UsageError("use_convolutional_pred is for testing one head; it cannot be used with g_blend")
        for argument in ("audio_weight", "visual_weight", "av_weight"):
            value = getattr(self, argument)
            if not 0 <= value <= HEAVIEST:
                raise UsageError(f"{argument} is {value}, but a weight of a loss is from 0 to {HEAVIEST:g}")


def check_name(argument: str, name: str) -> None:
    """UsageError for what cannot be the name of a blob or a net."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(f"{argument} is {quoted(name)}, but a name has 1 to {LONGEST_NAME} letters that can be seen")


def bottleneck_width(config: ModelConfig, channels: int) -> int:
    """Channels inside a bottleneck that has `channels` in the plain network."""
    return multiplied_width(channels, config.channel_multiplier, config.bottleneck_multiplier)


def multiplied_width(channels: int, channel_multiplier: float, bottleneck_multiplier: float) -> int:
    """The same by both multipliers, truncated in turn."""
    return int(bottleneck_multiplier * int(channel_multiplier * channels))


_PYTHON_TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "Optional[str]": (str, type(None)),
}
_IN_WORDS = {"bool": "0 or 1", "int": "an integer", "float": "a number", "str": "a name", "Optional[str]": "a name"}


def guess(name: str, known: Collection[str]) -> str:
    """'did you mean X? choose from: A, B, C', for an error."""
    close = difflib.get_close_matches(name[:LONGEST_NAME], known, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"choose from: {', '.join(sorted(known))}"


def _listed(values: Collection[Any]) -> str:
    return " or ".join(str(int(v) if isinstance(v, bool) else v) for v in values)


def _one_of(argument: str, value: Any, accepted: Collection[Any], for_what: str) -> None:
    if value not in accepted:
        shown = int(value) if isinstance(value, bool) else value
        raise UsageError(f"{argument} is {quoted(shown)}, but {for_what} accepts {_listed(accepted)}")
