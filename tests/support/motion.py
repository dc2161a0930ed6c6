"""A small LMDB of the demo's synthetic videos: real files, to train and evaluate on."""

from __future__ import annotations

import sys
from pathlib import Path

from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "demo"))

import make_videos  # noqa: E402

CLASSES = list(make_videos.MOTIONS)

# The smallest network that trains on them in tenths of a second an iteration.
TINY_NETWORK = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.05", f"--num_labels={len(CLASSES)}",
    "--clip_length_rgb=2", "--num_decode_threads=1", "--num_gpus=0",
]  # fmt: skip


def write_motion_database(path: Path, videos_per_class: int = 1, seed: int = 1) -> Path:
    """An LMDB of `videos_per_class` videos of each class, interleaved. A quarter of a second a video."""
    with DatabaseWriter(path) as writer:
        for number in range(videos_per_class * len(CLASSES)):
            label = number % len(CLASSES)
            video = make_videos.make_video(CLASSES[label], (seed, number // len(CLASSES), label))
            writer.write(Record(b"%05d" % number, video, (label,), None, None))
    return path
