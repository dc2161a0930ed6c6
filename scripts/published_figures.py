#!/usr/bin/env python3
"""Compare GFLOPs and parameters of our nets with every figure the published tables print, and write the table.

Each row of the zoo that prints a figure is built (nothing is run), and its multiply-adds and weights are counted over
the NetDef at the crop at which the published figure was measured. Exit status 1 when a figure differs by more than its
printed digits allow and no cause is known, with the row named.
"""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from vmz import zoo
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.errors import VmzError
from vmz.files import atomic_write
from vmz.models.config import CONVOLUTIONAL_CROPS, ModelConfig
from vmz.models.registry import build
from vmz.netdef import analysis

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "published_figures.md"
HALF_A_DIGIT = 0.05 + 1e-9  # the tables print one decimal

# Printed figures that cannot be met, with the cause. A row here must differ, or the script fails too.
EXPLAINED = {
    "r2plus1d_34_clip8_ft_kinetics_from_ig65m": (
        "the published 49.8 was rounded twice, from 49.75. Our count is 49.74956; 49.75 is also a quarter of the "
        "199.0 published for the same network at 32 frames, which is equal to ours"
    ),
}


@dataclass(frozen=True)
class Comparison:
    """One row: what the table prints and what our net counts (G multiply-adds a clip, M parameters)."""

    row: zoo.ZooRow
    crop: int
    clip: int
    gmacs: float
    params_m: float

    @property
    def equal(self) -> bool:
        """Whether the printed figures are met."""
        pairs = ((self.row.published.gflops, self.gmacs), (self.row.published.params_m, self.params_m))
        return all(abs(ours - printed) <= HALF_A_DIGIT for printed, ours in pairs if printed is not None)


def compare(row: zoo.ZooRow) -> Comparison:
    """Build the net of `row` at the crop its GFLOPs were counted at, and count."""
    flags = zoo.flags(row)
    clip = int(flags["clip_length_of" if flags["input_type"] == 1 else "clip_length_rgb"])
    crop = row.published.gflops_crop_size or int(flags["crop_size"])
    arguments: dict[str, Any] = {
        key: flags[key] for key in ("model_name", "model_depth", "num_labels", "num_channels", "use_pool1")
    }
    config = ModelConfig(
        **arguments, crop_size=crop, clip_length=clip, use_convolutional_pred=crop in CONVOLUTIONAL_CROPS
    )
    model = build(config)
    inputs = {**model.input_shapes(), model.blob("label"): (1,)}
    totals = analysis.totals(analysis.analyse(model.net, model.param_init_net, inputs))
    return Comparison(row, crop, clip, totals.gmacs, totals.params_m)


def compare_all() -> list[Comparison]:
    """Every row that prints GFLOPs or parameters, in the order of the tables."""
    return [compare(row) for row in zoo.rows() if (row.published.gflops, row.published.params_m) != (None, None)]


def page(found: Sequence[Comparison]) -> str:
    """The table as Markdown."""
    others = [one for one in found if not one.equal]
    lines = [
        "# Published GFLOPs and parameters compared with ours",
        "",
        "This page compares the published GFLOPs and parameters of every model with those of our NetDefs.",
        "`python scripts/published_figures.py --write` writes it; `tests/zoo` checks that it is current.",
        "",
        "GFLOPs are the multiply-adds (1e9) of Conv and FC for one clip. Parameters (1e6) are the weights of Conv and",
        "FC. Both are counted over our NetDef in the same way as in the original's `GetFlopsAndParams`. `crop` is the",
        "crop at which the published figure was measured. The published table sometimes names another: model_zoo.md",
        "prints 112 for R(2+1)D-34 and R(2+1)D-152 and 224 for CSN, but its figures belong to the fully convolutional",
        "test at 128 and 256.",
        "",
        f"{len(found) - len(others)} of {len(found)} rows are equal within the printed digits.",
        "",
        *(f"- {one.row.name}: {EXPLAINED.get(one.row.name, 'differs, cause unknown')}." for one in others),
        "",
        "| model | clip | crop | GFLOPs published | ours | params (M) published | ours | result |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for one in found:
        verdict = "equal" if one.equal else "**differs**"
        printed = one.row.published
        lines.append(
            f"| {one.row.name} | {one.clip} | {one.crop} | {shown(printed.gflops, 1)} | {shown(one.gmacs, 3)} | "
            f"{shown(printed.params_m, 1)} | {shown(one.params_m, 3)} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def shown(value: Optional[float], digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser("Compare published GFLOPs and parameters with what our nets count.")
    parser.add_argument("--write", action="store_true", help=f"write docs/reference/{PAGE.name} instead of printing it")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    found = compare_all()
    if options.write:
        with atomic_write(PAGE, "w") as stream:
            stream.write(page(found))
    else:
        print(page(found), end="")
    differing = {one.row.name for one in found if not one.equal}
    unexpected = sorted(differing ^ EXPLAINED.keys())
    if unexpected:
        names = ", ".join(unexpected)
        raise VmzError(f"{names}: not what the tables print and EXPLAINED says; look at the crop, pool1 and num_labels")
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main))
