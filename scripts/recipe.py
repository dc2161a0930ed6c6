#!/usr/bin/env python3
"""Recipes for Kinetics, HMDB51, UCF101 and Sports-1M: `list` them, `show NAME`, `run NAME --data_dir=FOLDER`."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import argparse
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from vmz import zoo
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.engines.registry import ENGINES, chosen_engine
from vmz.errors import UsageError, VmzError
from vmz.processes.signals import Stopped

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("recipes.json")
SETTINGS = ("published", "paper", "recommended")
TRAIN = "tools/train_net.py"
# What takes --gpus, and several of them by torchrun.
ON_DEVICES = (TRAIN, "tools/test_net.py", "tools/extract_features.py")
ASIDE = "Flags of the commands follow --: run train_kinetics400 --data_dir=... -- --precision=fp32"


@dataclass(frozen=True)
class Step:
    """A command line, and the file or folder that it makes, if it makes one that need not be made again."""

    argv: list[str]
    makes: Optional[Path]


@dataclass(frozen=True)
class Choices:
    """What fills a recipe's blanks. gpus: numbers, or () to leave the device to the tools."""

    data_dir: str = "DATA"
    runs: Optional[str] = None
    split: int = 1
    weights: Optional[str] = None
    settings: str = "recommended"
    gpus: tuple[int, ...] = ()
    engine: Optional[str] = None
    more: tuple[str, ...] = ()


def recipes() -> dict[str, Any]:
    """The table."""
    return dict(json.loads(TABLE.read_text(encoding="utf-8"))["recipes"])


def find(name: str) -> dict[str, Any]:
    """A recipe. UsageError listing all when there is none of that name."""
    table = recipes()
    if name not in table:
        raise UsageError(f"no recipe is called {name!r}; there are {', '.join(table)}")
    return dict(table[name])


def steps(recipe: Mapping[str, Any], choices: Choices) -> list[Step]:
    """The commands of a recipe, after those of the recipes that come before it.

    Raises UsageError for settings that there are none of, and for GPUs that cannot stand for those of the settings.
    """
    commands = _commands(recipe, choices)
    on_devices = any(command["run"] in ON_DEVICES for command, _, _ in commands)
    found: list[Step] = []
    for command, owner, blanks in commands:
        flags = settle(command, choices.settings)
        if choices.engine == "caffe2" and "precision" in flags:
            print(f"note: --precision={flags.pop('precision')} is left out: Caffe2 trains in fp32", file=sys.stderr)
        argv = [sys.executable, *_launcher(command["run"], choices), str(ROOT / command["run"])]
        argv += [_flag(name, value, blanks) for name, value in flags.items()]
        if command["run"] in ON_DEVICES:
            argv += _devices(owner, command["run"], flags, choices)
        if command["run"] in ON_DEVICES or not on_devices:
            argv += choices.more
        makes = command.get("makes")
        makes = flags.get(makes, makes)  # a path, or the flag that has it
        step = Step(argv, Path(makes.format(**blanks)) if makes else None)
        if step not in found:  # two recipes that come before may have one before them in common
            found.append(step)
    return found


def _commands(recipe: Mapping[str, Any], choices: Choices) -> list[tuple[Mapping[str, Any], Mapping[str, Any], Any]]:
    """(command, its recipe, its blanks), those of `before` first; with `each`, once for each number."""
    blanks = fill_blanks(recipe, choices)
    found = []
    for name in recipe.get("before", ()):
        own = replace(choices, weights=blanks["weights"]) if "weights" in recipe else choices
        found += _commands(find(name), own)
    for command in recipe["commands"]:
        [(blank, count)] = command.get("each", {"part": 1}).items()
        found += [(command, recipe, {**blanks, blank: str(number)}) for number in range(1, count + 1)]
    return found


def settle(command: Mapping[str, Any], settings: str) -> dict[str, Any]:
    """The flags of a command: those of all settings, the published ones, and what is changed of them.

    The paper's are changes of the published ones where there are any. The recommended ones are changes of those, or
    where nothing was published of the paper's. null takes a flag away.
    """
    published, paper = command.get("published", {}), command.get("paper", {})
    of = {"published": published, "paper": paper}
    if settings in of and of[settings] is None:
        there = [name for name in SETTINGS if name not in of or of[name] is not None]
        what = "a script of the original has" if settings == "published" else "a paper states"
        raise UsageError(f"there are no settings that {what} for this; give --settings={' or '.join(there)}")
    layers = [command["flags"], published or {}]
    if settings == "paper" or published is None:
        layers.append(paper or {})
    if settings == "recommended":
        layers.append(command.get("recommended", {}))
    flags = {name: value for layer in layers for name, value in layer.items()}
    return {name: value for name, value in flags.items() if value is not None}


def devices_of(recipe: Mapping[str, Any], settings: str) -> int:
    """The GPUs that the settings of a recipe were made for."""
    devices = recipe.get("devices", 1)
    return int(devices[settings] if isinstance(devices, Mapping) else devices)


