#!/usr/bin/env python3
"""Train or fine-tune a network on an LMDB of videos, as published or with today's additions."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import _find_vmz  # noqa: F401

from vmz.files import check_outputs, write_json
from vmz.workflows import distributed, training_plan
from vmz.workflows.command import run_tool
from vmz.workflows.launch import launch
from vmz.workflows.options import parse, train_parser, without_effect
from vmz.workflows.settings_report import announce
from vmz.workflows.train import dry_run, train


def main(argv: Sequence[str]) -> int:
    parser = train_parser(__doc__)
    parser.add_argument("--dry_run", action="store_true", help="print the plan and stop; needs no data")
    parser.add_argument("--output", metavar="FILE", help="the result (or the plan) as JSON")
    options = parse(parser, argv)
    check_outputs(options, ["output", "report"])
    if distributed.rank() == 0:
        for line in without_effect(parser.given(argv), options.engine):
            print(line, file=sys.stderr)
    if options.dry_run:
        announce(options)
        result = dry_run(options)
        print(training_plan.text(result))
    else:
        # Caffe2 trains on several GPUs in one process.
        status = launch(options, argv) if options.engine == "pytorch" else None
        if status is not None:
            return status
        announce(options)
        trained = train(options)
        result = trained.to_json()
        if trained.is_first:
            print(trained.text())
    if options.output and (options.dry_run or trained.is_first):
        write_json(options.output, result)
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main, several=True))
