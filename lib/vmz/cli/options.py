"""Parsers made of the flags, and what the options mean together: a network, a reader, devices."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from vmz import zoo
from vmz.checkpoints.loading import file_type
from vmz.cli.command import Parser
from vmz.cli.flags import (
    BEYOND_FLAGS,
    CHECKPOINT_FLAGS,
    ENGINE_FLAGS,
    FLAGS,
    MODEL_FLAGS,
    NO_EFFECT,
    TRAIN_DEFAULTS,
    TRAIN_FLAGS,
    TRAIN_READER_FLAGS,
    Flag,
)
from vmz.cli.settings import TESTING, TRAINING, Resolution, Use, resolve
from vmz.cores import use_threads
from vmz.errors import UsageError
from vmz.models.config import ModelConfig
from vmz.processes import group
from vmz.video.arguments import FLOW_CHANNELS
from vmz.video.frames.watch import VIDEO_TIMEOUT

# Arguments of VideoInput that the original has not, with the operator's defaults: its nets have no such ones, so that
# they are written only where they are others.
BEYOND_THE_ORIGINAL = {
    **dict.fromkeys(("max_frames", "autorotate", "original_start_faults", "image_as_input"), 0),
    "video_timeout": VIDEO_TIMEOUT,
}


def add_flags(
    parser: Parser, title: str, names: Sequence[str], table: Optional[Mapping[str, Flag]] = None, **defaults: Any
) -> None:
    """Give `parser` the flags `names` of `table`, under a heading; `defaults` are a tool's own."""
    group = parser.add_argument_group(title)
    for name in names:
        flag = (table or FLAGS)[name]
        group.add_argument(
            f"--{name}",
            type=flag.kind,
            default=defaults.get(name, flag.effective_default()),
            help=flag.help,
            choices=flag.choices,
            metavar=flag.metavar,
        )


def add_zoo_flag(parser: Parser, use: Optional[Use] = None) -> None:
    """--zoo NAME, and --protocol for a tool that tests (`use` says how): flags given beside them win."""
    parser.add_argument("--zoo", metavar="NAME", help="a published model (tools/zoo.py list): sets its flags")
    if use is not None:
        parser.add_argument(
            "--protocol",
            choices=zoo.PROTOCOLS,
            help="of a published model (--zoo, or a checkpoint with its file name). published: the test that its "
            "figures come from, fully convolutional and with three crops for CSN; fast: one centre crop of the size "
            f"that the table prints. Default here: {use.protocol}",
        )


def train_parser(description: str) -> Parser:
    """The parser of tools/train_net.py: the original's flags and ours."""
    parser = Parser(description)
    add_zoo_flag(parser)
    add_flags(parser, "network", list(MODEL_FLAGS))
    add_flags(parser, "data", TRAIN_READER_FLAGS, **TRAIN_DEFAULTS)
    add_flags(parser, "engine", list(ENGINE_FLAGS))
    add_flags(parser, "training", list(TRAIN_FLAGS), TRAIN_FLAGS)
    parser.add_former_name(
        "pretrained_model",
        "load_model_path",
        "weights to initialise the network with: the name that --load_model_path with --is_checkpoint=0 had before",
        is_checkpoint="0",
    )
    add_flags(parser, "checkpoint", list(CHECKPOINT_FLAGS))
    add_flags(parser, "names", ["label_names"])
    add_flags(parser, "not in the original", list(BEYOND_FLAGS), BEYOND_FLAGS)
    return parser


class Options(argparse.Namespace):
    """Parsed flags. `resolved`, where each setting comes from, is a slot: vars(options) holds the flags alone."""

    __slots__ = ("resolved",)
    resolved: Resolution


def parse(parser: Parser, argv: Sequence[str], use: Optional[Use] = None) -> Options:
    """Parse; what is not given by hand comes from --zoo and from the checkpoint (see `settings.resolve`).

    use: what the tool takes from them; by default what training does where the parser has --is_checkpoint, else what
    testing does.
    """
    if use is None:
        use = TRAINING if any(action.dest == "is_checkpoint" for action in parser._actions) else TESTING
    given = parser.given_values(argv)
    defaults = vars(parser.parse_args(list(argv)))
    defaults.update({flag: parser.get_default(flag) for flag in given})
    resolution = resolve(given, defaults, _use(use, {**defaults, **given}))
    options = Options(**{**defaults, **resolution.values(), **given})
    options.resolved = resolution
    if getattr(options, "num_threads", None):
        use_threads(options.num_threads)  # before an engine, and what it computes with, is imported
    return options


def _use(use: Use, flags: Mapping[str, Any]) -> Use:
    """`use`, or none of the checkpoint where it is a training's own, which goes on with the flags that it is given."""
    if use is not TRAINING or not flags.get("load_model_path") or not flags.get("is_checkpoint"):
        return use
    resumes = file_type(flags["load_model_path"], flags.get("db_type")) == "minidb"
    return replace(use, takes=frozenset(), from_zoo=use.from_zoo | use.takes) if resumes else use


def require_checkpoint(options: argparse.Namespace) -> None:
    """Raise UsageError for a --load_model_path that is not there, in a tool that takes its settings and no weights."""
    path = options.load_model_path
    if path and not os.path.isfile(path):
        raise UsageError(f"--load_model_path={path}: there is no such file")


def resolution_of(options: argparse.Namespace) -> Optional[Resolution]:
    """Where the settings of parsed options come from; None of options made by hand."""
    return getattr(options, "resolved", None)


