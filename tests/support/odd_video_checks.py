"""What a reader must give of the videos of odd_videos.py, asked through a function that reads clips of a file."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from tests.goldens.recordings import video_path
from tests.support.odd_videos import HEIGHT, KINDS, WIDTH, film, made, obu, rotated, superframe, with_cover
from tests.support.small_videos import video


def frame_numbers(clip: np.ndarray) -> list[int]:
    """The numbers of the frames that a normalised clip (3, T, H, W) took, from the red values of each."""
    red = clip[0].mean(axis=(1, 2)) * 58.1489 + 110.201
    return [int(number) for number in np.rint((red + 1.5) * 219 / 255 / 4)]


# Reads a clip of a file for each start frame: (clips * crops, 3, T, H, W), or the reason why there is none.
Read = Callable[..., list[Union[np.ndarray, str]]]
BASE = {
    "length_rgb": 4,
    "scale_h": HEIGHT,
    "scale_w": WIDTH,
    "crop_size": HEIGHT,
    "random_crop": 0,
    "random_mirror": 0,
}


def numbers(read: Read, file: bytes, starts: Sequence[Optional[int]], **args: Any) -> list[Union[list[int], str]]:
    """As `read`, but the frames' numbers of the first row."""
    found = read(file, starts, **{**BASE, **args})
    return [clip if isinstance(clip, str) else frame_numbers(clip[0]) for clip in found]


