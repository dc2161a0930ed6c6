import numpy as np

from vmz.video.normalisation import MEAN, STD, normalise, write_pixels


def every_value():
    """uint8 (16, 16, 3) with all 256 values in each channel."""
    return np.stack([np.roll(np.arange(256, dtype=np.uint8), 85 * channel) for channel in range(3)], -1).reshape(
        16, 16, 3
    )


def test_normalisation_is_float32_arithmetic_to_the_bit():
    pixels = every_value()
    out = np.empty((3, 16, 16), np.float32)
    normalise(pixels, out)
    for channel in range(3):
        values = pixels[:, :, channel].astype(np.float32)
        assert np.array_equal(out[channel], (values - MEAN[channel]) * (np.float32(1) / STD[channel]))


def test_mirrored_pixels_and_places_that_are_not_contiguous():
    pixels = every_value()
    clip, expected = np.zeros((3, 4, 16, 16), np.float32), np.empty((3, 16, 16), np.float32)
    normalise(np.ascontiguousarray(pixels[:, ::-1]), expected)
    write_pixels(pixels[:, ::-1], clip, 2)
    assert np.array_equal(clip[:, 2], expected)
    assert not clip[:, [0, 1, 3]].any()


def test_a_clip_of_pixels_gets_them_as_they_are():
    clip = np.zeros((4, 16, 16, 3), np.uint8)
    write_pixels(every_value(), clip, 3)
    assert np.array_equal(clip[3], every_value())
    assert not clip[:3].any()
