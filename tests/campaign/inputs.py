"""The campaign's damaged videos, images and LMDBs as files, for tools that read files: those of ops/tests.

    python -m tests.campaign.inputs FOLDER [--count 200] [--seed 1]

makes FOLDER/containers, FOLDER/images and FOLDER/lmdb, the same files for the same seed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.damaged_databases import deep_and_wide, flipped, truncated
from tests.hostile_videos import PLAYLISTS, of_format, playlist, png, slow_jpeg
from tests.odd_videos import KINDS, film, made
from tests.ops.corruption import KINDS as DAMAGES
from tests.ops.corruption import variant


def containers(seed: int, count: int) -> Iterator[bytes]:
    """Good and odd videos, some of them damaged, and what is none."""
    videos = [made(name) for name in KINDS] + [
        film(20, "mkv", "ffv1"),
        of_format("gif", "gif"),
        film(20, "ts", "mpeg2video"),
    ]
    yield from videos[:count]
    yield from [playlist(name, "http://127.0.0.1:9", 9, Path("/etc/hostname")) for name in PLAYLISTS][: count // 4]
    random = np.random.RandomState(seed)
    damages = DAMAGES[:4]  # of the video itself
    for number in range(count):
        one, other = (videos[random.randint(len(videos))] for _ in range(2))
        content = variant(damages[number % len(damages)], one, other, 0, random)
        yield content


def images(seed: int, count: int) -> Iterator[bytes]:
    """Pictures, whole and damaged."""
    whole = [
        png(40, 30),
        png(1, 1),
        slow_jpeg(64, 5),
        of_format("image2pipe", "mjpeg", 1),
        of_format("image2pipe", "bmp", 1),
    ]
    yield from whole
    random = np.random.RandomState(seed)
    for number in range(count):
        yield variant(DAMAGES[number % 4], whole[random.randint(len(whole))], whole[0], 0, random)


def lmdbs(seed: int, count: int) -> Iterator[bytes]:
    """LMDBs of branch pages and of long values, cut off and with bytes flipped."""
    with tempfile.TemporaryDirectory() as folder:
        databases = deep_and_wide(Path(folder) / "db")
    for content in databases.values():
        yield content
        yield from list(truncated(content))[: count // 4]
        yield from flipped(content, count // 4, seed)


MAKERS: dict[str, Callable[[int, int], Iterator[bytes]]] = {"containers": containers, "images": images, "lmdb": lmdbs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for name, make in MAKERS.items():
        (options.folder / name).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(make(options.seed, options.count)):
            (options.folder / name / f"{number:05d}").write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
