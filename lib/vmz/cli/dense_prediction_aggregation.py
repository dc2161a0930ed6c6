"""Score videos by the mean softmax of the clips that extract_features.py has written, clip after clip, to files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Optional

import numpy as np

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.features.dense_prediction import (
    TOP_K,
    aggregate_each,
    aggregate_files,
    feature_files,
    figures_text,
    original_figures,
    original_line,
    split_videos,
)
from vmz.files import write_json
from vmz.outputs import Output, in_progress
from vmz.settings.kinds import not_negative, switch
from vmz.text import counted

EXAMPLE = "tools/dense_prediction_aggregation.py --input_dir=features"


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), EXAMPLE)
    parser.add_argument("--input_dir", metavar="FOLDER", help="feature files with softmax, label and video_id")
    parser.add_argument(
        "--output_clip_accuracy",
        type=switch,
        default=1,
        help="1: also clip@1; 0: it reads 0.0, as in the original",
    )
    parser.add_argument(
        "--max_clip", type=not_negative, default=0, metavar="N", help="clips of a video to use, the first; 0: all"
    )
    ours = parser.add_argument_group("not in the original")
    ours.add_argument(
        "--across_files",
        type=switch,
        default=0,
        help="0: as the original, figures of each file, weighted by its videos: a video in two files counts in both, "
        "and --max_clip leaves clip@1 alone; 1: a video's clips from all files together, clip@1 over the clips used",
    )
    ours.add_argument("--output", metavar="FILE", help="the figures as JSON")
    options = parser.parse_args(list(argv))
    with in_progress(Output("--output", options.output), options=options):
        return run(options)


def run(options: argparse.Namespace) -> int:
    files = feature_files(options.input_dir, "input_dir")
    if options.across_files:
        parts = [aggregate_files(files, options.max_clip)]
    else:
        parts = aggregate_each(files, options.max_clip)
        for path, part in zip(files, parts):
            print(f"{path} has an accuracy of {original_line(shown(part.figures(), options))}")
        split = split_videos(parts)
        if split:
            print(
                f"warning: {counted(len(split), 'video')} {'is' if len(split) == 1 else 'are'} in more than one file, "
                f"for example {split[0]}, and {'counts' if len(split) == 1 else 'count'} in each, as in the original; "
                "--across_files=1 puts their clips together",
                file=sys.stderr,
            )
    figures = shown(original_figures(parts), options)
    clips = np.concatenate([part.clips for part in parts])
    classes = parts[0].scores.shape[1]
    each = f"{clips.min()} to {clips.max()}" if clips.min() < clips.max() else clips[0]
    print(
        f"{counted(len(clips), 'video')}, {counted(clips.sum(), 'clip')} ({each} a video), of "
        f"{counted(len(files), 'file')}"
    )
    if options.across_files:
        print(figures_text(figures, classes), flush=True)
    else:
        if classes <= TOP_K:
            print(f"top5 of {counted(classes, 'class')} is always 1")
        print(f"Accuracy: {original_line(figures)}", flush=True)
    account = {"figures": figures, "videos": len(clips), "clips": int(clips.sum())}
    return write_each(lambda: write_json(options.output, account)) if options.output else 0


def shown(figures: Mapping[str, float], options: argparse.Namespace) -> dict[str, float]:
    """The figures that --output_clip_accuracy asks for."""
    return {name: value for name, value in figures.items() if options.output_clip_accuracy or name != "clip@1"}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
