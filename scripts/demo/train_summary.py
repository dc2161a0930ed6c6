#!/usr/bin/env python3
"""The last lines of `make demo-train`: the curve, and the figures of every evaluation of what was trained."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from vmz.cli.shared.running import run_tool
from vmz.errors import VmzError

ENOUGH = 0.9  # video@1; chance is 0.125


def main(argv: Sequence[str]) -> int:
    folder = Path(argv[0])
    training = json.loads((folder / "trained_training.json").read_text())
    losses = [point["loss"] for point in training["points"]]
    print(
        f"loss {losses[0]:.2f} {sparkline(losses)} {losses[-1]:.2f}; the page: {folder / 'train_run' / 'curves.html'}"
    )
    found = {"training": training["epochs"][-1]["figures"]}
    for engine in ("pytorch", "caffe2"):
        path = folder / f"trained_{engine}.json"
        if path.exists():
            found[engine] = json.loads(path.read_text())["figures"]
    for name, figures in found.items():
        print(f"{name:9}" + ", ".join(f"{figure} {value:.4f}" for figure, value in figures.items()))
    if any(figures != found["training"] for figures in found.values()):
        raise VmzError(f"the evaluations of one checkpoint differ; compare the files {folder}/trained_*.json")
    if found["training"]["video@1"] < ENOUGH:
        raise VmzError(f"video@1 is below {ENOUGH}: the network has not learnt what it should")
    return 0


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """The values as a line of bars, the mean of neighbours where there are more than `width`."""
    count = min(width, len(values))
    means = []
    for bar in range(count):
        part = values[bar * len(values) // count : (bar + 1) * len(values) // count]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    bars = "▁▂▃▄▅▆▇█"
    return "".join(bars[round((value - low) / ((high - low) or 1) * (len(bars) - 1))] for value in means)


if __name__ == "__main__":
    sys.exit(run_tool(main))
