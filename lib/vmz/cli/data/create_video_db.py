"""Make an LMDB of videos from a list: a CSV with the columns org_video, label and, where used, start_frm and video_id,
or rows of a path and a label. Labels are numbers or names of classes. A folder of class folders is a list too.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.datasets.check_videos import check_videos, closing_lines, summary, write_report
from vmz.datasets.class_numbers import first_and_last
from vmz.datasets.create_database import (
    CLASSES_BESIDE,
    DatabaseOptions,
    check_classes_file,
    classes_beside,
    read_list,
    write_database,
)
from vmz.errors import UsageError, VmzError
from vmz.outputs import Output, in_progress
from vmz.settings.kinds import Integer, not_negative, switch
from vmz.text import counted


def parser() -> Parser:
    flags = Parser(str(__doc__), "data/create_video_db.py --list_file=val.csv --output_file=val_lmdb")
    flags.add_argument(
        "--list_file",
        required=True,
        metavar="FILE",
        help="CSV with column names, or rows 'path label' without; several labels are separated by ';'. Or a folder of "
        "class folders, <class>/<video>",
    )
    flags.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="names of the labels in their order, one a line, .csv or .json, for a list that contains names instead "
        "of numbers; by default those of the list in alphabetical order. Kept in <output_file>.classes.txt",
    )
    flags.add_argument(
        "--output_file", metavar="LMDB", help="folder of the new LMDB; must not exist (needed unless --check is given)"
    )
    flags.add_argument("--use_list", type=switch, default=0, help="1: store paths of the videos instead of their bytes")
    flags.add_argument("--use_video_id", type=switch, default=0, help="1: store column video_id")
    flags.add_argument(
        "--use_start_frame", type=switch, default=0, help="1: store column start_frm; needs --use_list=1"
    )
    flags.add_argument(
        "--num_epochs", type=Integer(most=1 << 20), default=1, help="times the list is stored, each in its own order"
    )
    flags.add_argument("--shuffle", type=switch, default=1, help="0: keep the order of the list")
    flags.add_argument(
        "--seed", type=Integer(most=1 << 40), default=0, help="of the order; the same as after numpy.random.seed"
    )
    flags.add_argument("--check", action="store_true", help="decode every video first and write a report")
    flags.add_argument(
        "--min_frames", type=not_negative, default=32, help="with --check: fewer frames than this are short"
    )
    flags.add_argument(
        "--report", metavar="FILE", help="with --check: CSV to write (by default beside the output or the list)"
    )
    flags.add_argument(
        "--on_bad_video",
        choices=("stop", "skip"),
        default="stop",
        help="with --check: stop without a database, or leave the bad ones out of it",
    )
    return flags


def work(argv: Sequence[str]) -> int:
    flags = parser().parse_args(argv)
    if not flags.output_file and not flags.check:
        raise UsageError("--output_file is missing: give the folder of the new LMDB")
    options = DatabaseOptions(
        use_list=bool(flags.use_list),
        use_video_id=bool(flags.use_video_id),
        use_start_frame=bool(flags.use_start_frame),
        num_epochs=flags.num_epochs,
        shuffle=bool(flags.shuffle),
        seed=flags.seed,
    )
    options.check()
    report = flags.report or f"{flags.output_file or os.path.normpath(flags.list_file)}.check.csv"
    outputs = [
        Output("--output_file", flags.output_file, beside=CLASSES_BESIDE, new=True),
        Output("--report", report if flags.check else None),
    ]
    with in_progress(*outputs, options=flags):
        return run(flags, options, report)


def run(flags: argparse.Namespace, options: DatabaseOptions, report: str) -> int:
    """Check and write; the exit status."""
    if flags.output_file and os.path.lexists(flags.output_file):  # what a dead run left beside it is gone by now
        raise UsageError(f"{flags.output_file} exists already; remove it or choose another --output_file")
    listed = read_list(flags.list_file, options, flags.classes)
    videos, status = listed.rows, 0
    if flags.output_file:
        check_classes_file(listed, flags.output_file)
    if listed.numbering:
        print(f"{counted(len(listed.classes), 'class')}, numbered {listed.numbering}: {first_and_last(listed.classes)}")
    if flags.check:
        checks = check_videos([video.video for video in videos], flags.min_frames, os.cpu_count() or 1)
        print("\n".join([f"{summary(checks)}; see {report}", *closing_lines(checks)]), flush=True)
        status = write_each(lambda: write_report(checks, report))
        bad = {check.video: check.remark for check in checks if check.status == "bad"}
        if bad and flags.on_bad_video == "stop":
            video, remark = next(iter(bad.items()))
            raise VmzError(
                f"{len(bad)} of {counted(len(checks), 'video')} cannot be read, first {video}: {remark}; see "
                f"{report}, and leave "
                "them out with --on_bad_video=skip"
            )
        videos = [video for video in videos if video.video not in bad]
    if flags.output_file:
        with classes_beside(listed, flags.output_file) as classes:
            records, size = write_database(videos, flags.output_file, options, flags.list_file)
        print(f"{counted(records, 'record')}, {counted(size, 'byte')}, in {flags.output_file}", flush=True)
        if classes is not None:
            print(f"names of the labels: {classes}; give it as --classes with the other lists of this data")
    return status


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
