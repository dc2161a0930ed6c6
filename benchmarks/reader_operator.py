"""The C++ VideoInput operator against our Python reader and PyAV used by hand: the same clips (see reader.py).

Needs the Python 3.9 with Caffe2 (make setup-caffe2) and the library (make ops).

    .venv-caffe2/bin/python benchmarks/reader_operator.py [--videos FOLDER] [--rounds 7] [--length 16] [--threads 2]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from caffe2.python import core, dyndep, workspace
from harness import Table, add_options, idle_or_exit, interleaved, machine, report
from reader import CLIPS, FIXED, by_hand, ours, videos, write_database

from vmz.netdef.net_parts import VIDEO_INPUT
from vmz.netdef.video_outputs import asked_outputs

LIBRARY = Path(__file__).resolve().parents[1] / "build" / "ops" / "libvmz_ops.so"


def start(library: Path = LIBRARY) -> None:
    """Caffe2 with the operators. Once in a process."""
    workspace.GlobalInit(["reader_operator", "--caffe2_log_level=3"])
    dyndep.InitOpsLibrary(str(library))


def read(database: str, arguments: Mapping[str, Any], operator: str = VIDEO_INPUT) -> dict[str, np.ndarray]:
    """The outputs of the first batch by their names, the net made anew each time."""
    workspace.ResetWorkspace()
    workspace.RunOperatorOnce(core.CreateOperator("CreateDB", [], ["reader"], db=database, db_type="lmdb"))
    net = core.Net("read")
    outputs = asked_outputs(arguments, operator)
    getattr(net, operator)(["reader"], list(outputs), **arguments)
    workspace.CreateNet(net)
    workspace.RunNet(net)
    return {name: workspace.FetchBlob(name) for name in outputs}


def native(database: str, videos: int, length: int, threads: int) -> np.ndarray:
    """(videos * 10, 3, length, 112, 112) float32"""
    given = {"batch_size": videos, "length_rgb": length, "num_decode_threads": threads}
    return read(database, {**FIXED, "clip_per_video": CLIPS, "decode_type": 1, **given})["data"]


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--videos", type=Path, metavar="FOLDER")
    flags.add_argument("--length", type=int, default=16, metavar="FRAMES")
    flags.add_argument("--library", type=Path, default=LIBRARY)
    add_options(flags)
    options = flags.parse_args()
    busy = idle_or_exit(options.busy)
    start(options.library)
    tables = []
    with videos(options.videos) as paths, tempfile.TemporaryDirectory() as folder:
        database, length = str(Path(folder) / "db"), options.length
        write_database(database, paths)
        if not np.array_equal(by_hand(paths, length, 1), native(database, len(paths), length, 2)):
            raise AssertionError("the two do not give the same clips")
        for threads in sorted({1, options.threads}):
            runs: dict[str, Callable[[], object]] = {
                "C++ operator": partial(native, database, len(paths), length, threads),
                "Python reader": partial(ours, database, len(paths), length, threads),
                "PyAV by hand": partial(by_hand, paths, length, threads),
            }
            title = f"{CLIPS} clips of {length} frames of each video, {threads} thread{'s' * (threads > 1)}, ms"
            tables.append(Table(title, interleaved(runs, options.rounds)))
    head = f"{machine(options.threads, busy)}, PyAV {av.__version__}, {len(paths)} videos, {options.rounds} rounds"
    report(tables, head, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
