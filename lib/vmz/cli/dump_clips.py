"""Write the clips that a network would see: look here first when an accuracy is off."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import Optional

from vmz.cli.shared.options import add_own, add_settings, config_of, parse, require_checkpoint
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.cli.shared.settings_report import announce
from vmz.datasets.listed_data import listed_data
from vmz.evaluation.config import EvaluationConfig
from vmz.inspection.contact_sheet import PAGE_ROWS, write_contact_sheet
from vmz.inspection.dump_clips import Dump, override, read_clips, write_npz
from vmz.netdef.net_parts import AV_INPUT, VIDEO_INPUT
from vmz.netdef.video_outputs import LOGMELS
from vmz.outputs import Output, in_progress
from vmz.settings.clips import ClipSettings
from vmz.settings.engine import EngineSettings
from vmz.settings.kinds import not_negative, switch
from vmz.settings.reader import ReaderSettings, ViewSettings
from vmz.settings.setting import settings_of
from vmz.text import counted
from vmz.video.faults import closing_line, silent_line

NAMES = (
    *settings_of(ReaderSettings, ViewSettings), "crop_size", "clip_length_rgb", "multi_label", "num_labels", "engine",
    "seed",
)  # fmt: skip
OF_RECORDS = ("decode_type", "get_video_id", "get_start_frame", "on_bad_video", "seed")


def parser() -> Parser:
    flags = Parser(str(__doc__), "tools/dump_clips.py --test_data=val_lmdb --contact_sheet=clips.png")
    add_own(flags, "published model", EvaluationConfig, ("zoo", "protocol"))
    add_own(flags, "checkpoint, for its settings", EvaluationConfig, ("load_model_path", "db_type", "eps"))
    add_settings(flags, "reader", ClipSettings, EngineSettings, names=NAMES, clip_length_rgb=8)
    flags.add_argument(
        "--decode_type",
        type=int,
        choices=(0, 1, 2),
        default=1,
        help="0: a random clip, 1: uniformly spaced ones, 2: from the start frame",
    )
    flags.add_argument("--get_video_id", type=switch, default=0, help="also the video ids of the records")
    flags.add_argument("--get_start_frame", type=switch, default=0, help="also the start frames (--decode_type=2)")
    flags.add_argument(
        "--args", metavar="JSON", default="{}", help="arguments of the reader by name; they win over flags"
    )
    flags.add_argument("--num_batches", type=not_negative, default=1, help="batches; 0: each video of --test_data once")
    flags.add_argument(
        "--output",
        metavar="FILE.npz",
        help="arrays data, flow or logmels, label, key, and video_id, start_frame",
    )
    flags.add_argument(
        "--contact_sheet",
        metavar="FILE.png",
        help="a picture with a row a clip, its frames and log-mels; of more than 25 clips several, FILE.png, "
        "FILE_2.png, ...",
    )
    return flags


def work(argv: Sequence[str]) -> int:
    options = parse(parser(), argv, EvaluationConfig.use)
    require_checkpoint(options)
    announce(options.resolution)
    with in_progress(
        Output("--output", options.output), Output("--contact_sheet", options.contact_sheet), options=options
    ):
        return run(options)


def run(options: argparse.Namespace) -> int:
    """Read, print and write; the exit status."""
    clips = config_of(ClipSettings, options)
    clips.database  # noqa: B018  (refused where none is given)
    own = {name: getattr(options, name) for name in OF_RECORDS}
    asks = override(own, options.args)
    with listed_data(clips, own_classes=True, asks=asks) as clips:
        arguments = override({**clips.reader_arguments(), **own}, options.args)
        dump = read_clips(clips.database, arguments, options.num_batches, options.engine)
    print_summary(dump)
    sys.stdout.flush()
    operator = AV_INPUT if LOGMELS in dump.arrays else VIDEO_INPUT
    print(f"read by the {operator} of {options.engine}", file=sys.stderr)
    writes = [(options.output, write_npz), (options.contact_sheet, write_sheet)]
    return write_each(*(partial(write, dump, path) for path, write in writes if path))


def write_sheet(dump: Dump, path: str) -> None:
    """The pictures, and a line on each; what is in none of them is said."""
    clips = len(dump.arrays["key"])
    written = write_contact_sheet(dump, path)
    for page, target in enumerate(written):
        first, last = page * PAGE_ROWS + 1, min(clips, (page + 1) * PAGE_ROWS)
        print(f"wrote {target}: clip{'' if first == last else 's'} {first}{'' if first == last else f' to {last}'}")
    shown = min(clips, len(written) * PAGE_ROWS)
    if shown < clips:
        print(f"--contact_sheet shows the first {shown} of {counted(clips, 'clip')}; --output has all")


def print_summary(dump: Dump) -> None:
    for name, array in dump.arrays.items():
        print(f"{name}: {array.dtype} {' x '.join(map(str, array.shape))}")
    if dump.skipped:
        print(f"{counted(len(dump.skipped), 'bad video')} left out:")
        for video in dump.skipped:
            print(f"  {video}")
    if dump.ended_early:
        print(closing_line(dump.ended_early, "their clips come from the frames before"))
    if dump.without_sound:
        print(silent_line(dump.without_sound))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
