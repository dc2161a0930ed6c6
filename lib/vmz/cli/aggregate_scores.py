"""Figures from the scores that test_net.py --save_scores kept: another aggregation, or several files as one run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.evaluation.aggregation import aggregate_files
from vmz.evaluation.config import TestSettings
from vmz.file_formats.class_names import read_label_names
from vmz.files import write_json
from vmz.outputs import Output, in_progress
from vmz.settings.kinds import positive, switch
from vmz.settings.setting import settings_of


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), "tools/aggregate_scores.py scores.npz --aggregation=1")
    parser.add_argument("scores", nargs="+", metavar="FILE", help="written by --save_scores; several: shards of a run")
    parser.add_argument(
        "--aggregation",
        type=int,
        choices=(0, 1),
        help="a video's score over its clips: 0 their mean, 1 their maximum; by default the setting of the run",
    )
    parser.add_argument("--top_k", type=positive, default=5, metavar="N", help=settings_of(TestSettings)["top_k"].help)
    parser.add_argument("--print_per_class_metrics", type=switch, default=0, help="also a line for each class")
    parser.add_argument(
        "--label_names",
        metavar="FILE",
        help="names of the classes, as test_net.py takes them; by default those of the run",
    )
    parser.add_argument("--output", metavar="FILE", help="results as JSON")
    options = parser.parse_args(list(argv))
    with in_progress(Output("--output", options.output), options=options):
        return run(options)


def run(options: argparse.Namespace) -> int:
    found = aggregate_files(options.scores, options.aggregation, options.top_k)
    if options.label_names:
        found = replace(found, label_names=read_label_names(options.label_names, found.classes))
    print("\n".join(found.lines(bool(options.print_per_class_metrics))), flush=True)
    return write_each(lambda: write_json(options.output, found.to_json())) if options.output else 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
