"""The clips of one video: those of the reader, from a path, bytes and frames, with their times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import vmz
from tests.support.small_videos import BAD, database, video
from vmz.errors import UsageError, VmzError
from vmz.video.arguments import VideoInputArgs
from vmz.video.reader import ClipReader
from vmz.video.views import read_views

ARGS: dict[str, Any] = {
    "batch_size": 1, "clip_per_video": 3, "crop_per_clip": 2, "crop_size": 32, "scale_h": 36, "scale_w": 50,
    "length_rgb": 4, "sampling_rate_rgb": 1, "random_crop": 0, "random_mirror": 0, "decode_type": 1,
}  # fmt: skip


@pytest.fixture
def film(tmp_path: Path) -> Path:
    video(tmp_path / "film.mp4", 2, rate=10, frames=25)
    return tmp_path / "film.mp4"


def args(**changes: Any) -> VideoInputArgs:
    return VideoInputArgs.from_mapping({**ARGS, **changes})


def test_they_are_the_readers(tmp_path: Path) -> None:
    path = database(tmp_path, 1)
    with ClipReader(path, args(wrap_around=0)) as reader:
        expected = reader.next_batch().data
    found = read_views(str(tmp_path / "0.mp4"), args())
    of_bytes = read_views((tmp_path / "0.mp4").read_bytes(), args())
    assert expected is not None and np.array_equal(found.clips, expected) and np.array_equal(of_bytes.clips, expected)
    assert found.crops == 2 and found.ended_by is None


def test_where_they_lie(film: Path) -> None:
    found = read_views(str(film), args())
    starts = [0, 10, 21]  # of 25 frames, the last clip at 25 - 4
    assert found.spans is not None and np.allclose(found.spans, [[s / 10, (s + 3) / 10] for s in starts], atol=1e-6)


def test_one_and_as_many_as_asked(film: Path) -> None:
    all_of_it = read_views(str(film), args())
    one = read_views(str(film), args(), "one")
    middle = read_views(str(film), args(crop_per_clip=1))
    assert np.array_equal(one.clips, middle.clips[1:2]) and one.spans == all_of_it.spans[1:2] and one.crops == 1  # type: ignore[index]
    assert len(read_views(str(film), args(), 7).clips) == 14
    for wrong in ("many", 0, -1, True):
        with pytest.raises(UsageError, match="must be 'published', 'one' or a number of clips"):
            read_views(str(film), args(), wrong)


def test_frames(film: Path) -> None:
    frames = vmz.load_video(str(film))
    assert frames.shape == (25, 48, 64, 3) and frames.dtype == np.uint8
    found = read_views(frames, args(), fps=10)
    of_file = read_views(str(film), args())
    assert found.clips.shape == of_file.clips.shape and found.spans == of_file.spans
    assert np.abs(found.clips - of_file.clips).mean() < 0.05  # scaled from R, G, B, not from the codec's own pixels
    assert read_views(frames, args()).spans is None
    part = vmz.load_video(str(film), start=3, frames=2)
    assert np.array_equal(part, frames[3:5])


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        (np.zeros((9, 40, 40, 3), np.float32), r"the frames are float32 \(9, 40, 40, 3\), but they must be uint8"),
        (np.zeros((9, 3, 40, 40), np.uint8), "but they must be uint8"),
        (np.zeros((3, 40, 40, 3), np.uint8), "the 3 frames: 3 frames, but 4 are needed for a clip"),
    ],
)
def test_wrong_frames(frames: np.ndarray, sentence: str) -> None:
    with pytest.raises(VmzError, match=sentence):
        read_views(frames, args())


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(BAD)
    with pytest.raises(VmzError, match=r"bad.mp4: not a video that can be opened"):
        read_views(str(tmp_path / "bad.mp4"), args())
    with pytest.raises(VmzError, match=r"missing.mp4: cannot read the file"):
        read_views(str(tmp_path / "missing.mp4"), args())
    with pytest.raises(VmzError, match="the video of 1000 bytes: not a video"):
        read_views(BAD[:1000], args())
    video(tmp_path / "short.mp4", 1, frames=3)
    with pytest.raises(VmzError, match=r"short.mp4: 3 frames, but 4 are needed"):
        read_views(str(tmp_path / "short.mp4"), args())
    with pytest.raises(VmzError, match="has no frame from number 3 on"):
        vmz.load_video(str(tmp_path / "short.mp4"), start=3)


def test_times_by_the_frames_own(tmp_path: Path) -> None:
    """A film whose second half runs at half the rate."""
    path = tmp_path / "slow.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * number, np.uint8), "rgb24")
            frame.pts = number if number < 10 else 10 + 2 * (number - 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = read_views(str(path), args(clip_per_video=2))
    assert found.spans is not None and np.allclose(found.spans, [[0, 0.3], [2.2, 2.8]], atol=0.01)
