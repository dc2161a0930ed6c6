from fractions import Fraction

import av
import numpy as np
import pytest

from vmz.video.frames.scaling import Scaler


def frame(width, height, pixel_format, level):
    picture = av.VideoFrame(width, height, pixel_format)
    for plane in picture.planes:
        plane.update(bytes([level]) * plane.buffer_size)
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    return picture


@pytest.mark.parametrize(
    ("pixel_format", "level", "gray"),
    [("yuv420p", 60, 51), ("yuvj420p", 60, 60), ("gray", 60, 60), ("yuv444p", 235, 255), ("yuv420p", 16, 0)],
)
def test_only_yuvj_and_gray_are_full_range(pixel_format, level, gray):
    picture = frame(64, 48, pixel_format, level)
    if pixel_format != "gray":
        for plane in picture.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
    picture.color_range = 2  # what the stream says of its range is ignored
    pixels = Scaler(32, 32).convert(picture)
    assert pixels.shape == (32, 32, 3)
    assert np.abs(pixels.astype(int) - gray).max() <= 2  # swscale's own rounding; a wrong range is 9 levels off or more


def test_frames_may_change_size_and_format_on_the_way():
    scaler = Scaler(40, 30)
    for width, height, pixel_format in ((64, 48, "yuv420p"), (128, 96, "yuv420p"), (40, 30, "yuv444p")):
        assert scaler.convert(frame(width, height, pixel_format, 128)).shape == (30, 40, 3)


def test_widths_that_are_no_multiple_of_eight_are_whole_to_the_last_column():
    for width in (209, 340, 426, 568):
        pixels = Scaler(width, 50).convert(frame(width, 50, "yuv420p", 128))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) == 1
