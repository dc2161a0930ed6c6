"""Weights of Gradient-Blending, from the history of a training: how much each head generalises and overfits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.errors import UsageError
from vmz.files import write_json
from vmz.netdef.blended_heads import HEADS
from vmz.outputs import Output, in_progress
from vmz.settings.kinds import Number, not_negative, positive
from vmz.training.blending import (
    LEAST_OVERFITTING,
    Blend,
    Curve,
    blend,
    curve_of_one,
    curves_of_blended,
    last_common_epoch,
    super_epochs,
)


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), "tools/gblend_weights.py run.json --every=10")
    parser.add_argument(
        "history", nargs="?", metavar="FILE", help="written by train_net.py --g_blend=1 --test_data=... --output=FILE"
    )
    for head, network in zip(HEADS, ("a_resnet", "the network of the pictures alone", "av_resnet-*")):
        parser.add_argument(
            f"--{head}", metavar="FILE", help=f"instead, the histories of separate trainings: of {network}"
        )
    parser.add_argument(
        "--from_epoch",
        type=not_negative,
        default=0,
        metavar="N",
        help="offline: the first checkpoint; 0: before training, where the losses are those of chance",
    )
    parser.add_argument(
        "--to_epoch", type=positive, metavar="N", help="offline: the second; by default the last epoch with losses"
    )
    parser.add_argument(
        "--every", type=positive, metavar="N", help="online: estimate anew after every N epochs, from these N epochs"
    )
    parser.add_argument(
        "--least_overfitting",
        type=Number(1e-9, 1e3),
        default=LEAST_OVERFITTING,
        metavar="NATS",
        help="an overfitting that is smaller counts as this, for it is noise, and would get all the weight",
    )
    parser.add_argument("--output", metavar="FILE", help="results as JSON")
    options = parser.parse_args(list(argv))
    with in_progress(Output("--output", options.output), options=options):
        return run(options)


def run(options: argparse.Namespace) -> int:
    found = _blends(options, _curves(options))
    print("\n".join(line for one in found for line in one.lines()), flush=True)
    result = {"blends": [one.to_json() for one in found], "flags": found[-1].flags}
    return write_each(lambda: write_json(options.output, result)) if options.output else 0


def _curves(options: argparse.Namespace) -> dict[str, Curve]:
    separate = {head: getattr(options, head) for head in HEADS}
    given = [head for head, path in separate.items() if path]
    if bool(options.history) == bool(given) or (given and len(given) < len(HEADS)):
        raise UsageError(
            "give the history of one training with --g_blend=1, or those of three by --audio, --visual and --joint"
        )
    if options.history:
        return curves_of_blended(Path(options.history))
    return {head: curve_of_one(Path(path)) for head, path in separate.items()}


def _blends(options: argparse.Namespace, curves: dict[str, Curve]) -> list[Blend]:
    if options.every:
        if options.from_epoch or options.to_epoch:
            raise UsageError("--every estimates over all epochs; leave --from_epoch and --to_epoch out")
        return super_epochs(curves, options.every, options.least_overfitting)
    last = options.to_epoch or last_common_epoch(curves)
    return [blend(curves, options.from_epoch, last, options.least_overfitting)]


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
