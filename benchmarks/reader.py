"""The reader against OpenCV, decord, torchcodec and PyAV used by hand, and against decoding alone.

Two tables: the 10-clip protocol (10 clips of 16 frames of each video at 128x171, crops of 112), and training clips (one
of 16 frames at random of each video, four rounds). Each on 1 and on 2 threads, which read a video each; each peer
is used as well as it can be (reader_peers.py). PyAV by hand gives the same numbers (checked), but for seeking by times.

    make bench-peers
    .venv/bin/python benchmarks/reader.py [--videos FOLDER] [--rounds 7] [--length 16] [--threads 2]

Without --videos: those of ../shared/videos, or where there are none, of the demo, which are made.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "scripts" / "demo")]

from harness import Table, add_options, idle_or_exit, interleaved, machine, report  # noqa: E402
from reader_peers import (  # noqa: E402 - its folder is not on the path before
    CROP,
    HEIGHT,
    WIDTH,
    ByHand,
    ByHandSeeking,
    ByHandSeekingByPackets,
    DecodingAlone,
    Decord,
    OpenCV,
    TorchCodec,
    available,
    batch,
)

from vmz.engines.torch_engine.memory import keep_freed_memory  # noqa: E402
from vmz.video import sampling  # noqa: E402
from vmz.video.arguments import VideoInputArgs  # noqa: E402
from vmz.video.database.lmdb_database import DatabaseWriter  # noqa: E402
from vmz.video.database.records import Record  # noqa: E402
from vmz.video.frames.suffixes import is_video_name  # noqa: E402
from vmz.video.reader import ClipReader, EndOfData  # noqa: E402

SHARED = Path(__file__).resolve().parents[2] / "shared" / "videos"
DEFAULT_VIDEOS = ("arm_wrestling.mp4", "nasa_13013.mp4", "bikes.mp4", "flipping_a_pancake.mkv")
CLIPS, TRAINING_ROUNDS, SEED = 10, 4, 1
FIXED = {
    "scale_h": HEIGHT,
    "scale_w": WIDTH,
    "crop_size": CROP,
    "random_crop": 0,
    "random_mirror": 0,
    "wrap_around": 0,
}
"""Arguments of all readings, by their operator names."""
SEEKING = (ByHandSeekingByPackets(), ByHandSeeking())


def by_hand(paths: list[Path], length: int, threads: int) -> np.ndarray:
    """(videos * 10, 3, length, 112, 112) float32"""
    return batch(ByHand(), paths, partial(uniform, length=length), CLIPS, length, threads)


def uniform(frames: int, length: int) -> list[int]:
    return sampling.uniform_starts(frames, length, CLIPS)


def ours(database: str, videos: int, length: int, threads: int) -> np.ndarray:
    """The same through ClipReader, opened anew each time."""
    with ClipReader(database, arguments(videos, length, threads, clip_per_video=CLIPS, decode_type=1)) as reader:
        data = reader.next_batch().data
        try:
            reader.next_batch()
        except EndOfData:
            assert data is not None
            return data
        raise AssertionError("one batch was to hold all videos")


def our_training(database: str, videos: int, length: int, threads: int) -> np.ndarray:
    """One random clip of each video."""
    args = arguments(videos, length, threads, decode_type=0, seed=SEED)
    with ClipReader(database, args) as reader:
        data = reader.next_batch().data
    assert data is not None
    return data


def arguments(videos: int, length: int, threads: int, **others: int) -> VideoInputArgs:
    given = {"batch_size": videos, "length_rgb": length, "num_decode_threads": threads}
    return VideoInputArgs.from_mapping({**FIXED, **given, **others})


def write_database(database: str, paths: list[Path]) -> None:
    """A record each, in this order."""
    with DatabaseWriter(database) as writer:
        for number, path in enumerate(paths):
            writer.write(Record(f"{number:04d}".encode(), path.read_bytes(), (0,)))


def training_by_hand(peer: Any, paths: list[Path], length: int, threads: int) -> np.ndarray:
    """The same clips by seeking. By times that a file states, one of them is another one."""
    out = np.empty((len(paths), 1, 3, length, CROP, CROP), np.float32)

    def read(number: int) -> None:
        draw = float(np.random.default_rng((SEED, 0, number)).random())  # as ClipReader draws it
        peer.read(paths[number], lambda frames: [sampling.random_start(draw, frames, length)], out[number])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, range(len(out))))
    return out[:, 0]


@contextmanager
def videos(folder: Path | None) -> Iterator[list[Path]]:
    """Those to read."""
    if folder is not None:
        yield sorted(path for path in folder.iterdir() if is_video_name(str(path)))
    elif all((SHARED / name).is_file() for name in DEFAULT_VIDEOS):
        yield [SHARED / name for name in DEFAULT_VIDEOS]
    else:
        from make_videos import make_video

        with tempfile.TemporaryDirectory() as made:
            paths = [Path(made) / f"{motion}.mp4" for motion in ("left", "up", "in", "clockwise")]
            for path in paths:
                path.write_bytes(make_video(path.stem, [SEED]))
            yield paths


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--videos", type=Path, metavar="FOLDER")
    flags.add_argument("--length", type=int, default=16, metavar="FRAMES")
    add_options(flags)
    options = flags.parse_args()
    busy = idle_or_exit(options.busy)
    keep_freed_memory()  # as in the tools; else the system clears the memory of each reading anew, a third of the time
    with videos(options.videos) as paths, tempfile.TemporaryDirectory() as folder:
        tables, absent = compare(paths, str(Path(folder) / "db"), options)
    head = f"{machine(options.threads, busy)}, PyAV {av.__version__}, {len(paths)} videos, {options.rounds} rounds"
    report(tables, "\n".join([head, *absent]), options.output)
    return 0


def compare(paths: list[Path], database: str, options: argparse.Namespace) -> tuple[list[Table], list[str]]:
    """The tables, on one thread and on --threads, and what is said of peers that are not here."""
    length = options.length
    repeated = paths * TRAINING_ROUNDS
    for name, listed in ((database, paths), (f"{database}_training", repeated)):
        write_database(name, listed)
    if not np.array_equal(by_hand(paths, length, 1), ours(database, len(paths), length, 2)):
        raise AssertionError("the two do not give the same clips")
    by_packets = training_by_hand(ByHandSeekingByPackets(), repeated, length, 1)
    if not np.array_equal(by_packets, our_training(f"{database}_training", len(repeated), length, 2)):
        raise AssertionError("seeking by packets does not give the same clips")
    peers, absent = available([OpenCV, Decord, TorchCodec, ByHand, DecodingAlone])
    choose = partial(uniform, length=length)
    tables = []
    for threads in sorted({1, options.threads}):
        on = f"{threads} thread{'s' * (threads > 1)}, ms"
        runs: dict[str, Callable[[], object]] = {"VMZ": partial(ours, database, len(paths), length, threads)}
        runs.update({peer.name: partial(batch, peer, paths, choose, CLIPS, length, threads) for peer in peers})
        title = f"{CLIPS} clips of {length} frames of each video, {on}"
        tables.append(Table(title, interleaved(runs, options.rounds)))
        runs = {"VMZ": partial(our_training, f"{database}_training", len(repeated), length, threads)}
        runs.update({peer.name: partial(training_by_hand, peer, repeated, length, threads) for peer in SEEKING})
        title = f"{TRAINING_ROUNDS * len(paths)} random clips of {length} frames, {on}"
        tables.append(Table(title, interleaved(runs, options.rounds)))
    return tables, absent


if __name__ == "__main__":
    sys.exit(main())
