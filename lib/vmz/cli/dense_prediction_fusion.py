"""Fuse the dense predictions of two streams, as RGB and optical flow: alpha * first + (1 - alpha) * second."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Optional

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.features.dense_prediction import TOP_K, aggregate_files, feature_files, figures_text, fuse
from vmz.files import write_json
from vmz.metrics import video_figures
from vmz.outputs import Output, in_progress
from vmz.settings.kinds import Number, positive, switch
from vmz.text import counted

STREAMS = ("input_dir1", "input_dir2")


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), "tools/dense_prediction_fusion.py --input_dir1=rgb --input_dir2=flow --alpha=0.6")
    parser.add_argument("--input_dir1", metavar="FOLDER", help="feature files of the first stream")
    parser.add_argument("--input_dir2", metavar="FOLDER", help="feature files of the second stream")
    parser.add_argument(
        "--file_count",
        type=positive,
        help="files that each folder should contain; any number by default (the original: 10)",
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
    streams = [aggregate_files(feature_files(getattr(options, flag), flag, options.file_count)) for flag in STREAMS]
    fused = fuse(streams[0], streams[1], options.alpha, bool(options.mean_of_clips))
    results = {
        "first": streams[0].figures(),
        "second": streams[1].figures(),
        "fused": video_figures(fused, streams[0].labels, TOP_K),
    }
    print(f"{counted(len(fused), 'video')}, alpha {options.alpha}")
    for name, figures in results.items():
        print(f"{name}: {figures_text(figures, fused.shape[1])}")
    top1, *_, top5 = results["fused"].values()
    print(f"Alpha {options.alpha}: top1 {top1}, top5 {top5}", flush=True)
    account = {**results, "alpha": options.alpha, "videos": len(fused)}
    return write_each(lambda: write_json(options.output, account)) if options.output else 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
