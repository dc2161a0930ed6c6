from __future__ import annotations

import io

import av
import numpy as np
import pytest

from tests.goldens.recordings import video_path
from tests.support.odd_videos import KINDS, made
from vmz.report import thumbnails
from vmz.report.thumbnails import FRAMES, MOST_BYTES, SIDE, Strip, jpeg, strip, strip_of


def pixels(picture: bytes) -> np.ndarray:
    with av.open(io.BytesIO(picture), "r", format="mjpeg") as container:
        frame = next(container.decode(video=0))
    return frame.to_ndarray(format="rgb24")


def video(size: tuple[int, int], frames: int, codec: str = "mpeg4", container: str = "mp4") -> bytes:
    """Frame n is grey of level 8 n."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), 8 * number, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()


def levels(found: Strip) -> list[float]:
    """Of each frame, as `video` counts them."""
    picture = pixels(found.jpeg)
    assert picture.shape[:2] == (found.height, found.width * found.frames)
    return [float(part.mean()) / 8 for part in np.split(picture, found.frames, axis=1)]


def made_of(source: bytes) -> Strip:
    found = strip(source)
    assert found is not None
    return found


def test_frames_of_all_of_a_video_side_by_side_in_time() -> None:
    found = made_of(video((320, 180), 30))
    assert (found.frames, found.width) == (FRAMES, SIDE) and abs(found.height - 99) <= 1
    assert levels(found) == pytest.approx([1 + 3 * place for place in range(FRAMES)], abs=1.5)


def test_a_long_video_is_sought_and_a_short_one_read_on() -> None:
    """Frames that are far from each other: key frames lie between them."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(1000):
            picture = np.full((48, 64, 3), number // 4, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    found = made_of(file.getvalue())
    assert [8 * level for level in levels(found)] == pytest.approx([12 + 25 * place for place in range(FRAMES)], abs=5)


def test_portrait_frames_are_as_high_as_others_are_wide() -> None:
    found = made_of(video((180, 320), 8))
    assert (found.frames, found.height) == (8, SIDE) and found.width < SIDE


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_videos(frames: int) -> None:
    found = made_of(video((64, 48), frames))
    assert found.frames == frames and (found.width, found.height) == (64, 48)


def test_a_stream_that_states_no_times() -> None:
    found = made_of(video((64, 48), 20, "mpeg2video", "mpeg2video"))
    assert found.frames > 5 and pixels(found.jpeg).std() > 30


def test_what_is_no_video_has_no_picture() -> None:
    assert strip(b"no video at all" * 100) is None
    assert strip("/nowhere.mp4") is None


@pytest.mark.parametrize("name", ["h265.mp4", "corrupted.mp4", "portrait.mp4", "odd_size.avi", "rotate_90.mov"])
def test_real_videos_are_small(name: str) -> None:
    found = strip(str(video_path(name)))
    assert found is not None and len(found.jpeg) <= MOST_BYTES and pixels(found.jpeg).std() > 5


def test_noise_is_made_small_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (FRAMES, 132, SIDE, 3), np.uint8)
    assert len(strip_of(noise).jpeg) < 6 * MOST_BYTES < len(jpeg(np.concatenate(list(noise), axis=1)))


def test_an_odd_size_loses_its_last_row() -> None:
    assert pixels(jpeg(np.zeros((33, 65, 3), np.uint8))).shape == (32, 64, 3)


def test_frames_come_from_all_of_a_video_whose_times_do_not_begin_at_0() -> None:
    for name in ("plain", "times begin at 3 s", "edit list, cut at both ends"):
        frames = thumbnails._frames(made(name))
        shown = list(KINDS[name].shown)
        found = [int(frame.to_ndarray(format="gray")[24, 32]) for frame in frames]
        wanted = [shown[number] for number in thumbnails._middles(len(shown))]
        assert [round((level * 219 / 255) / 4) for level in found] == pytest.approx(wanted, abs=1), name
