"""Frames at a rate of one's own: for each time the last frame shown by then, the same on both engines."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.recordings import video_path
from tests.video.test_untrimmed import film
from vmz.engines.net_reader import open_reader
from vmz.errors import UsageError, VmzError
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.frames.decoding import DecodingError, Video
from vmz.video.frames.resampling import Resampled, resampled_frames
from vmz.video.frames.scaling import to_pixels
from vmz.video.frames.shown_times import ShownTimes
from vmz.video.untrimmed import WindowReader
from vmz.video.views import read_views

ARGS = {
    "batch_size": 1, "length_rgb": 1, "scale_h": 16, "scale_w": 16, "crop_size": 16, "random_crop": 0,
    "random_mirror": 0, "decode_type": 1, "num_decode_threads": 1, "on_bad_video": "stop",
}  # fmt: skip
EVERY_40_MS = [40 * number for number in range(30)]
# name: (file, times in units, the unit)
FILMS: dict[str, tuple[str, list[int], Fraction]] = {
    "25 a second": ("a.mp4", list(range(30)), Fraction(1, 25)),
    "25 a second, milliseconds": ("a.mkv", EVERY_40_MS, Fraction(1, 1000)),
    "30 a second, milliseconds": ("b.mkv", [round(1000 * number / 30) for number in range(30)], Fraction(1, 1000)),
    "30000/1001": ("b.mp4", [1001 * number for number in range(30)], Fraction(1, 30000)),
    "not from 0": ("c.mkv", [7000 + time for time in EVERY_40_MS], Fraction(1, 1000)),
    "uneven": ("d.mkv", [0, 5, 9, 100, 101, 180, 400, 420, 421, 500, 900, 930], Fraction(1, 1000)),
    "avi": ("a.avi", list(range(30)), Fraction(1, 25)),
}
RATES = (1, 5, 8, 12, 15, 16, 25, 30, 60)


def made(folder: Path, name: str) -> str:
    file, times, base = FILMS[name]
    return film(folder / file, times, base)


def by_the_rule(path: str, fps: int) -> list[int]:
    """Numbers of the frames that are the last shown by 0, 1 / fps, ... seconds, by the file's own times."""
    with Video(path) as video:
        shown = ShownTimes(video.time_base, video.rate, video.times_may_restart)
        times = [shown.next(timestamp) for _, timestamp in video.read()]
        slip = min(video.time_base / 2, Fraction(1, 2000))
    count = int((times[-1] + slip) * fps) + 1
    return [max(n for n, time in enumerate(times) if time - slip <= Fraction(k, fps)) for k in range(count)]


def read(path: str, engine: str, folder: Path, **more: Any) -> np.ndarray:
    database = folder / f"db_{len(list(folder.iterdir()))}"
    with DatabaseWriter(database) as writer:
        writer.write(Record(b"0", path.encode(), (1,), more.pop("start_frame", None)))
    args = VideoInputArgs.from_mapping({**ARGS, "use_local_file": 1, **more})
    with open_reader(str(database), args, engine) as reader:
        batch = reader.next_batch()
    data = batch.data if batch.data is not None else batch.flow
    assert data is not None
    return data


class Numbers:
    """Which frames of a video clips of one frame are, by their pixels."""

    def __init__(self, path: str, engine: str, folder: Path, frames: int = 30) -> None:
        plain = read(path, engine, folder, clip_start_positions=list(range(frames)))
        self._numbers = {frame.tobytes(): number for number, frame in enumerate(plain)}
        assert len(self._numbers) == frames

    def __call__(self, clips: np.ndarray) -> list[int]:
        return [self._numbers[np.ascontiguousarray(clip).tobytes()] for clip in clips]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", FILMS)
def test_each_frame_is_the_last_one_shown_by_its_time(engine: str, name: str, tmp_path: Path) -> None:
    path = made(tmp_path, name)
    frame_numbers = Numbers(path, engine, tmp_path, len(FILMS[name][1]))
    for fps in RATES:
        wanted = by_the_rule(path, fps)
        positions = list(range(len(wanted)))
        found = frame_numbers(read(path, engine, tmp_path, fps=fps, clip_start_positions=positions))
        assert found == wanted, fps
        says = f"{len(wanted)} frames?, but {len(wanted) + 1} are needed for .* --fps={fps}"
        with pytest.raises(VmzError, match=says):
            read(path, engine, tmp_path, fps=fps, clip_start_positions=[len(wanted)])


