from __future__ import annotations

import io

import av
import numpy as np
import pytest

from tests.goldens.recordings import video_path
from tests.support.odd_videos import KINDS, made
from vmz.report import thumbnails
from vmz.report.thumbnails import WIDTH, jpeg, thumbnail


def pixels(picture: bytes) -> np.ndarray:
    with av.open(io.BytesIO(picture), format="mjpeg") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def video(size: tuple[int, int], frames: int, codec: str = "mpeg4", container: str = "mp4") -> bytes:
    """Frame n is grey of level 8 n."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), 8 * number, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()


def test_four_frames_in_time() -> None:
    picture = pixels(thumbnail(video((320, 180), 32)) or b"")
    height, width = picture.shape[:2]
    assert abs(width - WIDTH) <= 2 and abs(height - 180) <= 4
    corners = [picture[height // 4, width // 4], picture[height // 4, -width // 4]]
    corners += [picture[-height // 4, width // 4], picture[-height // 4, -width // 4]]
    levels = [float(corner.mean()) / 8 for corner in corners]
    assert levels == pytest.approx([4, 12, 20, 28], abs=1.5)


def test_portrait_frames_lie_in_a_row() -> None:
    picture = pixels(thumbnail(video((180, 320), 8)) or b"")
    assert picture.shape[0] < picture.shape[1] / 2


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_videos(frames: int) -> None:
    assert pixels(thumbnail(video((64, 48), frames)) or b"").shape[1] > 300


def test_a_stream_that_states_no_times() -> None:
    assert pixels(thumbnail(video((64, 48), 20, "mpeg2video", "mpeg2video")) or b"").std() > 30


def test_what_is_no_video_has_no_picture() -> None:
    assert thumbnail(b"no video at all" * 100) is None
    assert thumbnail("/nowhere.mp4") is None


@pytest.mark.parametrize("name", ["h265.mp4", "corrupted.mp4", "portrait.mp4", "odd_size.avi", "rotate_90.mov"])
def test_real_videos(name: str) -> None:
    picture = thumbnail(str(video_path(name)))
    assert picture is not None and len(picture) < 40_000 and pixels(picture).std() > 5


def test_an_odd_size_loses_its_last_row() -> None:
    assert pixels(jpeg(np.zeros((33, 65, 3), np.uint8))).shape == (32, 64, 3)


def test_frames_come_from_all_of_a_video_whose_times_do_not_begin_at_0() -> None:
    for name in ("plain", "times begin at 3 s", "edit list, cut at both ends"):
        frames = thumbnails._frames(made(name))
        shown = list(KINDS[name].shown)
        levels = [int(frame.to_ndarray(format="gray")[24, 32]) for frame in frames]
        wanted = [shown[len(shown) * (2 * part + 1) // 8] for part in range(4)]
        assert [round((level * 219 / 255) / 4) for level in levels] == pytest.approx(wanted, abs=1), name
