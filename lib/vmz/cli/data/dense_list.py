"""Turn a list of videos into one of clips all along them, with start frames and ids, for dense prediction."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.datasets.create_database import DatabaseOptions, read_list
from vmz.datasets.dense_lists import dense_list, part_paths, write_parts
from vmz.datasets.official_lists import write_lines
from vmz.errors import UsageError
from vmz.outputs import Output, in_progress
from vmz.settings.kinds import Integer, positive
from vmz.text import counted

EXAMPLE = "data/dense_list.py --list_file=val.csv --output_file=val_dense.csv --clip_length=32"


def parser() -> Parser:
    flags = Parser(str(__doc__), EXAMPLE)
    flags.add_argument("--list_file", required=True, metavar="FILE", help="the list, as create_video_db.py takes it")
    flags.add_argument("--output_file", required=True, type=Path, metavar="FILE", help="the CSV to write")
    flags.add_argument(
        "--parts",
        type=Integer(1, 100_000),
        default=1,
        metavar="N",
        help="files to write, <output_file>_1 to _N, of whole videos",
    )
    flags.add_argument("--clip_length", type=Integer(1, 1 << 20), default=32, metavar="N", help="frames of a clip")
    flags.add_argument("--sampling_rate", type=Integer(1, 1 << 20), default=1, metavar="N", help="every n-th frame")
    flags.add_argument("--stride", type=positive, default=8, metavar="N", help="frames from one clip to the next")
    flags.add_argument(
        "--on_bad_video",
        choices=("stop", "skip"),
        default="stop",
        help="videos that cannot be decoded or are shorter than a clip: stop, or leave them out and name them in "
        "<output_file>.left_out.txt",
    )
    return flags


def work(argv: Sequence[str]) -> int:
    flags = parser().parse_args(argv)
    outputs = [Output("--output_file", path) for path in part_paths(flags.output_file, flags.parts)]
    outputs.append(
        Output("the file of videos left out", left_out_path(flags) if flags.on_bad_video == "skip" else None)
    )
    with in_progress(*outputs, options=flags):
        return run(flags)


def left_out_path(flags: argparse.Namespace) -> Path:
    """Where the videos are named that no clip is of."""
    return Path(f"{flags.output_file}.left_out.txt")


def run(flags: argparse.Namespace) -> int:
    listed = read_list(flags.list_file, DatabaseOptions())
    span = (flags.clip_length - 1) * flags.sampling_rate + 1
    found = dense_list(listed, span, flags.stride, os.cpu_count() or 1)
    if found.left_out and (flags.on_bad_video == "stop" or not found.videos):
        raise UsageError(
            f"{len(found.left_out)} of the {counted(len(listed), 'video')} of {flags.list_file} give no clip: first "
            f"{found.left_out[0]}; --on_bad_video=skip leaves them out"
        )
    paths = write_parts(found.videos, flags.output_file, flags.parts)
    where = str(paths[0]) if len(paths) == 1 else f"{paths[0]} to {paths[-1].name}"
    print(f"{counted(found.clips, 'clip')} of {counted(len(found.videos), 'video')} in {where}")
    if found.left_out:
        names = left_out_path(flags)
        write_lines(names, found.left_out)
        print(f"{counted(len(found.left_out), 'video')} left out: {names}")
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