def test_the_rule_in_figures(tmp_path: Path) -> None:
    assert by_the_rule(made(tmp_path, "25 a second"), 10) == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27]
    assert by_the_rule(made(tmp_path, "avi"), 10) == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27]
    assert by_the_rule(made(tmp_path, "30 a second, milliseconds"), 30) == list(range(30))  # whatever its clock rounds
    assert by_the_rule(made(tmp_path, "30000/1001"), 30) == [0, *range(29)]
    assert by_the_rule(made(tmp_path, "uneven"), 5) == [0, 5, 6, 9, 9]
    assert by_the_rule(made(tmp_path, "25 a second"), 50)[:6] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_way_to_draw_clips_counts_resampled_frames(engine: str, tmp_path: Path) -> None:
    """Uniform clips, one from a start frame, random ones, several frames apart, and no more than --max_frames."""
    path = made(tmp_path, "25 a second")
    frame_numbers = Numbers(path, engine, tmp_path)
    wanted = by_the_rule(path, 10)
    starts = [0, 4, 9]  # of 12 frames, 3 needed
    both = read(path, engine, tmp_path, fps=10, length_rgb=2, clip_per_video=3, sampling_rate_rgb=2)
    pairs = [frame_numbers(both[:, :, [place]]) for place in (0, 1)]
    assert list(zip(*pairs)) == [(wanted[start], wanted[start + 2]) for start in starts]
    found = read(path, engine, tmp_path, fps=10, decode_type=2, start_frame=6)
    assert frame_numbers(found) == [wanted[6]]
    drawn = {frame_numbers(read(path, engine, tmp_path, fps=10, decode_type=0, seed=seed))[0] for seed in range(1, 25)}
    assert drawn <= set(wanted) and len(drawn) > 6 and max(drawn) > 20
    with pytest.raises(VmzError, match=r"4 frames \(no more are read with max_frames=4\), but 5 are needed"):
        read(path, engine, tmp_path, fps=10, clip_start_positions=[4], max_frames=4)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_frame_rate_that_is_asked_for_changes_nothing_else(engine: str, tmp_path: Path) -> None:
    """At its own rate a video gives the clips that it gives without."""
    path = made(tmp_path, "25 a second")
    more = {"length_rgb": 4, "clip_per_video": 4}
    assert np.array_equal(read(path, engine, tmp_path, fps=25, **more), read(path, engine, tmp_path, **more))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["portrait.mp4", "odd_size.avi", "corrupted.mp4", "flipping_a_pancake.mkv"])
def test_real_videos_follow_the_rule(engine: str, name: str, tmp_path: Path) -> None:
    path = str(video_path(name))
    for fps in (7, 24):
        wanted = by_the_rule(path, fps)
        plain = read(path, engine, tmp_path, clip_start_positions=sorted(set(wanted)))
        where = {number: row for row, number in enumerate(sorted(set(wanted)))}
        found = read(path, engine, tmp_path, fps=fps, clip_start_positions=list(range(len(wanted))))
        assert np.array_equal(found, plain[[where[number] for number in wanted]])


def test_how_many_frames_there_are_is_known_beforehand(tmp_path: Path) -> None:
    for name in FILMS:
        path = made(tmp_path, name)
        for fps in RATES:
            assert resampled_frames(path, None, fps) == len(by_the_rule(path, fps)), (name, fps)
            with Video(path) as video:
                frames = Resampled(video, fps)
                assert [time for _, time in frames] == [Fraction(k, fps) for k in range(len(by_the_rule(path, fps)))]
                assert frames.is_over


def test_windows_along_a_video_and_views_of_frames(tmp_path: Path) -> None:
    path = made(tmp_path, "25 a second")
    frame_numbers = Numbers(path, "pytorch", tmp_path)
    args = VideoInputArgs.from_mapping({**ARGS, "fps": 10, "length_rgb": 2})
    windows = list(WindowReader(path, args, Fraction(1, 2)))
    assert [window.start_frame for window in windows] == [0, 5, 10]
    assert [window.start_seconds for window in windows] == [0.0, 0.5, 1.0] and windows[0].end_seconds == 0.1
    assert frame_numbers(np.stack([window.clip[0] for window in windows])[:, :, :1]) == [0, 12, 25]
    found = read_views(path, args, 3)
    assert found.spans == ((0.0, 0.1), (0.5, 0.6), (1.0, 1.1))
    frames = np.stack([np.full((16, 16, 3), 7 * number, np.uint8) for number in range(30)])
    shown = to_pixels(np.moveaxis(read_views(frames, args, 3, fps=25).clips, 1, 0))
    assert (shown[0, :, 0, 0, 0] // 7).tolist() == [0, 12, 25]
    with pytest.raises(UsageError, match="the rate of these frames is not known; give it as fps="):
        read_views(frames, args)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"fps": 241}, "fps=241 must be at most 240"),
        ({"fps": -1}, "fps=-1 must be at least 0"),
        ({"fps": 5, "image_as_input": 1}, "fps=5 does not go with image_as_input=1"),
        ({"fps": 5, "original_start_faults": 1}, "fps=5 does not go with original_start_faults=1"),
    ],
)
def test_what_does_not_go_with_it_is_refused(arguments: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        VideoInputArgs.from_mapping({**ARGS, **arguments})


class _NoTimes:
    """Frames without timestamps, of a container that states no rate."""

    time_base, rate, times_may_restart = Fraction(0), 0.0, False

    def read(self) -> list[tuple[object, Optional[int]]]:
        return [(object(), None)] * 3


def test_frames_without_times_are_a_reason() -> None:
    with pytest.raises(DecodingError, match="its frames have no timestamps and it states no frame rate"):
        list(Resampled(_NoTimes(), 5))  # type: ignore[arg-type]