def fill_blanks(recipe: Mapping[str, Any], choices: Choices) -> dict[str, str]:
    """What stands for {data_dir}, {runs}, {split}, {settings}, {weights} and {network}, the name of the weights' file.

    Raises UsageError where the weights are in no table and --weights does not name them.
    """
    blanks = {
        "data_dir": choices.data_dir,
        "runs": choices.runs or f"{choices.data_dir}/runs",
        "split": str(choices.split),
        "settings": choices.settings,
    }
    weights = recipe.get("weights", "")
    if weights is None and choices.weights is None:
        raise UsageError("the weights of this recipe are in no published table; name a checkpoint with --weights")
    if choices.weights is not None:
        weights = choices.weights
    elif weights and "{" not in weights:
        weights = f"{choices.data_dir}/{zoo.find(weights).file}"
    weights = weights.format(**blanks) if choices.weights is None else weights
    return {**blanks, "weights": weights, "network": Path(weights).stem}


def _flag(name: str, value: Any, blanks: Mapping[str, str]) -> str:
    if value is True:
        return f"--{name}"
    return f"--{name}={value.format(**blanks) if isinstance(value, str) else value}"


def _launcher(tool: str, choices: Choices) -> list[str]:
    """PyTorch has a process a GPU, which torchrun starts."""
    if tool not in ON_DEVICES or len(choices.gpus) < 2 or choices.engine == "caffe2":
        return []
    return ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={len(choices.gpus)}"]


def _devices(recipe: Mapping[str, Any], tool: str, settings: Mapping[str, Any], choices: Choices) -> list[str]:
    """The GPUs to use; in training, so many batches an iteration that they count as the devices of the recipe.

    More GPUs than those raise the batch and the rate, which is said on stderr.
    """
    flags = [] if choices.engine is None else [f"--engine={choices.engine}"]
    if choices.gpus:
        flags.append(f"--gpus={','.join(map(str, choices.gpus))}")
    count, meant = max(len(choices.gpus), 1), devices_of(recipe, choices.settings)
    own = {word.partition("=")[0] for word in choices.more}
    if tool != TRAIN or count == meant or {"--batch_size", "--base_learning_rate"} <= own:
        return flags
    batch, rate = settings["batch_size"], settings["base_learning_rate"]
    if count > meant:
        print(
            f"warning: the settings are made for {meant} GPUs; {count} raise the batch from {batch * meant} to "
            f"{batch * count} clips and the learning rate from {rate * meant:g} to {rate * count:g}",
            file=sys.stderr,
        )
    elif meant % count:
        raise UsageError(
            f"the settings are made for {meant} GPUs, which {count} cannot stand for; give a divisor of {meant}"
        )
    elif choices.engine == "caffe2":
        share = meant // count
        raise UsageError(
            f"the settings are made for {meant} GPUs, and Caffe2 cannot accumulate batches: {count} would train on "
            f"{batch * count} clips an iteration at the rate {rate * count:g}, not on {batch * meant} at "
            f"{rate * meant:g}. "
            f"Take {meant} GPUs or --engine=pytorch, or larger batches: ... -- --batch_size={batch * share} "
            f"--base_learning_rate={rate * share:g} (batch norm then sees {batch * share} clips, not {batch})"
        )
    else:
        flags.append(f"--accumulation_steps={meant // count}")
    return flags


def run(recipe: Mapping[str, Any], choices: Choices, dry_run: bool) -> int:
    """Print the commands and, but for a dry run, run them, except what is made already; stops at the first failure."""
    if not dry_run:
        Path(fill_blanks(recipe, choices)["runs"]).mkdir(parents=True, exist_ok=True)
    for step in steps(recipe, choices):
        if step.makes is not None and step.makes.exists():
            print(f"# {step.makes} exists already", flush=True)
            continue
        print(shlex.join(step.argv), flush=True)
        if not dry_run:
            if step.makes is not None:
                step.makes.parent.mkdir(parents=True, exist_ok=True)
            status = _run(step.argv)
            if status:
                raise VmzError(f"{Path(step.argv[1]).name} ended with status {status}; the recipe stops there")
    return 0


def _run(argv: Sequence[str]) -> int:
    """Run a command to its end. Ctrl-C and SIGTERM go on to it, once: it cleans up, or writes its checkpoint, and ends.

    It has a session of its own, so that a terminal does not interrupt it a second time.
    """
    child: Optional[subprocess.Popen[bytes]] = None
    came: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        came.append(number)
        if child is not None and child.poll() is None:
            child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        child = subprocess.Popen(argv, start_new_session=True)
        if came:  # before it was there
            child.send_signal(came[0])
        status = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise Stopped(f"stopped by {signal.Signals(came[0]).name}; the same command resumes from there", came[0])
    return status


