"""Turn an official list of UCF101, HMDB51, Kinetics or Sports-1M into the CSV that create_video_db.py reads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.datasets.official_lists import DATASETS, Source, find_videos, read_classes, write_lines, write_list
from vmz.errors import UsageError
from vmz.outputs import Output, in_progress
from vmz.text import counted


def parser() -> Parser:
    flags = Parser(
        str(__doc__),
        "data/dataset_list.py --dataset=ucf101 --annotations=testlist01.txt --video_dir=UCF-101 --output_file=val.csv",
    )
    flags.add_argument("--dataset", required=True, choices=sorted(DATASETS), help="data set whose list is read")
    flags.add_argument(
        "--annotations",
        required=True,
        type=Path,
        metavar="PATH",
        help="the list: ucf101 trainlist01.txt or testlist01.txt (classInd.txt beside it), kinetics train.csv or "
        "validate.csv, sports1m train_partition.txt or test_partition.txt; hmdb51: the folder of its lists",
    )
    flags.add_argument(
        "--subset", choices=("train", "test"), default="train", help="of hmdb51, whose lists contain both"
    )
    flags.add_argument("--split", type=int, choices=(1, 2, 3), default=1, help="of hmdb51")
    flags.add_argument(
        "--video_dir", required=True, type=Path, metavar="FOLDER", help="the videos, found by name in any subfolder"
    )
    flags.add_argument("--output_file", required=True, type=Path, metavar="FILE", help="the CSV to write")
    flags.add_argument(
        "--classes", type=Path, metavar="FILE", help="names of the labels in their order: one a line, .csv or .json"
    )
    flags.add_argument("--write_classes", type=Path, metavar="FILE", help="write them there")
    flags.add_argument(
        "--missing",
        choices=("stop", "skip"),
        default="stop",
        help="videos that are missing: stop, or leave them out and name them in <output_file>.missing.txt",
    )
    return flags


def work(argv: Sequence[str]) -> int:
    flags = parser().parse_args(argv)
    outputs = [Output("--output_file", flags.output_file), Output("--write_classes", flags.write_classes)]
    outputs.append(Output("the file of missing videos", missing_path(flags) if flags.missing == "skip" else None))
    with in_progress(*outputs, options=flags):
        return run(flags)


def missing_path(flags: argparse.Namespace) -> Path:
    """Where the videos are named that are not there."""
    return Path(f"{flags.output_file}.missing.txt")


def run(flags: argparse.Namespace) -> int:
    source = Source(flags.annotations, flags.subset, flags.split, read_classes(flags.classes))
    official = DATASETS[flags.dataset](source)
    found, missing = find_videos(official.entries, flags.video_dir)
    if missing and (flags.missing == "stop" or not found):
        raise UsageError(
            f"{len(missing)} of the {counted(len(official.entries), 'video')} of {flags.annotations} are not below "
            f"{flags.video_dir}: first {missing[0].name} ({missing[0].where}); --missing=skip leaves them out"
        )
    if flags.write_classes and not official.classes:
        raise UsageError(f"{flags.annotations} names no classes; give them with --classes")
    write_list(flags.output_file, found)
    if flags.write_classes:
        write_lines(flags.write_classes, official.classes)
    labels = {label for _, entry in found for label in entry.labels}
    print(f"{counted(len(found), 'video')} of {counted(len(labels), 'class')} in {flags.output_file}")
    if missing:
        names = missing_path(flags)
        write_lines(names, [entry.name for entry in missing])
        print(f"{counted(len(missing), 'video')} of the list {'is' if len(missing) == 1 else 'are'} missing: {names}")
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
