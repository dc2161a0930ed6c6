#!/usr/bin/env python3
"""Fuse the dense predictions of two streams, as RGB and optical flow: alpha * first + (1 - alpha) * second."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import argparse
import sys
from collections.abc import Sequence

from vmz.files import write_json
from vmz.metrics import video_figures
from vmz.outputs import Output, in_progress
from vmz.workflows.command import Parser, run_tool, write_each
from vmz.workflows.dense import TOP_K, aggregate_files, feature_files, figures_text, fuse
from vmz.workflows.flag_kinds import Number, positive, switch


def main(argv: Sequence[str]) -> int:
    parser = Parser(__doc__)
    parser.add_argument("--input_dir1", metavar="FOLDER", help="feature files of the first stream")
    parser.add_argument("--input_dir2", metavar="FOLDER", help="feature files of the second stream")
    parser.add_argument(
        "--file_count", type=positive, help="files that each folder should hold; not given: any (the original: 10)"
    )
    parser.add_argument("--alpha", type=Number(), default=0.5, help="weight of the first stream (0.6 was published)")
    parser.add_argument(
        "--mean_of_clips",
        type=switch,
        default=0,
        help="1: mix the means over each video's clips; 0: their sums, as the original: the stream that has more clips "
        "of a video weighs more (not in the original)",
    )
    parser.add_argument("--output", metavar="FILE", help="the figures as JSON (not in the original)")
    options = parser.parse_args(list(argv))
    with in_progress(Output("--output", options.output), options=options):
        return run(options)


def run(options: argparse.Namespace) -> int:
    streams = [
        aggregate_files(feature_files(getattr(options, flag), flag, options.file_count))
        for flag in ("input_dir1", "input_dir2")
    ]
    fused = fuse(streams[0], streams[1], options.alpha, bool(options.mean_of_clips))
    results = {
        "first": streams[0].figures(),
        "second": streams[1].figures(),
        "fused": video_figures(fused, streams[0].labels, TOP_K),
    }
    print(f"{len(fused)} videos, alpha {options.alpha}")
    for name, figures in results.items():
        print(f"{name}: {figures_text(figures, fused.shape[1])}")
    top1, *_, top5 = results["fused"].values()
    print(f"Alpha {options.alpha}: top1 {top1}, top5 {top5}", flush=True)
    account = {**results, "alpha": options.alpha, "videos": len(fused)}
    return write_each(lambda: write_json(options.output, account)) if options.output else 0


if __name__ == "__main__":
    sys.exit(run_tool(main))