def page(name: str, recipe: Mapping[str, Any]) -> str:
    """Everything about a recipe."""
    lines = [f"{name}: {recipe['about']}", f"source      {recipe['source']}"]
    lines += [f"first       {other}, unless done" for other in recipe.get("before", ())]
    lines += [f"needs       {path}: {what}" for path, what in recipe.get("needs", {}).items()]
    weights = recipe.get("weights", "")
    if weights is None:
        lines.append("weights     are in no published table: name a checkpoint with --weights")
    elif weights:
        row = zoo.find(weights) if "{" not in weights else None
        lines.append(f"weights     {{weights}} is {weights}" + (f", {row.file} from {row.url}" if row else ""))
    if recipe.get("devices"):
        made = {settings: devices_of(recipe, settings) for settings in _settings_of(recipe)}
        text = ", ".join(f"{settings} {count}" for settings, count in made.items())
        text = str(recipe["devices"]) if len(set(made.values())) == 1 else text
        lines.append(f"made for    {text} GPUs; with fewer, --accumulation_steps makes up for the others")
    for key, title in (("frames_per_second", "frames/s"), ("frames", "frames")):
        if key in recipe:
            lines.append(f"{title:12}{recipe[key]}")
    for settings, what in recipe.get("settings", {}).items():
        lines.append(f"{settings:12}{what}")
    if "expected" in recipe:
        figures = ", ".join(f"{figure} {value}" for figure, value in recipe["expected"].items() if figure != "source")
        lines.append(f"figures     published: {figures} ({recipe['expected']['source']})")
    for command in recipe["commands"]:
        lines += ["", command["run"] + "".join(f", {n} times" for n in command.get("each", {}).values())]
        for title, flags in (("", command["flags"]), *((key, command.get(key)) for key in SETTINGS)):
            if flags:
                lines.append(f"  {title or 'always'}")
                lines += [
                    f"    --{flag}" if value is True else f"    --{flag}={value}" for flag, value in flags.items()
                ]
            elif flags is None and title in command:
                lines.append(f"  {title}: there is nothing")
    if recipe.get("why"):
        lines += ["", "why", *(f"  {flag}: {reason}" for flag, reason in recipe["why"].items())]
    return "\n".join(lines)


def _settings_of(recipe: Mapping[str, Any]) -> list[str]:
    """The settings that all commands of a recipe have."""
    commands = recipe["commands"]
    return [name for name in SETTINGS if all(command.get(name, {}) is not None for command in commands)]


def gpu_numbers(text: str) -> tuple[int, ...]:
    """GPUs as 0,1,2 or 0-7."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found += range(int(first), int(last or first) + 1)
    except ValueError:
        found = []
    if not found or len(set(found)) != len(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of GPUs, such as 0,1 or 0-7")
    return tuple(found)


def parser() -> Parser:
    flags = Parser(description=__doc__, epilog=ASIDE)
    commands = flags.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="one line a recipe", description="One line a recipe.")
    showing = commands.add_parser("show", help="all about one recipe", description="All about one recipe.")
    showing.add_argument("name")
    running = commands.add_parser("run", help="run its commands", description="Run the commands of a recipe.")
    running.add_argument("name")
    running.add_argument("--data_dir", required=True, help="folder of lists, videos, databases and weights (see show)")
    running.add_argument("--runs", help="folder of checkpoints and results; <data_dir>/runs when not given")
    running.add_argument(
        "--settings",
        choices=SETTINGS,
        default="recommended",
        help="published: of the original's script; paper: what the paper states; recommended: with today's changes",
    )
    running.add_argument("--split", type=int, choices=(1, 2, 3), default=1, help="of HMDB51 and UCF101")
    running.add_argument("--weights", help="checkpoint to start from or to test, in place of the recipe's")
    running.add_argument("--gpus", type=gpu_numbers, default=(), help="GPUs, such as 0,1 or 0-7")
    running.add_argument(
        "--engine",
        choices=ENGINES,
        default=chosen_engine(),
        help="of training and testing; not given: that of the environment variable VMZ_ENGINE, or pytorch",
    )
    running.add_argument("--dry_run", action="store_true", help="print the commands only")
    return flags


def main(argv: Sequence[str]) -> int:
    arguments, more = list(argv), ()
    if "--" in arguments:
        at = arguments.index("--")
        arguments, more = arguments[:at], tuple(arguments[at + 1 :])
    options = parser().parse_args(arguments)
    if options.command == "list":
        table = recipes()
        print("\n".join(f"{name:{max(map(len, table))}}  {recipe['about']}" for name, recipe in table.items()))
        return 0
    recipe = find(options.name)
    if options.command == "show":
        print(page(options.name, recipe))
        return 0
    names = ("data_dir", "runs", "split", "weights", "settings", "gpus", "engine")
    return run(recipe, Choices(**{name: getattr(options, name) for name in names}, more=more), options.dry_run)


if __name__ == "__main__":
    sys.exit(run_tool(main))
