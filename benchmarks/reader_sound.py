"""What hearing costs: the clips of videos, the log-mels of their sound, and both, through the reader of each engine.

Two tables: ten clips of 16 frames of each video, and one at random of each, eight rounds of it; log-mels of 100 rows.
In the Python with Caffe2, where the operators are built (make ops), AVInput reads beside the Python reader in the same
run; elsewhere it is left out, and the first line says so.

    .venv-caffe2/bin/python benchmarks/reader_sound.py [--videos FOLDER] [--rounds 7] [--threads 2]

Without --videos: those of ../shared/videos that have sound, or where there are none, those of make demo-sound.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Optional

import av
import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "scripts" / "demo")]

from harness import Table, add_options, idle_or_exit, interleaved, machine, report  # noqa: E402
from reader import CLIPS, FIXED, SEED, SHARED, write_database  # noqa: E402 - its folder is not on the path before

from vmz.netdef.net_parts import AV_INPUT  # noqa: E402
from vmz.video.frames.suffixes import is_video_name  # noqa: E402
from vmz.video.reader import ClipReader  # noqa: E402
from vmz.video.sound.arguments import reader_arguments  # noqa: E402

Read = Callable[[str, Mapping[str, Any]], Mapping[str, np.ndarray]]

WITH_SOUND = ("nasa_13013.mp4", "bigbuckbunny.mp4", "flipping_a_pancake.mkv")
LENGTH, ROUNDS = 16, 8
PROTOCOLS = {  # title: arguments, how often a table has each video
    f"{CLIPS} clips of each video": ({"clip_per_video": CLIPS, "decode_type": 1}, 1),
    f"a random clip of each video, {ROUNDS} times": ({"decode_type": 0}, ROUNDS),
}
ASKED = {
    "pictures": {"get_rgb": 1, "get_logmels": 0},
    "sound": {"get_rgb": 0, "get_logmels": 1},
    "pictures and sound": {"get_rgb": 1, "get_logmels": 1},
}
MEAN = 5e-3  # of the difference between the two readers' log-mels: they decode with FFmpegs of two ages


def python_reader(database: str, arguments: Mapping[str, Any]) -> dict[str, np.ndarray]:
    with ClipReader(database, reader_arguments(arguments, AV_INPUT)) as reader:
        batch = vars(reader.next_batch())
        silent = reader.without_sound
    if silent:
        raise SystemExit(f"{silent[0]}; give videos with sound")
    return {name: batch[name] for name in ("data", "logmels") if batch[name] is not None}


def native_reader(library: Optional[Path]) -> tuple[Optional[Read], str]:
    """AVInput, or None and why there is none."""
    try:
        import reader_operator
    except ImportError:
        return None, "without the C++ reader: this Python has no Caffe2"
    library = library or reader_operator.LIBRARY
    if not library.exists():
        return None, f"without the C++ reader: there is no {library}; run make ops"
    reader_operator.start(library)
    return partial(reader_operator.read, operator=AV_INPUT), ""


@contextmanager
def videos(folder: Optional[Path]) -> Iterator[list[Path]]:
    """Those to read."""
    if folder is not None:
        yield sorted(path for path in folder.iterdir() if is_video_name(str(path)))
    elif all((SHARED / name).is_file() for name in WITH_SOUND):
        yield [SHARED / name for name in WITH_SOUND]
    else:
        import make_sound_videos

        with tempfile.TemporaryDirectory() as made:
            make_sound_videos.main(["--output", made, "--videos_per_class", "1"])
            yield sorted((Path(made) / "videos").iterdir())


def check_alike(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> None:
    """AssertionError where two readers do not give the same clips."""
    if not np.array_equal(ours["data"], theirs["data"]):
        raise AssertionError("the two readers do not give the same clips")
    if np.abs(ours["logmels"] - theirs["logmels"]).mean() > MEAN:
        raise AssertionError("the two readers do not give the same log-mels")


def compare(paths: list[Path], folder: Path, readers: Mapping[str, Read], options: argparse.Namespace) -> list[Table]:
    tables = []
    for number, (title, (protocol, times)) in enumerate(PROTOCOLS.items()):
        database, listed = str(folder / f"db_{number}"), paths * times
        write_database(database, listed)
        given = {"length_rgb": LENGTH, "seed": SEED, "batch_size": len(listed), "num_decode_threads": options.threads}
        arguments = {**FIXED, **protocol, **given}
        whole = {**arguments, **ASKED["pictures and sound"]}
        if protocol["decode_type"] == 1 and len(readers) > 1:  # random clips are drawn by each reader in its own way
            check_alike(*(read(database, whole) for read in readers.values()))
        runs = {
            f"{name}, {what}": partial(read, database, {**arguments, **asked})
            for name, read in readers.items()
            for what, asked in ASKED.items()
        }
        tables.append(Table(f"{title}, {options.threads} threads, ms", interleaved(runs, options.rounds)))
    return tables


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--videos", type=Path, metavar="FOLDER")
    flags.add_argument("--library", type=Path, help="of the operators; build/ops/libvmz_ops.so by default")
    add_options(flags)
    options = flags.parse_args()
    busy = idle_or_exit(options.busy)
    native, why_not = native_reader(options.library)
    readers: dict[str, Read] = {"Python": python_reader, **({"C++": native} if native is not None else {})}
    with videos(options.videos) as paths, tempfile.TemporaryDirectory() as folder:
        tables = compare(paths, Path(folder), readers, options)
    head = f"{machine(options.threads, busy)}, PyAV {av.__version__}, {len(paths)} videos, {options.rounds} rounds"
    report(tables, "\n".join([head, *([why_not] if why_not else [])]), options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
