#!/usr/bin/env python3
"""Recipes for Kinetics, HMDB51, UCF101 and Sports-1M: `list` them, `show NAME`, `run NAME --data_dir=FOLDER`."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import _find_vmz  # noqa: F401

from vmz import zoo
from vmz.engines.registry import ENGINES, chosen_engine
from vmz.errors import UsageError, VmzError
from vmz.workflows.command import Parser, run_tool

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("recipes.json")
SETTINGS = ("published", "recommended")
ON_DEVICES = ("tools/train_net.py", "tools/test_net.py")  # what takes --gpus, and several of them by torchrun
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
    """The commands of a recipe. UsageError for published settings where none were published."""
    blanks = fill_blanks(recipe, choices)
    found = []
    for command in recipe["commands"]:
        flags = settle(command, choices.settings)
        argv = [sys.executable, *_launcher(command["run"], choices), str(ROOT / command["run"])]
        argv += [_flag(name, value, blanks) for name, value in flags.items()]
        if command["run"] in ON_DEVICES:
            argv += _devices(recipe, command["run"], choices)
        argv += choices.more
        found.append(Step(argv, Path(command["makes"].format(**blanks)) if "makes" in command else None))
    return found


def settle(command: Mapping[str, Any], settings: str) -> dict[str, Any]:
    """The flags of a command: those of both settings, the published ones, and what is changed of them today."""
    published = command.get("published", {})
    if settings == "published":
        if published is None:
            raise UsageError("no settings were ever published for this; take --settings=recommended")
        return {**command["flags"], **published}
    flags = {**command["flags"], **(published or {}), **command.get("recommended", {})}
    return {name: value for name, value in flags.items() if value is not None}


def fill_blanks(recipe: Mapping[str, Any], choices: Choices) -> dict[str, str]:
    """What stands for {data_dir}, {runs}, {split}, {settings} and {weights}."""
    blanks = {
        "data_dir": choices.data_dir,
        "runs": choices.runs or f"{choices.data_dir}/runs",
        "split": str(choices.split),
        "settings": choices.settings,
    }
    weights = recipe.get("weights", "")
    if choices.weights is not None:
        weights = choices.weights
    elif weights and "{" not in weights:
        weights = f"{choices.data_dir}/{zoo.find(weights).file}"
    return {**blanks, "weights": weights.format(**blanks) if choices.weights is None else weights}


def _flag(name: str, value: Any, blanks: Mapping[str, str]) -> str:
    if value is True:
        return f"--{name}"
    return f"--{name}={value.format(**blanks) if isinstance(value, str) else value}"


def _launcher(tool: str, choices: Choices) -> list[str]:
    """PyTorch has a process a GPU, which torchrun starts."""
    if tool not in ON_DEVICES or len(choices.gpus) < 2 or choices.engine == "caffe2":
        return []
    return ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={len(choices.gpus)}"]


def _devices(recipe: Mapping[str, Any], tool: str, choices: Choices) -> list[str]:
    """The GPUs to use; in training, so many batches an iteration that they count as the devices of the recipe."""
    flags = [] if choices.engine is None else [f"--engine={choices.engine}"]
    if choices.gpus:
        flags.append(f"--gpus={','.join(map(str, choices.gpus))}")
    count, meant = max(len(choices.gpus), 1), recipe.get("devices", 1)
    if tool == "tools/train_net.py" and choices.engine != "caffe2" and count < meant:
        if meant % count:
            raise UsageError(
                f"the settings are made for {meant} GPUs, which {count} cannot stand for; give a divisor of {meant}"
            )
        flags.append(f"--accumulation_steps={meant // count}")
    return flags


def run(recipe: Mapping[str, Any], choices: Choices, dry_run: bool) -> int:
    """Print the commands and, but for a dry run, run them, except what is made already; stops at the first failure."""
    if not dry_run:
        Path(fill_blanks(recipe, choices)["runs"]).mkdir(parents=True, exist_ok=True)
    for step in steps(recipe, choices):
        if step.makes is not None and step.makes.exists():
            print(f"# {step.makes} is there already", flush=True)
            continue
        print(shlex.join(step.argv), flush=True)
        if not dry_run:
            status = subprocess.run(step.argv, check=False).returncode
            if status:
                raise VmzError(f"{Path(step.argv[1]).name} ended with status {status}; the recipe stops there")
    return 0


def page(name: str, recipe: Mapping[str, Any]) -> str:
    """Everything about a recipe."""
    lines = [f"{name}: {recipe['about']}", f"source      {recipe['source']}"]
    lines += [f"needs       {path}: {what}" for path, what in recipe.get("needs", {}).items()]
    weights = recipe.get("weights")
    if weights:
        row = zoo.find(weights) if "{" not in weights else None
        lines.append(f"weights     {{weights}} is {weights}" + (f", {row.file} from {row.url}" if row else ""))
    if recipe.get("devices"):
        lines.append(f"made for    {recipe['devices']} GPUs; with fewer, --accumulation_steps makes up for the others")
    if "expected" in recipe:
        figures = ", ".join(f"{figure} {value}" for figure, value in recipe["expected"].items() if figure != "source")
        lines.append(f"published   {figures} ({recipe['expected']['source']})")
    for command in recipe["commands"]:
        lines += ["", command["run"]]
        for title, flags in (("", command["flags"]), *((key, command.get(key)) for key in SETTINGS)):
            if flags:
                lines.append(f"  {title or 'always'}")
                lines += [
                    f"    --{flag}" if value is True else f"    --{flag}={value}" for flag, value in flags.items()
                ]
            elif flags is None and title in command:
                lines.append(f"  {title}: nothing was")
    if recipe.get("why"):
        lines += ["", "why", *(f"  {flag}: {reason}" for flag, reason in recipe["why"].items())]
    return "\n".join(lines)


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
        raise argparse.ArgumentTypeError(f"{text!r} is no list of GPUs, such as 0,1 or 0-7")
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
    running.add_argument("--settings", choices=SETTINGS, default="recommended")
    running.add_argument("--split", type=int, choices=(1, 2, 3), default=1, help="of HMDB51 and UCF101")
    running.add_argument("--weights", help="checkpoint to start from or to test, in place of the recipe's")
    running.add_argument("--gpus", type=gpu_numbers, default=(), help="GPUs, as 0,1 or 0-7")
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
