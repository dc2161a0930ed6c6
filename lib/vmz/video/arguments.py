"""The arguments of the VideoInput operator: the original's names and defaults, and a few of ours, checked together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from vmz.errors import UsageError
from vmz.netdef.net_parts import VIDEO_INPUT
from vmz.netdef.video_outputs import FLOW_CHANNELS
from vmz.text import quoted
from vmz.video.frames.watch import VIDEO_TIMEOUT

RANDOM, UNIFORM, FROM_START_FRAME = 0, 1, 2  # decode_type
FIXED_SIZE, SHORT_EDGE, ORIGINAL_SIZE = 0, 1, 2  # video_res_type
FARNEBACK, DIS = 0, 3  # flow_alg_type

# The largest values that are taken: beyond what any machine holds, below what overflows a size.
MOST_INTEGER = (1 << 31) - 1
MOST = {
    **dict.fromkeys(("scale_h", "scale_w", "short_edge", "jitter_scales"), 8192),
    **dict.fromkeys(("crop_size", "length_rgb", "length_of"), 4096),
    **dict.fromkeys(("batch_size", "clip_per_video", "sampling_rate_rgb", "sampling_rate_of", "frame_gap_of"), 1 << 16),
    **dict.fromkeys(("crop_per_clip", "num_decode_threads"), 1024),
    "random_sampling_rate": 1 << 16,
    "num_of_class": 1 << 20,
    "seed": (1 << 63) - 1,
    "first_position": (1 << 63) - 1,
    "fps": 240,
}

MIN_DIS_PIXELS = 16  # DIS starts on an image an eighth as large, OpenCV does it no smaller

# The tools hand these to the operator too, which has never read them: what they stand for is in other arguments.
IGNORED = frozenset({"input_type", "get_logmels", "name"})

Args = TypeVar("Args", bound="VideoInputArgs")


@dataclass(frozen=True)
class VideoInputArgs:
    """One field per operator argument, flags as 0 or 1. Sizes in pixels, lengths and rates in frames."""

    operator: ClassVar[str] = VIDEO_INPUT
    ignored: ClassVar[frozenset[str]] = IGNORED

    batch_size: int = 0
    clip_per_video: int = 1
    clip_start_positions: tuple[int, ...] = ()
    crop_size: int = 0
    scale_h: int = 0
    scale_w: int = 0
    short_edge: int = 0
    video_res_type: int = FIXED_SIZE
    jitter_scales: tuple[int, ...] = ()
    length_rgb: int = 0
    sampling_rate_rgb: int = 1
    random_sampling_rate: int = 0
    length_of: int = 0
    sampling_rate_of: int = 1
    frame_gap_of: int = 1
    flow_data_type: int = 0
    flow_alg_type: int = 0
    do_flow_aggregation: int = 1
    decode_type: int = RANDOM
    random_mirror: int = 1
    random_crop: int = 1
    crop_per_clip: int = 1
    get_rgb: int = 1
    get_optical_flow: int = 0
    get_video_id: int = 0
    get_start_frame: int = 0
    do_multi_label: int = 0
    num_of_class: int = 0
    use_local_file: int = 0
    image_as_input: int = 0
    num_decode_threads: int = 4
    # Ours
    on_bad_video: str = "stop"  # or "skip": leave it out of the batch and list it
    wrap_around: int = 1  # 0: one pass, then EndOfData; the last batch may be short
    seed: int = 0  # of the random crops, mirrors and starts; 0: from the system's entropy
    shuffle: int = 0  # 1: each turn through the database has an order of its own, drawn from the seed
    shard_index: int = 0  # which share this reader takes of each global batch, of batch_size * shard_count videos
    shard_count: int = 1
    first_position: int = 0  # videos of this reader's own stream to pass over before the first one
    get_record_index: int = 0  # a last output: the place of each video in the database
    max_frames: int = 0  # frames read of a video at most, from its start; 0: all of them. The original: 10000
    fps: int = 0  # take the frames that are shown at so many times a second; 0: every frame, as the original
    autorotate: int = 0  # 1: turn the frames as the video's metadata ask; the original does not
    video_timeout: int = VIDEO_TIMEOUT  # seconds that a video may go without a new frame; 0: any
    original_start_faults: int = 0  # 1: find start frames and draw random clips by what the stream states, as it does

    @classmethod
    def from_mapping(cls: type[Args], values: Mapping[str, Any]) -> Args:
        """Arguments by operator names, checked. UsageError for one that is unknown, of a wrong type, or wrong."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        chosen = {}
        for name, value in values.items():
            if name in cls.ignored:
                continue
            if name not in fields:
                raise UsageError(f"{cls.operator} has no argument {quoted(name)}; it has {', '.join(sorted(fields))}")
            chosen[name] = _convert(name, str(fields[name].type), value)
        args = cls(**chosen)
        args.check()
        return args

    @property
    def sees(self) -> bool:
        """Whether frames are looked at at all."""
        return bool(self.get_rgb or self.get_optical_flow)

    @property
    def hears(self) -> bool:
        """Whether log-mels are asked for, which AVInput gives."""
        return False

    @property
    def clips(self) -> int:
        """Clips a video: explicit start positions set it."""
        return len(self.clip_start_positions) or self.clip_per_video

    @property
    def rows(self) -> int:
        """Rows of the batch that one video fills."""
        return self.clips * self.crop_per_clip

    @property
    def flow_channels(self) -> int:
        """Channels of the optical flow."""
        return FLOW_CHANNELS[self.flow_data_type]

    @property
    def drawn_edges(self) -> tuple[int, ...]:
        """What each video's short edge is drawn from, if it is drawn: train_net writes jitter_scales into every net,
        but only with video_res_type=1 there is a short edge."""
        return self.jitter_scales if self.video_res_type == SHORT_EDGE else ()

    def check(self) -> None:
        """Raise UsageError, naming the argument, for every combination that the operator cannot do."""
        for field in dataclasses.fields(self):
            self._at_most(field.name, MOST.get(field.name, MOST_INTEGER))
        if not self.sees and not self.hears:
            other = "get_optical_flow" if self.operator == VIDEO_INPUT else "get_logmels"
            raise UsageError(f"get_rgb=0 and {other}=0 leave nothing to read; set one of them to 1")
        for name in ("batch_size", "clip_per_video", "crop_per_clip", *(["crop_size"] if self.sees else [])):
            self._at_least(name, 1)
        for name in ("length_rgb", "sampling_rate_rgb") if self.get_rgb else ():
            self._at_least(name, 1)
        for name in ("num_decode_threads", "shard_count"):
            self._at_least(name, 1)
        self._at_least("first_position", 0)
        for name in ("scale_h", "scale_w", "short_edge", "random_sampling_rate", "seed", "max_frames", "video_timeout"):
            self._at_least(name, 0)
        self._check_fps()
        self._one_of("autorotate", (0, 1))
        self._one_of("decode_type", (RANDOM, UNIFORM, FROM_START_FRAME))
        self._one_of("video_res_type", (FIXED_SIZE, SHORT_EDGE, ORIGINAL_SIZE))
        self._one_of("on_bad_video", ("stop", "skip"))
        if self.sees:
            self._check_sizes()
        self._check_clips()
        self._check_flow()
        self._check_image()
        self._check_order()
        if self.do_multi_label and self.num_of_class < 1:
            raise UsageError("num_of_class must be set (the number of classes) with do_multi_label=1")

    def _check_fps(self) -> None:
        self._at_least("fps", 0)
        for name in ("image_as_input", "original_start_faults") if self.fps else ():
            if getattr(self, name):
                raise UsageError(f"fps={self.fps} does not go with {name}=1; set one of them to 0")

    def _check_sizes(self) -> None:
        if self.video_res_type == FIXED_SIZE:
            for name in ("scale_h", "scale_w"):
                if getattr(self, name) < self.crop_size:
                    raise UsageError(
                        f"{name}={getattr(self, name)} is smaller than crop_size={self.crop_size}; with "
                        "video_res_type=0 the video is resized to scale_w x scale_h, no smaller than the crop"
                    )
        if self.video_res_type == SHORT_EDGE:
            for edge in self.drawn_edges or (self.short_edge,):
                if edge < self.crop_size:
                    name = f"jitter_scales={list(self.jitter_scales)}" if self.jitter_scales else f"short_edge={edge}"
                    raise UsageError(f"{name} must be no smaller than crop_size={self.crop_size} (video_res_type=1)")
        if self.crop_per_clip > 1 and self.random_crop:
            raise UsageError(f"crop_per_clip={self.crop_per_clip} needs random_crop=0: several crops have fixed places")

    def _check_clips(self) -> None:
        if self.clips > 1 and self.decode_type != UNIFORM:
            raise UsageError(
                f"clip_per_video={self.clips} needs decode_type=1 (uniform), not {self.decode_type}: the other ways to "
                "choose a start give one clip a video"
            )
        if self.clip_start_positions:
            if self.decode_type != UNIFORM:
                raise UsageError(f"clip_start_positions needs decode_type=1, not {self.decode_type}")
            if min(self.clip_start_positions) < 0:
                raise UsageError(f"clip_start_positions={list(self.clip_start_positions)} must not be negative")
        if self.get_start_frame and self.decode_type != FROM_START_FRAME:
            raise UsageError(f"get_start_frame=1 needs decode_type=2 (from the start frame), not {self.decode_type}")

    def _check_flow(self) -> None:
        if not self.get_optical_flow:  # its arguments are in every net and count only when it is asked for
            return
        for name in ("length_of", "sampling_rate_of", "frame_gap_of"):
            self._at_least(name, 1)
        self._one_of("flow_data_type", FLOW_CHANNELS)
        if self.flow_alg_type in (1, 2):
            raise UsageError(
                f"flow_alg_type={self.flow_alg_type} has no CPU version; use 0 (Farneback) or 3 (DIS, where TV-L1 was)"
            )
        self._one_of("flow_alg_type", (FARNEBACK, DIS))
        if self.flow_alg_type == DIS and self.crop_size < MIN_DIS_PIXELS:
            raise UsageError(f"crop_size={self.crop_size} is too small for flow_alg_type=3: {MIN_DIS_PIXELS} at least")

    def _check_image(self) -> None:
        if not self.image_as_input:
            return
        for name, value in (("get_optical_flow", 0), ("length_rgb", 1), ("video_res_type", FIXED_SIZE)):
            if getattr(self, name) != value:
                raise UsageError(
                    f"{name}={getattr(self, name)} with image_as_input=1: an image is a clip of one RGB frame, resized "
                    f"to scale_w x scale_h; set {name}={value}"
                )
        if self.clips > 1:
            raise UsageError(f"clip_per_video={self.clips} with image_as_input=1: an image is one clip")

    def _check_order(self) -> None:
        self._one_of("shuffle", (0, 1))
        if not 0 <= self.shard_index < self.shard_count:
            raise UsageError(
                f"shard_index={self.shard_index} must be one of 0 to {self.shard_count - 1} "
                f"(shard_count={self.shard_count})"
            )
        for name, least in (("shuffle", 0), ("shard_count", 1)):
            if getattr(self, name) > least and not self.seed:
                raise UsageError(
                    f"{name}={getattr(self, name)} needs a seed, not seed=0 (from entropy): the readers of other "
                    "shards and later runs have to draw the same"
                )

    def _at_least(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            raise UsageError(f"{name}={getattr(self, name)} must be at least {least}")

    def _at_most(self, name: str, most: int) -> None:
        value = getattr(self, name)
        largest = value if isinstance(value, int) else max(value, default=0) if isinstance(value, tuple) else 0
        if largest > most:
            raise UsageError(f"{name}={quoted(value)} must be at most {most}")

    def _one_of(self, name: str, allowed: Iterable[Any]) -> None:
        if getattr(self, name) not in allowed:
            raise UsageError(f"{name}={getattr(self, name)} must be one of {', '.join(map(str, allowed))}")


def _convert(name: str, kind: str, value: Any) -> Any:
    """A JSON or protobuf value as the field's type. Booleans stand for 0 and 1."""
    if kind == "str":
        value = value.decode() if isinstance(value, bytes) else value
        if isinstance(value, str):
            return value
    elif kind == "int":
        if isinstance(value, (bool, int)) or (isinstance(value, float) and value.is_integer()):
            return int(value)
    elif isinstance(value, (list, tuple)) and all(type(entry) is int for entry in value):
        return tuple(int(entry) for entry in value)
    expected = {"str": "a string", "int": "an integer"}.get(kind, "a list of integers")
    raise UsageError(f"{name}={quoted(value)} must be {expected}")
