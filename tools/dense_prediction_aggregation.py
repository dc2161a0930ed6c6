#!/usr/bin/env python3
"""Score videos by the mean softmax of the clips that extract_features.py has written, clip after clip, to files."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import _find_vmz  # noqa: F401

from vmz.files import write_json
from vmz.workflows.command import Parser, run_tool
from vmz.workflows.dense import aggregate_files, feature_files, figures_text
from vmz.workflows.flags import not_negative, switch


def main(argv: Sequence[str]) -> int:
    parser = Parser(__doc__)
    parser.add_argument("--input_dir", metavar="FOLDER", help="feature files with softmax, label and video_id")
    parser.add_argument("--output_clip_accuracy", type=switch, default=1, help="1: also print clip@1")
    parser.add_argument("--max_clip", type=not_negative, default=0, help="clips of a video to use, the first; 0: all")
    parser.add_argument("--output", metavar="FILE", help="the figures as JSON (not in the original)")
    options = parser.parse_args(list(argv))
    files = feature_files(options.input_dir, "input_dir")
    found = aggregate_files(files, options.max_clip)
    figures = found.figures()
    if not options.output_clip_accuracy:
        del figures["clip@1"]
    if options.output:
        write_json(options.output, {"figures": figures, "videos": len(found.ids), "clips": int(found.clips.sum())})
    each = f"{found.clips.min()} to {found.clips.max()}" if found.clips.min() < found.clips.max() else found.clips[0]
    print(f"{len(found.ids)} videos, {found.clips.sum()} clips ({each} a video), of {len(files)} files")
    print(figures_text(figures, found.scores.shape[1]))
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main))
