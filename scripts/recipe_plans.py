#!/usr/bin/env python3
"""Write docs/reference/recipe_plans.md: the recipes of the original's scripts and the plan of each training recipe.

A plan is what train_net prints with --dry_run for the commands of the recipe on each number of GPUs.
"""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import recipe as recipes

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.cli.train_net import configuration
from vmz.files import atomic_write
from vmz.training.plan import Plan, make_plan

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "recipe_plans.md"
GPUS = (1, 8, 64)
EPOCHS = (1, 10, 11, 20, 45)
SETTINGS = ("published", "paper")

# Each script of the original (c2/scripts at HEAD) and its recipe.
SCRIPTS = {
    "create_hmdb51_lmdb.sh": "create_hmdb51",
    "create_hmdb51_lmdb_feature_extraction.sh": "create_hmdb51_extraction",
    "create_kinetics_lmdb.sh": "create_kinetics400",
    "create_kinetics_lmdb_feature_extraction.sh": "create_kinetics400_extraction",
    "create_ucf101_lmdb.sh": "create_ucf101",
    "dense_prediction.sh": "dense_kinetics400",
    "extract_feature_hmdb51.sh": "extract_hmdb51",
    "extract_feature_kinetics.sh": "extract_kinetics400",
    "extract_feature_kinetics_ircsn.sh": "extract_kinetics400_csn",
    "extract_feature_kinetics_of.sh": "extract_kinetics400_flow",
    "finetune_hmdb51.sh": "finetune_hmdb51",
    "finetune_ucf101.sh": "finetune_ucf101",
    "fuse_prediction.sh": "fuse_kinetics400",
    "test_irCSN_152_kinetics.sh": "test_kinetics400_csn",
    "test_r2plus1d_kinetics.sh": "test_kinetics400",
    "train_r2plus1d_kinetics.sh": "train_kinetics400",
}


@dataclass(frozen=True)
class Row:
    """A training recipe on so many GPUs. accumulation: batches of each GPU that make an iteration."""

    recipe: str
    settings: str
    made_for: int
    gpus: int
    accumulation: int
    plan: Plan

    def rates(self) -> list[float]:
        """At the first iteration of each of EPOCHS that the run has."""
        per_epoch = self.plan.iterations_per_epoch
        return [self.plan.schedule.rate((epoch - 1) * per_epoch + 1) for epoch in EPOCHS if epoch <= self.plan.epochs]


def rows() -> Iterator[Row]:
    """The plan of every training recipe with published settings or a paper's, on each number of GPUs."""
    for name, entry in recipes.recipes().items():
        for settings in SETTINGS:
            command = entry["commands"][0]
            if command["run"] == recipes.TRAIN and command.get(settings) is not None:
                yield from (row(name, settings, gpus) for gpus in GPUS)


def row(name: str, settings: str, gpus: int) -> Row:
    """One plan. Raises UsageError as the recipe does."""
    entry = recipes.find(name)
    choices = recipes.Choices(settings=settings, gpus=tuple(range(gpus)))
    with contextlib.redirect_stderr(io.StringIO()):  # that more GPUs raise the rate is what the page shows
        [step] = recipes.steps(entry, choices)
    script = next(place for place, word in enumerate(step.argv) if word.endswith(recipes.TRAIN))
    config = configuration(step.argv[script + 1 :])
    plan = make_plan(config, gpus)
    return Row(name, settings, recipes.devices_of(entry, settings), gpus, config.accumulation_steps, plan)


def page() -> str:
    """The page as Markdown."""
    lines = [
        "# Recipes and their plans",
        "",
        "This page lists the recipe of each original script, and the plan of each training recipe. To run a recipe see",
        "[recipes.md](../guide/recipes.md). `python scripts/recipe_plans.py --write` writes the page;",
        "`tests/scripts/test_recipe_plans.py` checks that it is current, and checks the learning rates independently.",
        "",
        "## Scripts of the original",
        "",
        "| c2/scripts | recipe | contents |",
        "|---|---|---|",
    ]
    for script, name in SCRIPTS.items():
        lines.append(f"| {script} | `{name}` | {recipes.find(name)['about']} |")
    lines += [
        "",
        "## Plans",
        "",
        "The plans that `train_net --dry_run` prints for the commands of a recipe. With fewer GPUs than the settings",
        "were made for, gradients are accumulated. With more GPUs the batch and the learning rate are larger, and the",
        "recipe warns. The last columns are the learning rates of the first iteration of epochs 1, 10, 11, 20 and 45.",
        "",
        "| recipe | settings | made for | GPUs | accumulation | clips per iteration | iterations per epoch | epochs | "
        + " | ".join(f"epoch {epoch}" for epoch in EPOCHS)
        + " |",
        "|---|---|" + "---:|" * (6 + len(EPOCHS)),
    ]
    for one in rows():
        rates = [f"{rate:.4g}" for rate in one.rates()]
        cells = [
            f"`{one.recipe}`", one.settings, one.made_for, one.gpus, one.accumulation, one.plan.clips_per_iteration,
            one.plan.iterations_per_epoch, one.plan.epochs, *rates, *["-"] * (len(EPOCHS) - len(rates)),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "## Notes on the settings", ""]
    for name, entry in recipes.recipes().items():
        for settings, what in entry.get("settings", {}).items():
            if not what.startswith("there is none"):
                lines.append(f"- `{name}`, {settings}: {what}.")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    parser = Parser(__doc__)
    parser.add_argument("--write", action="store_true", help=f"write docs/reference/{PAGE.name} instead of printing it")
    if parser.parse_args(argv).write:
        with atomic_write(PAGE, "w") as stream:
            stream.write(page())
    else:
        print(page(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main))
