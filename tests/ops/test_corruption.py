"""Damaged videos in a loop: no crash, no hang, no stale clip, no leak. 500 variants (slow), 35 in every run."""

import ctypes
import hashlib
import sys
from statistics import median
from typing import Union

import numpy as np
import pytest

from tests.goldens.recordings import VIDEOS, needs_shared, video_path
from tests.ops.helpers.corruption import KINDS, variant
from tests.ops.helpers.databases import BASE, write_values
from tests.ops.helpers.operator import needs_library, needs_opencv, opened
from vmz.netdef.net_parts import VIDEO_INPUT

pytestmark = [needs_library, needs_shared]

SMALL = ("h265.mp4", "rotate_0.mov", "corrupted.mp4", "arm_wrestling.mp4", "flipping_a_pancake.mkv")

CLIPS = ("data", "flow", "logmels")


def contents(names):
    return [video_path(name).read_bytes() for name in names]


def damaged(folder, videos, count, seed):
    """A database of `count` variants of each video."""
    random = np.random.RandomState(seed)
    values = [
        variant(KINDS[(i + j) % len(KINDS)], videos[j], videos[(j + 1) % len(videos)], i * len(videos) + j, random)
        for i in range(count)
        for j in range(len(videos))
    ]
    return write_values(folder / f"db{seed}", values), len(values)


def memory_mb():
    """What this process holds, less what its allocator keeps of freed memory: that differs by 100 MB between passes."""
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def one_pass(database, operator, **changes):
    """What became of each record: the hash of its clips, or why it was skipped."""
    args = {**BASE, "wrap_around": 0, "on_bad_video": "skip", "get_record_index": 1, "get_skipped": 1, "seed": 3}
    fate: dict[int, Union[str, tuple[int, str]]] = {}
    with opened(database, {**args, **changes}, operator=operator) as reader:
        with pytest.raises(RuntimeError, match="EndOfData"):
            while True:
                batch = reader.run()
                videos = len(batch["record_index"])
                clips = np.concatenate([batch[n].reshape(videos, -1) for n in CLIPS if n in batch], axis=1)
                assert np.isfinite(clips).all()
                labels = batch["label"].reshape(len(clips), -1)[:, 0]
                for index, label, clip in zip(batch["record_index"], labels, clips):
                    assert int(index) not in fate
                    fate[int(index)] = (int(label), hashlib.sha256(clip.tobytes()).hexdigest())
        for key, _, reason in reader.skipped():
            assert int(key) not in fate and reason
            fate[int(key)] = reason
    return fate


def check(folder, videos, count, seed, operator=VIDEO_INPUT, **changes):
    database, records = damaged(folder, videos, count, seed)
    args = {"decode_type": seed % 2, "clip_per_video": 1 + seed % 2, **changes}
    fate = one_pass(database, operator, batch_size=1, num_decode_threads=1, **args)
    assert sorted(fate) == list(range(records))  # each record once: its clips or a reason
    # What a record gives does not depend on what was read before it, or beside it.
    again = one_pass(database, operator, batch_size=3, num_decode_threads=3, **args)
    assert again == fate
    return fate


def test_damaged_videos(tmp_path):
    fate = check(tmp_path, contents(SMALL), 7, seed=1)
    bad = sum(isinstance(entry, str) for entry in fate.values())
    assert len(fate) == 35 and 5 < bad < 30


@needs_opencv
def test_damaged_videos_with_flow(tmp_path):
    fate = check(
        tmp_path, contents(SMALL), 7, seed=1, get_optical_flow=1, length_of=2, frame_gap_of=2, flow_data_type=3
    )
    bad = sum(isinstance(entry, str) for entry in fate.values())
    assert len(fate) == 35 and 5 < bad < 30


@pytest.mark.slow
def test_500_damaged_videos(tmp_path):
    names = sorted(path.name for path in VIDEOS.iterdir())
    assert len(names) == 10
    fates, memory = [], []
    for seed in range(10):
        fates += check(tmp_path, contents(names), 5, seed).values()
        memory.append(memory_mb())
    bad = [entry for entry in fates if isinstance(entry, str)]
    print(f"{len(fates)} variants: {len(fates) - len(bad)} read, {len(bad)} clean errors", file=sys.stderr)
    print(f"memory after each 50, in MB: {[round(m) for m in memory]}", file=sys.stderr)
    assert len(fates) == 500 and 100 < len(bad) < 400
    assert median(memory[-3:]) < median(memory[1:4]) + 60
