#!/usr/bin/env python3
"""The demo's last lines: the figures of its evaluation and, where real Caffe2 ran it too, how the two engines compare.

Usage: summary.py OUTPUT_FOLDER; reads results.json and, if they are there, results_caffe2.json and both scores*.npz.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vmz.cli.shared.running import run_tool
from vmz.errors import VmzError


def main(argv: Sequence[str]) -> int:
    folder = Path(argv[0])
    ours = json.loads((folder / "results.json").read_text())
    print(", ".join(f"{name} {value:.3f}" for name, value in ours["figures"].items()))
    if (folder / "results_caffe2.json").is_file():
        print(compare(folder, ours, json.loads((folder / "results_caffe2.json").read_text())))
    print(
        f"chance is 0.125, 0.125 and 0.625; everything about this run: {folder / 'results.json'}, and to look at: "
        f"{folder / 'report.html'}"
    )
    return 0


def compare(folder: Path, ours: dict[str, Any], caffe2: dict[str, Any]) -> str:
    """Both result lines with the time of each, and the largest difference of any class's score of any clip."""
    lines = [line("PyTorch", ours), line("Caffe2", caffe2)]
    with np.load(folder / "scores.npz") as one, np.load(folder / "scores_caffe2.npz") as other:
        if one["key"].tolist() != other["key"].tolist():
            raise VmzError(f"the engines scored other videos, or in another order; compare the files in {folder}")
        difference = float(np.abs(one["softmax"] - other["softmax"]).max())
        clips, classes = one["softmax"].shape
    return "\n".join([*lines, f"largest score difference {difference:.1e}, of {clips} clips x {classes} classes"])


def line(engine: str, results: dict[str, Any]) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in results["figures"].items())
    return f"{engine:8}{figures}; {results['seconds']['run']:.1f} s, torch {results['environment']['torch']}"


if __name__ == "__main__":
    sys.exit(run_tool(main))
