#!/usr/bin/env python3
"""Train or fine-tune a network on an LMDB of videos, as published or with today's additions."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from vmz.cli.command import run_tool, write_each
from vmz.cli.launch import launch
from vmz.cli.options import parse, train_parser, without_effect
from vmz.cli.settings_report import announce
from vmz.files import write_json
from vmz.outputs import Output, in_progress
from vmz.processes import group
from vmz.training.plan import text as plan_text
from vmz.training.run import dry_run, train


def main(argv: Sequence[str]) -> int:
    parser = train_parser(__doc__)
    parser.add_argument("--dry_run", action="store_true", help="print the plan and stop; needs no data")
    parser.add_argument("--output", metavar="FILE", help="the result (or the plan) as JSON")
    options = parse(parser, argv)
    if group.rank() == 0:
        for line in without_effect(parser.given(argv), options.engine):
            print(line, file=sys.stderr)
    if options.dry_run:
        announce(options)
        with in_progress(Output("--output", options.output), options=options):
            plan = dry_run(options)
            print(plan_text(plan), flush=True)
            return written(options.output, plan)
    else:
        # Caffe2 trains on several GPUs in one process.
        status = launch(options, argv) if options.engine == "pytorch" else None
        if status is not None:
            return status
        announce(options)
        with in_progress(Output("--output", options.output), Output("--report", options.report), options=options):
            trained = train(options)
            if not trained.is_first:
                return 0
            print(trained.text(), flush=True)
            for line in trained.not_written:
                print(f"error: {line}", file=sys.stderr)
            return max(bool(trained.not_written), written(options.output, trained.to_json()))
    return 0


def written(path: Optional[str], result: Mapping[str, Any]) -> int:
    """Write --output where it is asked for; the exit status."""
    return write_each(lambda: write_json(path, result)) if path else 0


if __name__ == "__main__":
    sys.exit(run_tool(main, several=True))