def check_start_frames(name: str, read: Read) -> None:
    """Start frame n is the n-th frame shown; one that leaves too few frames is refused with their number."""
    shown = list(KINDS[name].shown)
    last = len(shown) - 4
    starts = [0, 1, 13, last // 2, last - 1, last, last + 1, last + 4]
    *good, three, none = numbers(read, made(name), starts, decode_type=2)
    assert good == [shown[start : start + 4] for start in starts[:-2]]
    assert str(three).startswith("3 frames from its start frame on, but 4 are needed"), three
    assert str(none).startswith("0 frames from its start frame on, but 4 are needed"), none


def check_random_clips(name: str, read: Read) -> None:
    """Every start that leaves enough frames is drawn, none more often than another by much."""
    shown = list(KINDS[name].shown)
    starts = len(shown) - 3
    clips = numbers(read, made(name), [None] * 120, decode_type=0, seed=3)
    possible: list[Union[list[int], str]] = [shown[start : start + 4] for start in range(starts)]
    assert all(clip in possible for clip in clips)
    drawn = [possible.index(clip) for clip in clips]
    assert (min(drawn) <= 2 and max(drawn) >= starts - 3) or name == "times begin again"
    assert len({*drawn}) > 0.4 * len({tuple(clip) for clip in possible})
    assert sum(place < starts / 2 for place in drawn) in range(40, 81) or name == "times begin again"


# {codec: options of its encoder}, for frames to which no other refers.
UNREFERENCED = {
    "libx264": {"x264-params": "keyint=40:scenecut=0:bframes=3:b-adapt=0:b-pyramid=normal:log-level=none"},
    "libx265": {"x265-params": "keyint=40:bframes=3:scenecut=0:log-level=none:pools=1:frame-threads=1"},
    "mpeg4": {"g": "40", "bf": "2"},
    "mpeg1video": {"g": "40", "bf": "2"},
    "mpeg2video": {"g": "40", "bf": "2"},
}

DAMAGED = (240891, 166172)  # bytes of arm_wrestling.mp4, in frames to which many others refer


def unreferenced(codec: str, frames: int) -> bytes:
    """A video of a picture that moves, with such frames."""
    with tempfile.TemporaryDirectory() as folder:
        return video(Path(folder) / "video.mp4", 1, frames=frames, codec=codec, options=UNREFERENCED[codec])


def check_frames_passed_over(codec: str, read: Read) -> None:
    """What a seek leads to has the very pixels that decoding from the start gives."""
    starts, args = range(33, 77), {**BASE, "decode_type": 2}
    file = unreferenced(codec, 80)
    [every] = read(file, [None], **{**args, "decode_type": 1, "clip_start_positions": [*starts]})
    assert not isinstance(every, str) and len({clip.tobytes() for clip in every}) == len(starts)
    for start, found, wanted in zip(starts, read(file, starts, **args), every):
        assert not isinstance(found, str) and np.array_equal(found[0], wanted), start


def check_damage_on_the_way(read: Read) -> None:
    """A frame that the decoder mends is mended by what it decoded last: with damage, all frames are decoded."""
    file = bytearray(video_path("arm_wrestling.mp4").read_bytes())
    for place in DAMAGED:
        file[place : place + 64] = bytes(64)
    starts, args = range(44, 200, 5), {**BASE, "decode_type": 2}
    [every] = read(bytes(file), [None], **{**args, "decode_type": 1, "clip_start_positions": [*starts]})
    assert not isinstance(every, str), every
    for start, found, wanted in zip(starts, read(bytes(file), starts, **args), every):
        assert not isinstance(found, str) and np.array_equal(found[0], wanted), start


SOUGHT = ("mp4", "mkv")  # H.264 with B frames: AVI does not tell when its frames are shown


def check_damage_is_passed_by(ending: str, read: Read) -> None:
    """Damage before the key frame that a clip needs is never met; decoding from the start ends there."""
    no_parameters = b"\0\0\0\1\x61\x88\x03\x2f" + b"\x7f" * 50  # a slice that names parameters which are not there
    file = film(ending=ending, change=lambda place, data: no_parameters if place == 5 else data)
    bad, good = numbers(read, file, [3, 40], decode_type=2)
    assert "(decoding ended there: Invalid data found" in str(bad), bad
    assert good == [40, 41, 42, 43]


def check_uniform_clips(name: str, read: Read) -> None:
    """Spread from the first frame to the last one shown."""
    shown = list(KINDS[name].shown)
    [clips] = read(made(name), [None], **{**BASE, "decode_type": 1, "clip_per_video": 3})
    step = (len(shown) - 4) / 2
    starts = [0, int(step), int(2 * step)]
    assert not isinstance(clips, str), clips
    assert [frame_numbers(clip) for clip in clips] == [shown[start : start + 4] for start in starts]


# Display matrices (a, b, c, d), and the corner that the upper left quarter of a frame is shown in.
TURNS = {
    "as it is": ((1, 0, 0, 1), (0, 0)),
    "clockwise": ((0, 1, -1, 0), (0, 1)),
    "counterclockwise": ((0, -1, 1, 0), (1, 0)),
    "half a turn": ((-1, 0, 0, -1), (1, 1)),
    "mirrored": ((-1, 0, 0, 1), (0, 1)),
    "upside down": ((1, 0, 0, -1), (1, 0)),
    "transposed": ((0, 1, 1, 0), (0, 0)),
    "along the other diagonal": ((0, -1, -1, 0), (1, 1)),
}


def check_turn(name: str, read: Read, **args: Any) -> None:
    """Frames are turned only when asked, and sizes are then those of the turned frames."""
    matrix, corner = TURNS[name]
    file = rotated(film(8, codec="mpeg4", quarter=True), matrix)
    assert white_corner(read(file, [None], **{**BASE, "decode_type": 1, **args})) == (0, 0)
    turned = {**BASE, "decode_type": 1, "autorotate": 1, **args}
    assert white_corner(read(file, [None], **turned)) == corner
    edge = {**turned, "video_res_type": 1, "short_edge": HEIGHT, "crop_per_clip": 2}  # crops along the longer side
    [crops] = read(file, [None], **edge)
    assert not isinstance(crops, str), crops
    down = matrix[0] == 0
    halves = [
        [bool(half.mean() > crop[0].mean()) for half in np.array_split(crop[0, 0], 2, int(down))] for crop in crops
    ]
    assert len(crops) == 2 and halves[0] != [False, False]


def white_corner(found: list[Union[np.ndarray, str]]) -> tuple[int, int]:
    """(down, across) of the quarter that is white."""
    [clips] = found
    assert not isinstance(clips, str), clips
    frame = clips[0, 0, 0]
    quarters = {
        (down, across): quarter.mean()
        for down, half in enumerate(np.array_split(frame, 2, 0))
        for across, quarter in enumerate(np.array_split(half, 2, 1))
    }
    return max(quarters, key=lambda place: float(quarters[place]))


def check_faults(read: Read) -> None:
    """With original_start_faults=1 frames are found by a share of the stated duration, as the original finds them."""
    faults = {"decode_type": 2, "original_start_faults": 1}
    assert numbers(read, made("plain"), [10, 33], **faults) == [[10, 11, 12, 13], [33, 34, 35, 36]]
    assert numbers(read, made("times begin at 3 s"), [10, 33], **faults) == [[0, 1, 2, 3], [0, 1, 2, 3]]
    # 25 of 50 stated frames are shown, so each counts half
    assert numbers(read, made("edit list, cut at both ends"), [20, 33], **faults) == [
        [30, 31, 32, 33],
        [37, 38, 39, 40],
    ]
    assert numbers(read, film(ending="mkv"), [10], **faults) == [[0, 1, 2, 3]]
    random = {"decode_type": 0, "seed": 3, "original_start_faults": 1}
    assert {tuple(clip) for clip in numbers(read, made("times begin at 3 s"), [None] * 20, **random)} == {(0, 1, 2, 3)}


def check_rubbish(read: Read) -> None:
    """What follows a good frame in its packet ends the video after it, not before it."""
    rubbish = bytes(range(200, 250))
    vp9 = film(30, "mkv", "libvpx-vp9", change=lambda place, data: superframe(data, rubbish) if place == 12 else data)
    av1 = film(30, "mkv", "libsvtav1", change=lambda place, data: data + obu(rubbish) if place == 12 else data)
    for file in (vp9, av1):
        good, bad = numbers(read, file, [9, 10], decode_type=2)
        assert good == [9, 10, 11, 12]
        assert str(bad).startswith("3 frames (decoding ended there: Invalid data found"), bad


def check_cut_jpeg(read: Read) -> None:
    """A JPEG that lacks its end ends the video before it: its decoder would fill it with an earlier picture."""

    def cut(place: int, data: bytes) -> bytes:
        return data[: data.index(b"\xff\xda") + 16] + b"\xff\xd9" if place == 12 else data

    whole, damaged = (
        read(film(30, "avi", "mjpeg", pixel_format="yuvj420p", change=change), [8, 10], **BASE, decode_type=2)
        for change in (None, cut)
    )
    assert np.array_equal(whole[0], damaged[0]) and not isinstance(whole[1], str)
    assert str(damaged[1]).startswith("2 frames (decoding ended there: Invalid data found"), damaged[1]


@functools.cache
def long_film() -> bytes:
    """More frames than the original reads of a video."""
    return film(10_040, "mkv", "ffv1")


def check_long(read: Read) -> None:
    """All frames count, unless max_frames says otherwise."""
    for limit, last in ((0, 10_036), (10_000, 9_996), (20_000, 10_036)):
        uniform = {**BASE, "decode_type": 1, "clip_per_video": 3, "max_frames": limit}
        [clips] = read(long_film(), [None], **uniform)
        assert not isinstance(clips, str), clips
        starts = [0, last // 2, last]
        assert [frame_numbers(clip) for clip in clips] == [[n % 55 for n in range(s, s + 4)] for s in starts]
        found = numbers(read, long_film(), [10_030], decode_type=2, max_frames=limit)
        if limit == 10_000:
            assert "no more are read with max_frames=10000" in str(found[0])
        else:
            assert found == [[n % 55 for n in range(10_030, 10_034)]]


def check_only_a_cover(read: Read) -> None:
    [reason] = read(with_cover("mp4", ["sound", "cover"]), [None], **{**BASE, "decode_type": 1})
    assert reason == "the file has no video stream, only a cover picture"


def check_aslant(read: Read) -> None:
    file = rotated(film(8, codec="mpeg4"), (0.7071, 0.7071, -0.7071, 0.7071))
    assert numbers(read, file, [None], decode_type=1) == [[0, 1, 2, 3]]
    [reason] = read(file, [None], **{**BASE, "decode_type": 1, "autorotate": 1})
    assert str(reason).startswith(
        "its metadata rotates it by -45 degrees; autorotate=1 supports only multiples of 90 degrees"
    )
