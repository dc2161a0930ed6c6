#!/usr/bin/env python3
"""Extract features of video clips: any blobs of a network, for the clips of an LMDB or all along untrimmed videos."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys
from collections.abc import Sequence

from vmz.cli.command import Parser, run_tool
from vmz.cli.flag_kinds import Number, switch
from vmz.cli.flags import (
    CHECKPOINT_FLAGS,
    ENGINE_FLAGS,
    EXTRACT_DEFAULTS,
    EXTRACT_FLAGS,
    MODEL_FLAGS,
    READER_FLAGS,
)
from vmz.cli.launch import launch
from vmz.cli.options import add_flags, add_zoo_flag, parse
from vmz.cli.settings import FEATURES
from vmz.cli.settings_report import announce
from vmz.engines.registry import check_engine
from vmz.features.extraction import Extraction, extract
from vmz.features.formats.feature_files import HDF5, NPY, NPZ, PICKLE
from vmz.features.untrimmed import VideoExtraction, extract_videos
from vmz.video.faults import closing_line


def main(argv: Sequence[str]) -> int:
    parser = Parser(__doc__)
    add_zoo_flag(parser, FEATURES)
    add_flags(parser, "network", list(MODEL_FLAGS), **EXTRACT_DEFAULTS)
    add_flags(parser, "data", list(READER_FLAGS), **EXTRACT_DEFAULTS)
    add_flags(parser, "engine", list(ENGINE_FLAGS))
    add_flags(parser, "extraction", list(EXTRACT_FLAGS), EXTRACT_FLAGS)
    add_flags(parser, "weights (not in the original)", list(CHECKPOINT_FLAGS))
    ours = parser.add_argument_group("not in the original")
    ours.add_argument(
        "--videos",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="untrimmed videos instead of --test_data: files, folders, patterns ('folder/*.mp4') or lists (.csv, "
        ".txt); RGB clips only",
    )
    ours.add_argument(
        "--stride_seconds", type=Number(most=1e6), default=1.0, help="from one clip of such a video to the next"
    )
    ours.add_argument(
        "--video_format",
        default=NPZ,
        choices=[NPZ, NPY, PICKLE, HDF5],
        help="of the files with --videos; npy: one blob, the times beside it in an .npz",
    )
    ours.add_argument(
        "--keep_axes",
        type=switch,
        help="1: features keep axes of 1, as final_avg of clips x C x 1 x 1 x 1; 0: they are left out, clips x C. Not "
        "given: 0 with --videos, 1 for a database (the original's shapes)",
    )
    ours.add_argument(
        "--resume",
        type=switch,
        default=1,
        help="1: go on with what an earlier run of the same settings left, and refuse to replace features of other "
        "settings; 0: extract all anew, in place of what is there",
    )
    ours.add_argument("--random_weights", type=switch, default=0, help="1: an untrained network, no file needed")
    options = parse(parser, argv, FEATURES)
    check_engine(options.engine)
    status = launch(options, argv)
    if status is not None:
        return status
    announce(options)
    if options.videos:
        found = extract_videos(options)
        if found is not None:
            print_videos(found, options.load_model_path, options.engine)
        return 0
    extraction = extract(options)
    if extraction is not None:
        print_extraction(extraction, options.load_model_path, options.engine)
    return 0


def print_extraction(extraction: Extraction, weights: str, engine: str) -> None:
    if extraction.checkpoint is not None:
        print(f"{weights}: {extraction.checkpoint.summary()}")
    if extraction.resumed and not extraction.was_there:
        print(f"{extraction.resumed} videos were there already, of a run that was stopped")
    if extraction.skipped:
        print(f"{len(extraction.skipped)} videos left out:")
        for bad in extraction.skipped:
            print(f"  {bad}")
    if extraction.ended_early:
        print(closing_line(extraction.ended_early, "their features are of the frames before"))
    for name, shape in extraction.shapes.items():
        print(f"{name}: {' x '.join(map(str, shape))}")
    if extraction.was_there:
        print(
            f"nothing to do: {extraction.path} is there, of {extraction.videos} videos with the same settings "
            "(--resume=0 extracts them anew)"
        )
    else:
        print(f"{extraction.videos} videos, {extraction.seconds:.1f} s on {engine}, written to {extraction.path}")
    if extraction.sanity is not None:
        print("Sanity check --- " + ", ".join(f"{name}: {value}" for name, value in extraction.sanity.items()))


def print_videos(found: VideoExtraction, weights: str, engine: str) -> None:
    if found.checkpoint is not None:
        print(f"{weights}: {found.checkpoint.summary()}")
    for entry in found.videos:
        if "skipped" in entry:
            print(f"{entry['path']} left out: {entry['skipped']}")
        else:
            early = f", decoding ended early: {entry['ended_by']}" if entry["ended_by"] else ""
            times = ""
            if mended := entry.get("times_mended"):
                places = f"{mended} place{'s' * (mended > 1)}"
                times = f", its times began again or leapt in {places}: mended by frame durations"
            print(f"{entry['file']}: {entry['clips']} clips of {entry['seconds']:.1f} s{early}{times}")
    if found.ended_early:
        print(closing_line(found.ended_early, "their features are of the frames before", f"{found.index} lists them"))
    if found.resumed == len(found.videos):
        print(
            f"nothing to do: {found.resumed} videos are there, with the same settings, listed in {found.index} "
            "(--resume=0 extracts them anew)"
        )
        return
    if found.resumed:
        print(f"{found.resumed} videos were there already, of an earlier run with the same settings")
    print(f"{len(found.videos)} videos, {found.seconds:.1f} s on {engine}, listed in {found.index}")


if __name__ == "__main__":
    sys.exit(run_tool(main, several=True))
