"""The campaign's damaged videos, images, LMDBs and records as files, for tools that read files: those of ops/tests.

    python -m tests.campaign.inputs FOLDER [--count 200] [--seed 1]

makes FOLDER/containers, FOLDER/images, FOLDER/lmdb, FOLDER/records and FOLDER/sound, the same files for the same seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.campaign.mutations.drawing import mutated_bytes
from tests.campaign.mutations.record_mutations import records
from tests.support.damaged_databases import deep_and_wide, flipped, truncated
from tests.support.hostile_videos import PLAYLISTS, of_format, playlist, png, slow_jpeg
from tests.support.odd_videos import KINDS, film, made
from tests.support.sound_videos import KINDS as SOUND


def containers(seed: int, count: int) -> Iterator[bytes]:
    """Good and odd videos, damaged ones, and what is none."""
    videos = [made(name) for name in KINDS] + [film(20, "mkv", "ffv1"), of_format("gif", "gif")]
    yield from videos[:count]
    yield from [playlist(name, "http://127.0.0.1:9", 9, Path("/etc/hostname")) for name in PLAYLISTS][: count // 4]
    yield from _damaged(videos, seed, count)


def sound(seed: int, count: int) -> Iterator[bytes]:
    """Videos with sound of every kind, whole and damaged."""
    videos = [kind.file() for kind in SOUND.values()]
    yield from videos[:count]
    yield from _damaged(videos, seed, count)


def _damaged(videos: Sequence[bytes], seed: int, count: int) -> Iterator[bytes]:
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        one, other = chance.choice(videos), chance.choice(videos)
        if chance.random() < 0.2:  # the beginning of one video and the end of another
            one = one[: chance.randrange(len(one))] + other[chance.randrange(len(other)) :]
        yield mutated_bytes(one, chance, 20)


def images(seed: int, count: int) -> Iterator[bytes]:
    """Pictures, whole and damaged."""
    whole = [png(40, 30), png(1, 1), slow_jpeg(64, 5), of_format("image2pipe", "mjpeg", 1)]
    yield from whole
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        yield mutated_bytes(chance.choice(whole), chance, 10)


def lmdbs(seed: int, count: int) -> Iterator[bytes]:
    """LMDBs of branch pages and of long values, cut off and with bytes flipped."""
    with tempfile.TemporaryDirectory() as folder:
        databases = deep_and_wide(Path(folder) / "db")
    for content in databases.values():
        yield content
        yield from list(truncated(content))[: count // 4]
        yield from flipped(content, count // 4, seed)


def values(seed: int, count: int) -> Iterator[bytes]:
    """Values of records, as a database holds them."""
    for number in range(5 * count):
        yield records(seed, number)


MAKERS: dict[str, Callable[[int, int], Iterator[bytes]]] = {
    "containers": containers,
    "images": images,
    "lmdb": lmdbs,
    "records": values,
    "sound": sound,
}


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
