#!/usr/bin/env python3
"""The last lines of `make demo-sound`: the four trainings in one table; before, the flags of Gradient-Blending."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vmz.cli.shared.running import run_tool
from vmz.errors import VmzError

RUNS = {
    "audio": "sound alone",
    "visual": "pictures alone",
    "joint": "both, plain training",
    "blended": "both, Gradient-Blending",
}
ALONE, TOGETHER = 0.7, 0.9  # video@1: what one of the two must stay below, and both reach; chance is 0.25


def main(argv: Sequence[str]) -> int:
    what, folder = argv[0], Path(argv[1])
    if what == "flags":
        flags = json.loads((folder / "sound_weights.json").read_text())["flags"]
        print(" ".join(f"--{name}={value}" for name, value in flags.items()))
        return 0
    found = {run: json.loads((folder / f"sound_{run}.json").read_text()) for run in RUNS}
    print("\n".join(table(found)))
    scores = {run: result["epochs"][-1]["figures"]["video@1"] for run, result in found.items()}
    for run, score in scores.items():
        alone = run in ("audio", "visual")
        if (alone and score >= ALONE) or (not alone and score <= TOGETHER):
            bound = f"below {ALONE}" if alone else f"above {TOGETHER}"
            raise VmzError(f"video@1 of {RUNS[run]} is {score:.4f}, not {bound}")
    return 0


def table(found: dict[str, Any]) -> list[str]:
    """A row for each training: the last epoch's test, and the losses that Gradient-Blending is estimated from."""
    rows = ["| network sees | video@1 | test loss | training loss |", "|---|---|---|---|"]
    for run, result in found.items():
        last = result["epochs"][-1]
        loss = last["heads"]["joint"]["loss"] if "heads" in last else last["loss"]
        rows.append(f"| {RUNS[run]} | {last['figures']['video@1']:.4f} | {last['test_loss']:.3f} | {loss:.3f} |")
    flags = found["blended"]["options"]
    weights = (f"{head} {flags[name]:.3f}" for head, name in zip(("audio", "visual", "joint"), WEIGHTS))
    return [*rows, f"weights of Gradient-Blending: {', '.join(weights)}"]


WEIGHTS = ("audio_weight", "visual_weight", "av_weight")

if __name__ == "__main__":
    sys.exit(run_tool(main))
