"""Windows along a video: the frames, the pixels and the times that clips read one by one have."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.goldens.recordings import video_path
from tests.support import odd_video_checks, odd_videos
from tests.support.optionals import present
from vmz.errors import UsageError
from vmz.video.arguments import UNIFORM, VideoInputArgs
from vmz.video.clips import ClipError, Clips, read_clips
from vmz.video.frames.decoding import Source
from vmz.video.untrimmed import Window, WindowReader

BASE = {"batch_size": 1, "length_rgb": 4, "crop_size": 24, "scale_h": 32, "scale_w": 40, "random_crop": 0}


def arguments(**more: object) -> VideoInputArgs:
    return VideoInputArgs.from_mapping({**BASE, "random_mirror": 0, **more})


def film(path: Path, times: list[int], base: Fraction = Fraction(1, 100)) -> str:
    """A video whose frames are shown at `times`, in units of `base` seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = base
        for number, time in enumerate(times):
            picture = np.full((48, 64, 3), 7 * number % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def check_against_clips(source: Source, windows: list[Window], args: VideoInputArgs) -> None:
    """Each clip is the one that read_clips gives at its first frame."""
    for window in windows:
        values = {**vars(args), "decode_type": UNIFORM, "clip_start_positions": (window.start_frame,)}
        out = np.empty(window.clip.shape, np.float32)
        read_clips(source, None, VideoInputArgs.from_mapping(values), np.random.default_rng(0), Clips(out))
        np.testing.assert_array_equal(window.clip, out)


def test_irregular_times_are_kept_to_the_frame(tmp_path: Path) -> None:
    times = [50, 54, 58, 95, 100, 149, 151, 152, 153, 154, 155, 250, 260, 270]
    source, args = film(tmp_path / "a.mkv", times, Fraction(1, 1000)), arguments()
    reader = WindowReader(source, args, Fraction("0.05"))
    windows = list(reader)
    # Multiples of 50 ms from the first frame: frames 0 (0 ms), 4 (50), 6 (101), 11 (200, the last windows cut off)
    assert [window.start_frame for window in windows] == [0, 4, 6]
    assert [window.start_seconds for window in windows] == [0, 0.05, 0.101]
    assert [window.end_seconds for window in windows] == [0.045, 0.102, 0.104]
    assert reader.frames == 14 and reader.seconds == 0.22 and reader.ended_by is None
    check_against_clips(source, windows, args)


@pytest.mark.parametrize(
    ("stride", "more"),
    [
        ("1", {}),
        ("0.1", {"sampling_rate_rgb": 3}),
        ("0.04", {"crop_per_clip": 3}),
        ("0.001", {"video_res_type": 1, "short_edge": 30}),
    ],
)
def test_windows_that_overlap(stride: str, more: dict[str, object], tmp_path: Path) -> None:
    source, args = film(tmp_path / "a.mp4", list(range(0, 240, 4))), arguments(**more)
    windows = list(WindowReader(source, args, Fraction(stride)))
    span, each = 3 * args.sampling_rate_rgb, max(Fraction(4, 100), Fraction(stride))
    wanted = sorted({-(-each * k // Fraction(4, 100)) for k in range(60)})
    assert [window.start_frame for window in windows] == [frame for frame in wanted if frame + span < 60]
    assert all(window.start_seconds == pytest.approx(window.start_frame / 25, abs=1e-9) for window in windows)
    check_against_clips(source, windows, args)


@pytest.mark.parametrize("name", ["arm_wrestling.mp4", "flipping_a_pancake.mkv"])
def test_real_videos(name: str) -> None:
    source, args = str(video_path(name)), arguments(length_rgb=8, sampling_rate_rgb=2)
    windows = list(WindowReader(source, args, Fraction(1)))
    with av.open(source) as container:
        stream = container.streams.video[0]
        unit = present(stream.time_base)
        times = [float(frame.pts * unit) for frame in container.decode(stream)]
    for number, window in enumerate(windows):
        assert window.start_seconds == pytest.approx(times[window.start_frame] - times[0], abs=1e-9)
        assert window.start_seconds >= number  # and no frame before it is
        assert not window.start_frame or times[window.start_frame - 1] - times[0] < number
        assert window.end_seconds == pytest.approx(times[window.start_frame + 14] - times[0], abs=1e-9)
    check_against_clips(source, windows[::4], args)


def test_what_gives_no_windows(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match="3 frames, but 4 make up a clip"):
        list(WindowReader(film(tmp_path / "a.mp4", [0, 4, 8]), arguments(), Fraction(1)))
    (tmp_path / "b.mp4").write_bytes(b"a text\n" * 100)
    with pytest.raises(ClipError, match="not a video"):
        list(WindowReader(str(tmp_path / "b.mp4"), arguments(), Fraction(1)))
    with pytest.raises(UsageError, match="crop_size"):
        WindowReader("a", arguments(crop_size=64), Fraction(1))


def test_times_that_begin_again_or_leap() -> None:
    for second, mended in ((0, 1), (7, 1), (100_000, 1), (200, 0)):  # frames from the start; 200: a pause
        source = odd_videos.film(25, "ts", "mpeg2video") + odd_videos.film(
            25, "ts", "mpeg2video", times=range(second, second + 25)
        )
        reader = WindowReader(source, arguments(), Fraction("0.2"))
        windows = list(reader)
        assert (reader.frames, reader.times_mended) == (50, mended)
        assert reader.seconds == pytest.approx(1.96 if mended else 8.92)
        if mended:
            assert [window.start_frame for window in windows] == list(range(0, 47, 5))
        check_against_clips(source, windows, arguments())


def test_max_frames_and_autorotate() -> None:
    source = odd_videos.rotated(odd_videos.film(40, codec="mpeg4", quarter=True), (0, 1, -1, 0))
    reader = WindowReader(source, arguments(max_frames=22), Fraction("0.2"))
    assert [window.start_frame for window in reader] == [0, 5, 10, 15] and reader.frames == 22
    assert reader.rotation == -90
    turned = arguments(autorotate=1)
    windows = list(WindowReader(source, turned, Fraction("0.2")))
    assert odd_video_checks.white_corner([windows[0].clip]) == (0, 1)
    check_against_clips(source, windows, turned)
