"""../shared/cases: small files that readers got wrong, and the checks of them. Where they are missing, tests skip."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tests.goldens.recordings import SHARED
from tests.support.odd_video_checks import Read
from vmz.video.frames.decoding import Video
from vmz.video.frames.scaling import Scaler

CASES = SHARED / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"no {CASES}; set VMZ_SHARED to run this")

# Frames that are shown, and the start frames that are tried with clips of 8.
FILES = {
    "plain.mp4": 50,
    "cover_first.mp4": 50,
    "start3.mp4": 50,
    "trim_editlist.mp4": 60,
    "ts_restart.ts": 150,
    "pal8_raw.avi": 25,
    "vp9_superframe_bad_end.webm": 13,
    "rotated90.mp4": 50,
    "bad_packet_middle.mp4": 18,
}
LENGTH, SIZE = 8, 96
ARGS = {
    "length_rgb": LENGTH,
    "scale_h": SIZE,
    "scale_w": SIZE,
    "crop_size": SIZE,
    "random_crop": 0,
    "random_mirror": 0,
}


def content(name: str) -> bytes:
    return (CASES / name).read_bytes()


@functools.cache
def every_frame(name: str) -> list[np.ndarray]:
    """Each frame of a decode from start to end, as uint8 (96, 96, 3)."""
    with Video(content(name)) as video:
        scaler = Scaler(SIZE, SIZE)
        return [scaler.convert(frame).copy() for frame, _ in video.read()]


def start_of(name: str, clip: np.ndarray) -> int:
    """The number of the first frame of a clip (3, 8, 96, 96), whose frames must follow each other."""
    mean, std = np.array([110.201, 100.64, 95.9966]), np.array([58.1489, 56.4701, 55.3324])
    pixels = np.rint(clip.transpose(1, 2, 3, 0) * std + mean).astype(np.uint8)
    frames = every_frame(name)
    [start] = [
        place
        for place in range(len(frames) - LENGTH + 1)
        if all(np.array_equal(*pair) for pair in zip(pixels, frames[place : place + LENGTH]))
    ]
    return start


def check_frames(name: str) -> None:
    """As many as are shown, none of them black, of the real stream's size."""
    frames = every_frame(name)
    assert len(frames) == FILES[name]
    assert all(frame.std() > 20 and frame.mean() > 40 for frame in frames)


def check_starts(name: str, read: Read) -> None:
    """Start frame n, and one that does not leave enough frames."""
    count = FILES[name]
    starts = sorted({0, 5, *(start for start in (10, 17, 30, 40, 52, 100) if start + LENGTH <= count), count - LENGTH})
    *found, late = read(content(name), [*starts, count - LENGTH + 1], **ARGS, decode_type=2)
    assert [start_of(name, clip[0]) for clip in found if not isinstance(clip, str)] == starts
    if name == "bad_packet_middle.mp4":
        assert str(late).startswith("7 frames (decoding ended there: Invalid data found"), late
    else:
        assert str(late).startswith("7 frames"), late


def check_random(name: str, read: Read) -> None:
    """Random clips are spread over the whole video."""
    last = FILES[name] - LENGTH
    clips = read(content(name), [None] * 32, **ARGS, decode_type=0, seed=5)
    if name == "bad_packet_middle.mp4":  # clips behind the damaged packet are good ones too
        return
    starts = [start_of(name, clip[0]) for clip in clips if not isinstance(clip, str)]
    assert len(starts) == 32 and min(starts) <= last * 0.15 and max(starts) >= last * 0.85
    assert len({*starts}) >= min(0.4 * last, 14)
    assert 8 <= sum(start <= last / 2 for start in starts) <= 26


def check_uniform(name: str, read: Read) -> None:
    last = FILES[name] - LENGTH
    [clips] = read(content(name), [None], **ARGS, decode_type=1, clip_per_video=3)
    assert not isinstance(clips, str), clips
    assert [start_of(name, clip) for clip in clips] == [0, last // 2, last]


def check_faults(read: Read) -> None:
    """What the original finds: by a share of the stated duration."""
    faults = {**ARGS, "decode_type": 2, "original_start_faults": 1}
    for name, starts, wanted in (
        ("plain.mp4", [10, 30], [10, 30]),
        ("start3.mp4", [10, 30], [0, 0]),
        ("trim_editlist.mp4", [10, 30], [6, 18]),
    ):
        found = read(content(name), starts, **faults)
        assert [start_of(name, clip[0]) for clip in found if not isinstance(clip, str)] == wanted, name


def check_rotated(read: Read) -> None:
    """Not turned, unless asked."""
    plain, rotated, turned = (
        read(content(name), [None], **ARGS, decode_type=1, autorotate=turn)[0]
        for name, turn in (("plain.mp4", 0), ("rotated90.mp4", 0), ("rotated90.mp4", 1))
    )
    assert np.array_equal(plain, rotated)
    assert np.array_equal(np.rot90(plain, 1, (-2, -1)), turned)  # 90 degrees counterclockwise, as FFmpeg states it
