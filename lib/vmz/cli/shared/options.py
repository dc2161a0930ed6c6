"""Parsers made of settings, and configurations made of what was parsed."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

from vmz import zoo
from vmz.cli.shared.parser import Parser
from vmz.cores import use_threads
from vmz.datasets.listed_data import FLAGS, is_listed
from vmz.errors import UsageError
from vmz.file_formats.json_files import read_json
from vmz.files import write_json
from vmz.processes import identity
from vmz.settings.resolution import Resolution, Use, ZooSettings, resolve
from vmz.settings.setting import Setting, Settings, settings_of
from vmz.text import quoted

Config = TypeVar("Config", bound=Settings)
UseOf = Callable[[Mapping[str, Any]], Use]

BLENDING = ("audio_weight", "visual_weight", "av_weight")
# Flags of the original's training that change nothing here, and why: whoever gives one is told.
NO_EFFECT = {
    **dict.fromkeys(BLENDING, "there are no losses to blend; --g_blend=1 has three of them"),
    "cudnn_workspace_limit_mb": "it is for Caffe2 on a GPU",
}


def add_settings(
    parser: Parser, title: str, *owners: type[Settings], names: Optional[Sequence[str]] = None, **defaults: Any
) -> None:
    """Give `parser` the settings of dataclasses as flags, under a heading.

    names: those of them, in their order; by default all that the parser has not. defaults: a tool's own.
    """
    heading = parser.add_argument_group(title)
    known = settings_of(*owners)
    for name in names or [name for name in known if not parser.has(name)]:
        parser.settings[name] = known[name]
        _add(heading, name, known[name], defaults)


def _add(heading: Any, name: str, known: Setting, defaults: Mapping[str, Any]) -> None:
    several = {"nargs": "+", "action": "extend"} if known.several else {}
    heading.add_argument(
        f"--{name}",
        type=known.kind,
        default=defaults.get(name, known.effective_default()),
        help=known.help,
        choices=known.choices,
        metavar=known.shown_as,
        **several,
    )


def add_own(parser: Parser, title: str, config: type[Settings], names: Sequence[str]) -> None:
    """Give `parser` settings that a configuration has of its own; with --zoo comes --zoo_manifest."""
    names = [one for name in names for one in ((name, "zoo_manifest") if name == "zoo" else (name,))]
    add_settings(parser, title, config, names=names)


def add_config_flags(parser: Parser) -> None:
    """--config and --save_config, of a tool whose configuration is a file."""
    heading = parser.add_argument_group("configuration (not in the original)")
    heading.add_argument(
        "--config",
        metavar="FILE",
        help="start from the settings of this file, of --save_config or a results.json, outputs among them; flags "
        "given beside it win",
    )
    heading.add_argument("--save_config", metavar="FILE", help="write the settings of this run, as JSON for --config")


class Options(argparse.Namespace):
    """Parsed flags. `resolution`, where each setting comes from, is a slot: vars(options) holds the flags alone."""

    __slots__ = ("resolution",)
    resolution: Resolution


def parse(parser: Parser, argv: Sequence[str], use: UseOf, fetch: bool = False) -> Options:
    """Parse; what is not given by hand comes from --config, --zoo and the checkpoint (see `resolution.resolve`).

    use: what the tool takes from them, of {flag: value}. fetch: --zoo without --load_model_path means the published
    weights too, which are fetched where they are not in the cache.
    """
    given = parser.given_values(argv)
    defaults = vars(parser.parse_args(list(argv)))
    defaults.update({flag: parser.get_default(flag) for flag in given})
    config = _read_config(parser, given.get("config")) if parser.has("save_config") else {}
    zoo.use_manifests(given.get("zoo_manifest") or config.get("zoo_manifest"))
    for settings in (config, given):
        if settings.get("load_model_path"):
            settings["load_model_path"] = zoo.local_path(settings["load_model_path"])
    asked = {**config, **given}
    if fetch and asked.get("zoo") and not asked.get("load_model_path") and not asked.get("random_weights"):
        asked["load_model_path"] = given["load_model_path"] = fetched_weights(asked["zoo"])
    resolution = resolve(given, defaults, use({**defaults, **asked}), config)
    _check_local_files(given)
    options = Options(**{**defaults, **asked, **resolution.values()})
    options.resolution = resolution
    if getattr(options, "num_threads", None):
        use_threads(options.num_threads)  # before an engine, and what it computes with, is imported
    return options


def _check_local_files(given: Mapping[str, Any]) -> None:
    """Raise UsageError for a --use_local_file=0 by hand where all data given is lists and folders, which hold paths."""
    data = [(flag, given[flag]) for flag in FLAGS if given.get(flag)]
    if data and given.get("use_local_file") == 0 and all(is_listed(path) for _, path in data):
        flag, path = data[0]
        what = "folder" if os.path.isdir(path) else "list"
        raise UsageError(
            f"--use_local_file=0 does not go with --{flag}={path}: the videos of a {what} are read from their paths; "
            "leave --use_local_file out"
        )


def fetched_weights(name: Optional[str]) -> Optional[str]:
    """The file of a published model, fetched by one of the processes of a machine; the others wait for it."""
    if name is None:
        return None
    row = zoo.find(name)
    while identity.world_size() > 1 and identity.local_rank() and zoo.cached(row) is None:
        time.sleep(0.5)
    return str(zoo.fetch(row))


def config_of(kind: type[Config], options: argparse.Namespace) -> Config:
    """The configuration of parsed options."""
    found = {name: getattr(options, name) for name in settings_of(kind) if hasattr(options, name)}
    if issubclass(kind, ZooSettings):
        found["resolution"] = getattr(options, "resolution", None)
    return kind(**found)


def save_config(options: argparse.Namespace, config: Settings) -> None:
    """Write --save_config where it is asked for; of several processes the first one does."""
    if options.save_config and not identity.rank():
        tool = Path(sys.argv[0]).stem.rpartition(" ")[2].replace("-", "_")  # of `vmz test-net` too
        flags = {name: value for name, value in config.flags().items() if hasattr(options, name)}
        write_json(options.save_config, {"tool": tool, "options": flags})


def _read_config(parser: Parser, path: Optional[str]) -> dict[str, Any]:
    """{setting: value} of --config, without what is null. Raises UsageError, naming the file, for what is none."""
    if path is None:
        return {}
    what = f"--config={path}"
    found = read_json(Path(path), what, dict)
    values = found.get("options", found)
    if not isinstance(values, dict):
        raise UsageError(f"{what}: options is {quoted(values)}, not an object of settings and their values")
    chosen = {}
    for name, value in values.items():
        if name not in parser.settings:
            close = difflib.get_close_matches(name, parser.settings, 1)
            hint = f"did you mean {close[0]}?" if close else "the file may belong to another tool"
            raise UsageError(f"{what}: {parser.prog} has no setting {quoted(name)}; {hint}")
        try:
            chosen[name] = parser.settings[name].checked(name, value)
        except UsageError as error:
            raise UsageError(f"{what}: {error}") from error
    return {name: value for name, value in chosen.items() if value is not None}


def require_checkpoint(options: argparse.Namespace) -> None:
    """Raise UsageError for a --load_model_path that is not there, in a tool that takes its settings and no weights."""
    path = options.load_model_path
    if path and not os.path.exists(path):
        raise UsageError(f"--load_model_path={path}: there is no such file")


def without_effect(given: Collection[str], engine: str, blended: bool = False) -> list[str]:
    """A line for each given flag that changes nothing here, or nothing beside the others that are given.

    blended: with Gradient-Blending.
    """
    names = [name for name in NO_EFFECT if name in given and not (blended and name in BLENDING)]
    unused = [name for name in names if engine != "caffe2" or name != "cudnn_workspace_limit_mb"]
    why = {name: NO_EFFECT[name] for name in unused}
    if "lr_milestones" in given and "step_epoch" in given:
        why["step_epoch"] = "--lr_milestones sets when the rate falls"
    if "warmup_epochs" not in given:
        idle = [name for name in ("gradual_warmup", "decay_after_warmup") if name in given]
        why.update(dict.fromkeys(idle, "there is no warm-up; --warmup_epochs sets one"))
    return [f"--{name} has no effect: {reason}" for name, reason in why.items()]
