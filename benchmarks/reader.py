"""The reader against OpenCV, decord, torchcodec and PyAV used by hand, and against decoding alone.

Two tables: the 10-clip protocol (10 clips of 16 frames of each video at 128x171, crops of 112), and training clips (one
of 16 frames at random of each video, four rounds). Each on 1 and on 2 threads, which read a video each; each peer
is used as well as it can be (reader_peers.py). PyAV by hand gives the same numbers (checked). Runs are interleaved;
medians of wall milliseconds; a ratio above 1: ours is faster.

    pip install --target peers --no-deps decord opencv-python-headless torchcodec
    PYTHONPATH=peers python benchmarks/reader.py [--videos FOLDER] [--rounds 7] [--length 16]

Without --videos: those of ../shared/videos, or where there are none, of the demo, which are made.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import av
import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "scripts" / "demo")]

from reader_peers import (  # noqa: E402 - its folder is not on the path before
    CROP,
    HEIGHT,
    WIDTH,
    ByHand,
    ByHandSeeking,
    DecodingAlone,
    Decord,
    OpenCV,
    TorchCodec,
    available,
    batch,
)

from vmz.cores import available_cores  # noqa: E402
from vmz.video import sampling  # noqa: E402
from vmz.video.arguments import VideoInputArgs  # noqa: E402
from vmz.video.database import DatabaseWriter  # noqa: E402
from vmz.video.frames.suffixes import is_video_name  # noqa: E402
from vmz.video.reader import ClipReader, EndOfData  # noqa: E402
from vmz.video.records import Record  # noqa: E402

SHARED = Path(__file__).resolve().parents[2] / "shared" / "videos"
DEFAULT_VIDEOS = ("arm_wrestling.mp4", "nasa_13013.mp4", "bikes.mp4", "flipping_a_pancake.mkv")
CLIPS, TRAINING_ROUNDS, SEED = 10, 4, 1
MOST_LOAD = 0.5  # of what others do, for each core


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
    """One random clip of each video, TRAINING_ROUNDS times."""
    args = arguments(videos * TRAINING_ROUNDS, length, threads, decode_type=0, wrap_around=1, seed=SEED)
    with ClipReader(database, args) as reader:
        data = reader.next_batch().data
    assert data is not None
    return data


def arguments(videos: int, length: int, threads: int, **others: int) -> VideoInputArgs:
    values = {"scale_h": HEIGHT, "scale_w": WIDTH, "crop_size": CROP, "random_crop": 0, "random_mirror": 0}
    values.update(batch_size=videos, length_rgb=length, num_decode_threads=threads, wrap_around=0)
    return VideoInputArgs.from_mapping({**values, **others})


def training_by_hand(paths: list[Path], length: int, threads: int) -> np.ndarray:
    """As many random clips by seeking."""
    random = np.random.default_rng(SEED)

    def choose(frames: int) -> list[int]:
        return [sampling.random_start(float(random.random()), frames, length)]

    return batch(ByHandSeeking(), paths * TRAINING_ROUNDS, choose, 1, length, threads)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def interleaved(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Wall milliseconds of each round of each run, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            taken = 1000 * seconds(run)
            if number:
                times[name].append(taken)
    return times


def print_table(title: str, by_threads: dict[int, dict[str, list[float]]]) -> None:
    """Medians, their spread (of the middle half), and ratios to ours."""
    print(f"\n{title}\n{'':24}" + "".join(f"{f'{count} thread' + 's' * (count > 1):>30}" for count in by_threads))
    own = {count: statistics.median(times["VMZ"]) for count, times in by_threads.items()}
    for name in next(iter(by_threads.values())):
        cells = []
        for count, times in by_threads.items():
            low, middle, high = statistics.quantiles(times[name], n=4)
            cells.append(f"{middle:7.0f} ms ({low:.0f}-{high:.0f}) {middle / own[count]:5.2f}x".rjust(30))
        print(f"{name:24}" + "".join(cells))


def refuse_where_busy() -> None:
    """Leave where others compute: their share would be in the figures."""
    load, cores = os.getloadavg()[0], available_cores()
    if load > MOST_LOAD * cores:
        raise SystemExit(
            f"the machine is busy: a load of {load:.2f} on {cores} cores; wait, or give --busy to run anyway"
        )


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
    flags.add_argument("--rounds", type=int, default=7, metavar="N")
    flags.add_argument("--length", type=int, default=16, metavar="FRAMES")
    flags.add_argument("--busy", action="store_true", help="run on a busy machine too")
    options = flags.parse_args()
    if not options.busy:
        refuse_where_busy()
    with videos(options.videos) as paths, tempfile.TemporaryDirectory() as folder:
        compare(paths, str(Path(folder) / "db"), options.length, options.rounds)
    return 0


def compare(paths: list[Path], database: str, length: int, rounds: int) -> None:
    """Print the two tables."""
    with DatabaseWriter(database) as writer:
        for number, path in enumerate(paths):
            writer.write(Record(f"{number:04d}".encode(), path.read_bytes(), (0,)))
    if not np.array_equal(by_hand(paths, length, 1), ours(database, len(paths), length, 2)):
        raise AssertionError("the two do not give the same clips")
    peers, absent = available([OpenCV, Decord, TorchCodec, ByHand, DecodingAlone])
    print(
        f"PyAV {av.__version__}, {len(paths)} videos, median of {rounds}, load {os.getloadavg()[0]:.2f}",
        *absent,
        sep="\n",
    )
    choose = partial(uniform, length=length)
    protocol, training = {}, {}
    for threads in (1, 2):
        runs: dict[str, Callable[[], object]] = {"VMZ": partial(ours, database, len(paths), length, threads)}
        runs.update({peer.name: partial(batch, peer, paths, choose, CLIPS, length, threads) for peer in peers})
        protocol[threads] = interleaved(runs, rounds)
        runs = {
            "VMZ": partial(our_training, database, len(paths), length, threads),
            ByHandSeeking.name: partial(training_by_hand, paths, length, threads),
        }
        training[threads] = interleaved(runs, rounds)
    print_table(f"{CLIPS} clips of {length} frames of each video", protocol)
    print_table(f"{TRAINING_ROUNDS * len(paths)} random clips of {length} frames", training)


if __name__ == "__main__":
    sys.exit(main())
