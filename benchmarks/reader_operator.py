"""The C++ VideoInput operator against our Python reader and PyAV used by hand, same clips (see benchmarks/reader.py).

Needs the Python 3.9 with Caffe2 (make setup-caffe2) and the library (ops/build.sh). Runs are interleaved; medians; a
ratio above 1: the operator is faster.

    .venv-caffe2/bin/python benchmarks/reader_operator.py [--library build/ops/libvmz_ops.so] [--repeat 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from caffe2.python import core, dyndep, workspace
from reader import CLIPS, CROP, DEFAULT_VIDEOS, HEIGHT, SHARED, WIDTH, by_hand, ours, seconds

from vmz.video.database import DatabaseWriter
from vmz.video.records import Record


def operator(database: str, videos: int, length: int, threads: int) -> np.ndarray:
    """(videos * 10, 3, length, 112, 112) float32, the net made anew each time."""
    workspace.ResetWorkspace()
    workspace.RunOperatorOnce(core.CreateOperator("CreateDB", [], ["reader"], db=database, db_type="lmdb"))
    net = core.Net("read")
    net.VideoInput(
        ["reader"],
        ["data", "label"],
        batch_size=videos,
        clip_per_video=CLIPS,
        decode_type=1,
        length_rgb=length,
        scale_h=HEIGHT,
        scale_w=WIDTH,
        crop_size=CROP,
        random_crop=0,
        random_mirror=0,
        num_decode_threads=threads,
        wrap_around=0,
    )
    workspace.CreateNet(net)
    workspace.RunNet(net)
    return workspace.FetchBlob("data")


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--videos", nargs="+", type=Path, default=[SHARED / name for name in DEFAULT_VIDEOS])
    flags.add_argument("--library", default="build/ops/libvmz_ops.so")
    flags.add_argument("--repeat", type=int, default=5)
    options = flags.parse_args()
    workspace.GlobalInit(["reader_operator", "--caffe2_log_level=3"])
    dyndep.InitOpsLibrary(options.library)
    paths = options.videos
    print(f"PyAV {av.__version__}, {len(paths)} videos, {CLIPS} clips each, median of {options.repeat}")
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "db")
        with DatabaseWriter(database) as writer:
            for number, path in enumerate(paths):
                writer.write(Record(f"{number:04d}".encode(), path.read_bytes(), (0,)))
        for length in (8, 16):
            if not np.array_equal(by_hand(paths, length, 1), operator(database, len(paths), length, 2)):
                raise AssertionError("the two do not give the same clips")
            for threads in (1, 2):
                readers = {
                    "by hand": lambda: by_hand(paths, length, threads),  # noqa: B023 - called now
                    "Python reader": lambda: ours(database, len(paths), length, threads),  # noqa: B023
                    "operator": lambda: operator(database, len(paths), length, threads),  # noqa: B023
                }
                times = {name: [] for name in readers}
                for _ in range(options.repeat):
                    for name, read in readers.items():
                        times[name].append(seconds(read))
                hand, python, native = (statistics.median(times[name]) for name in readers)
                print(
                    f"{length:2} frames, {threads} thread{'s' if threads > 1 else ' '}: operator {native:.3f} s, "
                    f"{len(paths) / native:.1f} videos/s, ratio to PyAV by hand {hand / native:.2f}, "
                    f"to the Python reader {python / native:.2f}"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
