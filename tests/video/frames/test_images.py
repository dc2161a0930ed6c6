import io

import numpy as np
import pytest

from tests.video.reader.small_databases import encode, make, read_all
from vmz.video.frames.decoding import DecodingError
from vmz.video.frames.images import read_image
from vmz.video.frames.opencv import opencv
from vmz.video.frames.scaling import to_pixels
from vmz.video.reader import BadVideoError

IMAGE = {"image_as_input": 1, "length_rgb": 1, "decode_type": 0}


def picture(height=240, width=320):
    """Smooth colours, uint8 RGB."""
    y, x = np.mgrid[:height, :width]
    planes = [128 + 100 * np.sin(x / 17), 128 + 90 * np.cos(y / 23), 100 + 80 * np.sin((x + y) / 31)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def encoded(pixels, kind, *options):
    cv2 = opencv()
    done, content = cv2.imencode(kind, pixels[..., ::-1] if pixels.ndim == 3 else pixels, list(options))
    assert done
    return content.tobytes()


def by_area(pixels, width=171, height=128):
    cv2 = opencv()
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("kind", [".png", ".bmp", ".tiff"])
@pytest.mark.parametrize("size", [(240, 320), (301, 223), (60, 90)])  # the last is enlarged
def test_formats_without_loss_are_the_pixels_resized_by_area(kind, size):
    pixels = picture(*size)
    assert np.array_equal(read_image(encoded(pixels, kind), 171, 128), by_area(pixels))


@pytest.mark.parametrize("sampling", [0x111111, 0x211111, 0x121111, 0x221111])  # 4:4:4, 4:2:2, 4:4:0, 4:2:0
@pytest.mark.parametrize("size", [(240, 320), (301, 223), (60, 90)])
def test_jpeg_is_what_libjpeg_makes_of_it_within_a_few_levels(size, sampling):
    cv2 = opencv()
    options = (cv2.IMWRITE_JPEG_QUALITY, 80, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
    content = encoded(picture(*size), ".jpg", *options)
    theirs = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    difference = np.abs(read_image(content, 171, 128).astype(int) - by_area(np.ascontiguousarray(theirs)))
    assert difference.mean() < 0.3
    assert difference.max() <= 4


def test_gray_images_have_three_equal_channels():
    for kind in (".png", ".jpg"):
        found = read_image(encoded(picture()[..., 0], kind), 171, 128)
        assert np.array_equal(found[..., 0], found[..., 1])
        assert np.array_equal(found[..., 0], found[..., 2])
    assert np.array_equal(read_image(encoded(picture()[..., 0], ".png"), 171, 128)[..., 0], by_area(picture()[..., 0]))


def test_the_alpha_channel_does_not_count():
    pixels = picture()
    with_alpha = np.dstack([pixels[..., ::-1], pixels[..., :1]])
    assert np.array_equal(read_image(encoded_bgra(with_alpha), 171, 128), by_area(pixels))


def encoded_bgra(pixels):
    done, content = opencv().imencode(".png", pixels)
    assert done
    return content.tobytes()


def test_the_reader_crops_mirrors_and_normalises(tmp_path):
    contents = [encoded(picture(), ".png"), encoded(picture()[:, ::-1], ".png")]
    make(tmp_path / "db", contents)
    (batch,), _ = read_all(tmp_path / "db", batch_size=2, **IMAGE)
    assert batch.data.shape == (2, 3, 1, 112, 112)
    assert batch.label.tolist() == [0, 1]
    for clip, pixels in zip(batch.data, (picture(), picture()[:, ::-1])):
        expected = by_area(np.ascontiguousarray(pixels))[8:120, 29:141]
        assert np.array_equal(to_pixels(clip)[:, 0].transpose(1, 2, 0), expected)
    (three,), _ = read_all(tmp_path / "db", crop_per_clip=3, **{**IMAGE, "batch_size": 2})
    assert three.data.shape == (6, 3, 1, 112, 112)
    assert np.array_equal(three.data[1::3], batch.data)
    chance = {**IMAGE, "random_crop": 1, "random_mirror": 1, "seed": 5, "wrap_around": 0, "batch_size": 2}
    (first,), _ = read_all(tmp_path / "db", **chance)
    (second,), _ = read_all(tmp_path / "db", num_decode_threads=1, **chance)
    assert np.array_equal(first.data, second.data)


def test_a_path_instead_of_the_bytes(tmp_path):
    (tmp_path / "image.txt").write_bytes(encoded(picture(), ".png"))
    make(tmp_path / "db", [str(tmp_path / "image.txt").encode()])
    (batch,), _ = read_all(tmp_path / "db", use_local_file=1, **IMAGE)
    assert np.array_equal(to_pixels(batch.data[0])[:, 0].transpose(1, 2, 0), by_area(picture())[8:120, 29:141])


def test_what_is_no_image_is_refused(tmp_path):
    jpeg, png = encoded(picture(), ".jpg"), encoded(picture(), ".png")
    for content in (
        jpeg[: len(jpeg) // 2],
        jpeg[:-2],
        jpeg[:40],
        png[: len(png) // 2],
        b"text" * 99,
        b"\xff\xd8\xff",
        b"",
    ):
        with pytest.raises(DecodingError):
            read_image(content, 171, 128)
    with pytest.raises(DecodingError, match=r"it contains a video, not an image; set image_as_input=0"):
        read_image(encode(tmp_path / "v.mp4", 3), 171, 128)
    make(tmp_path / "db", [jpeg, png[: len(png) // 2], jpeg])
    with pytest.raises(BadVideoError, match=r"record 01 of .*image cannot be decoded"):
        read_all(tmp_path / "db", **IMAGE)
    batches, skipped = read_all(tmp_path / "db", on_bad_video="skip", **IMAGE)
    assert [batch.keys for batch in batches] == [["00"], ["02"]]
    assert [bad.key for bad in skipped] == ["01"]


def test_an_image_among_videos_is_one_frame(tmp_path):
    make(tmp_path / "db", [encoded(picture(), ".png")])
    with pytest.raises(BadVideoError, match="1 frame, but 8 are needed"):
        read_all(tmp_path / "db")


def test_pillow_images_too(tmp_path):
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.fromarray(picture()).convert("P").save(stream, "PNG")
    palette = np.asarray(image.open(io.BytesIO(stream.getvalue())).convert("RGB"))
    assert np.array_equal(read_image(stream.getvalue(), 171, 128), by_area(palette))
