"""The reader against PyAV used by hand, on the 10-clip protocol: batches of videos at 128x171, crops of 112.

By hand means the loop one would write: decode a video, keep its frames, convert those that clips take through the same
filter graph, normalise and stack. Its decoder gets 1 thread, or 2 with FFmpeg's frame threading, to be compared with as
many of ours. Both give the same numbers (checked). Runs are interleaved; medians; a ratio above 1: ours is
faster.

    python benchmarks/reader.py [--videos FILE ...] [--repeat 5]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph

from vmz.video.arguments import VideoInputArgs
from vmz.video.database import DatabaseWriter
from vmz.video.reader import ClipReader, EndOfData
from vmz.video.records import Record

SHARED = Path(__file__).resolve().parents[2] / "shared" / "videos"
DEFAULT_VIDEOS = ("arm_wrestling.mp4", "nasa_13013.mp4", "bikes.mp4", "flipping_a_pancake.mkv")
CLIPS, HEIGHT, WIDTH, CROP = 10, 128, 171, 112
MEAN = np.array([110.201, 100.64, 95.9966], np.float32)
STD = np.array([58.1489, 56.4701, 55.3324], np.float32)


def by_hand(paths: list[Path], length: int, threads: int) -> np.ndarray:
    """(videos * 10, 3, length, 112, 112) float32"""
    return np.concatenate([clips_by_hand(path, length, threads) for path in paths])


def clips_by_hand(path: Path, length: int, threads: int) -> np.ndarray:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "FRAME" if threads > 1 else "NONE"
        frames = list(container.decode(stream))
    graph = Graph()
    first = frames[0]
    source = graph.add_buffer(
        width=first.width, height=first.height, format=first.format.name, time_base=Fraction(1, 1000)
    )
    scale = graph.add("scale", f"{WIDTH}:{HEIGHT}:flags=fast_bilinear:in_color_matrix=bt601:in_range=tv")
    graph.link_nodes(source, scale, graph.add("format", "rgb24"), graph.add("buffersink"))
    graph.configure()
    step = np.float32(len(frames) - length) / np.float32(CLIPS - 1)
    top, left = (HEIGHT - CROP) // 2, (WIDTH - CROP) // 2
    clips = []
    for clip in range(CLIPS):
        start = int(np.float32(clip) * step)
        pixels = []
        for frame in frames[start : start + length]:
            graph.push(frame)
            pixels.append(graph.pull().to_ndarray()[top : top + CROP, left : left + CROP])
        normal = (np.stack(pixels).astype(np.float32) - MEAN) * (np.float32(1) / STD)
        clips.append(normal.transpose(3, 0, 1, 2))
    return np.stack(clips)


def ours(database: str, videos: int, length: int, threads: int) -> np.ndarray:
    """The same through ClipReader, opened anew each time."""
    args = VideoInputArgs.from_mapping(
        {
            "batch_size": videos,
            "clip_per_video": CLIPS,
            "decode_type": 1,
            "length_rgb": length,
            "scale_h": HEIGHT,
            "scale_w": WIDTH,
            "crop_size": CROP,
            "random_crop": 0,
            "random_mirror": 0,
            "num_decode_threads": threads,
            "wrap_around": 0,
        }
    )
    with ClipReader(database, args) as reader:
        data = reader.next_batch().data
        try:
            reader.next_batch()
        except EndOfData:
            return data
        raise AssertionError("one batch was to hold all videos")


def seconds(run: Callable[[], np.ndarray]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--videos", nargs="+", type=Path, default=[SHARED / name for name in DEFAULT_VIDEOS])
    flags.add_argument("--repeat", type=int, default=5)
    options = flags.parse_args()
    paths = options.videos
    print(f"PyAV {av.__version__}, {len(paths)} videos, {CLIPS} clips each, median of {options.repeat}")
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "db")
        with DatabaseWriter(database) as writer:
            for number, path in enumerate(paths):
                writer.write(Record(f"{number:04d}".encode(), path.read_bytes(), (0,)))
        for length in (8, 16):
            if not np.array_equal(by_hand(paths, length, 1), ours(database, len(paths), length, 2)):
                raise AssertionError("the two do not give the same clips")
            for threads in (1, 2):
                times: dict[str, list[float]] = {"by hand": [], "ours": []}
                for _ in range(options.repeat):
                    times["by hand"].append(seconds(lambda: by_hand(paths, length, threads)))  # noqa: B023 - called now
                    times["ours"].append(seconds(lambda: ours(database, len(paths), length, threads)))  # noqa: B023
                hand, own = (statistics.median(times[name]) for name in ("by hand", "ours"))
                print(
                    f"{length:2} frames, {threads} thread{'s' if threads > 1 else ' '}: by hand {hand:.3f} s, "
                    f"ours {own:.3f} s, {len(paths) / own:.1f} videos/s, ratio {hand / own:.2f}"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