def without_effect(given: Collection[str], engine: str) -> list[str]:
    """A line for each given flag that changes nothing here, or nothing beside the others that are given."""
    names = [name for name in NO_EFFECT if name in given]
    unused = [name for name in names if engine != "caffe2" or name != "cudnn_workspace_limit_mb"]
    why = {name: NO_EFFECT[name] for name in unused}
    if "lr_milestones" in given and "step_epoch" in given:
        why["step_epoch"] = "--lr_milestones says when the rate falls"
    if "warmup_epochs" not in given:
        idle = [name for name in ("gradual_warmup", "decay_after_warmup") if name in given]
        why.update(dict.fromkeys(idle, "there is no warm-up; --warmup_epochs gives one"))
    return [f"--{name} has no effect: {reason}" for name, reason in why.items()]


def model_config(options: argparse.Namespace, **changes: Any) -> ModelConfig:
    """The checked network configuration of a tool's options; `changes` are set on top.

    Raises UsageError naming the flag.
    """
    arguments = {name: getattr(options, name) for name in MODEL_FLAGS if name not in ("clip_length_rgb", "use_cudnn")}
    arguments["clip_length"] = options.clip_length_rgb
    if _sees_flow(options):
        arguments["clip_length"] = options.clip_length_of
        channels = FLOW_CHANNELS[options.flow_data_type]
        if options.num_channels != channels:
            raise UsageError(
                f"--num_channels={options.num_channels}, but flow has {channels} channels with --flow_data_type="
                f"{options.flow_data_type}; give --num_channels={channels}"
            )
    return ModelConfig(**{**arguments, **changes})


def _sees_flow(options: argparse.Namespace) -> bool:
    return bool(getattr(options, "input_type", 0) == 1)  # tools without a reader have no such flag


def video_input_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The VideoInput arguments of a test net, all those that the original writes, by their operator names.

    With --input_type=1 the flow is all that the operator gives: it is the network's `data`.
    """
    flow = int(_sees_flow(options))
    return {
        "batch_size": options.batch_size,
        "clip_per_video": options.clip_per_video,
        "crop_per_clip": options.crop_per_clip,
        "crop_size": options.crop_size,
        "scale_h": options.scale_h,
        "scale_w": options.scale_w,
        "short_edge": min(options.scale_h, options.scale_w),
        "video_res_type": options.video_res_type,
        "length_rgb": options.clip_length_rgb,
        "sampling_rate_rgb": options.sampling_rate_rgb,
        "length_of": options.clip_length_of,
        "sampling_rate_of": options.sampling_rate_of,
        "frame_gap_of": options.frame_gap_of,
        "do_flow_aggregation": options.do_flow_aggregation,
        "flow_data_type": options.flow_data_type,
        "input_type": options.input_type,
        "get_rgb": 1 - flow,
        "get_optical_flow": flow,
        "get_logmels": 0,
        "decode_type": 1,
        "random_crop": 0,
        "random_mirror": 0,
        "num_decode_threads": options.num_decode_threads,
        "do_multi_label": getattr(options, "multi_label", 0),
        "num_of_class": options.num_labels,
        "use_local_file": options.use_local_file,
        **{
            name: value
            for name, default in BEYOND_THE_ORIGINAL.items()
            if (value := getattr(options, name, default)) != default
        },
    }


def device_names(options: argparse.Namespace) -> tuple[str, ...]:
    """The devices that this process trains on: Caffe2 takes several GPUs, PyTorch one (and torchrun for more)."""
    gpus = gpu_numbers(options)
    if options.engine == "caffe2" and gpus and len(gpus) > 1 and group.world_size() == 1:
        return tuple(f"cuda:{number}" for number in gpus)
    return (device_name(options),)


def gpu_numbers(options: argparse.Namespace) -> Optional[tuple[int, ...]]:
    """The GPUs of a machine that --gpus, or else --num_gpus, means; none for the CPU, None where --device decides.

    Raises UsageError for --gpus that is no list of numbers.
    """
    if options.gpus is not None:
        numbers = options.gpus.split(",")
        if not all(number.isdigit() for number in numbers) or len(set(numbers)) < len(numbers):
            raise UsageError(f"--gpus={options.gpus} is not a list of different GPU numbers, such as 0,1")
        return tuple(int(number) for number in numbers)
    return None if options.num_gpus is None else tuple(range(options.num_gpus))


def device_name(options: argparse.Namespace) -> str:
    """The one device of this process that --device, --gpus and --num_gpus mean together.

    Of several processes on a machine each has its own GPU. Raises UsageError where there are not as many of them.
    """
    gpus, several = gpu_numbers(options), group.local_size() > 1
    asked = f"--gpus={options.gpus}" if options.gpus is not None else f"--num_gpus={options.num_gpus}"
    if gpus is None:
        return _local_device(str(options.device), several)
    if not gpus:
        return "cpu"
    if len(gpus) > 1 and group.world_size() == 1:
        raise UsageError(f"{asked}: one process uses one device; with --engine={options.engine} start it by torchrun")
    if group.local_rank(len(gpus)) >= len(gpus):
        raise UsageError(f"{asked} is too few: each of the {group.local_size()} processes here takes a GPU")
    return f"cuda:{gpus[group.local_rank(len(gpus))]}" if several or options.gpus is not None else "cuda"


def _local_device(device: str, several: bool) -> str:
    if not several or device == "cpu":
        return device
    if device.startswith("cuda:"):
        raise UsageError(
            f"--device={device} would be that of all {group.local_size()} processes here; give --device=cuda, "
            "of which each takes its own, or a list with --gpus"
        )
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return f"cuda:{group.local_rank(torch.cuda.device_count())}" if device == "cuda" else device
