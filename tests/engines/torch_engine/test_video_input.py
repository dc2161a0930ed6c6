import numpy as np
import pytest
import torch

from tests.support.optionals import present
from tests.video.reader.small_databases import BASE, encode, make
from vmz.engines.torch_engine.video_input import normalised_clips
from vmz.video.arguments import VideoInputArgs
from vmz.video.normalisation import normalise
from vmz.video.reader import ClipReader, EndOfData

EVERY_CASE = [
    {},
    {"decode_type": 0, "random_crop": 1, "random_mirror": 1, "seed": 3, "clip_per_video": 1},
    {"crop_per_clip": 3, "scale_w": 200, "batch_size": 3},
]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixels")
    return make(folder / "db", [encode(folder / f"{number}.mp4", 20, 25 * number) for number in range(4)])


def read(database, normalised, changes):
    """All RGB clips of one pass, and the batches' optical flow."""
    args = {**BASE, "batch_size": 2, "clip_per_video": 3, "wrap_around": 0, **changes}
    data = []
    with ClipReader(database, VideoInputArgs.from_mapping(args), normalised) as reader, pytest.raises(EndOfData):
        while True:
            data.append(reader.next_batch().data)
    return data


@pytest.mark.parametrize("changes", EVERY_CASE)
@pytest.mark.parametrize("channels_last", [False, True])
def test_pixels_normalised_as_tensors_are_the_readers_own_clips_to_the_bit(database, changes, channels_last):
    pixels = read(database, False, changes)
    expected = read(database, True, changes)
    assert [batch.dtype for batch in pixels] == [np.uint8] * len(expected)
    assert all(batch.shape[-1] == 3 and batch.nbytes * 4 == clips.nbytes for batch, clips in zip(pixels, expected))
    for batch, clips in zip(pixels, expected):
        found = normalised_clips(torch.from_numpy(batch), channels_last)
        layout = torch.channels_last_3d if channels_last else torch.contiguous_format
        assert found.is_contiguous(memory_format=layout)
        assert np.array_equal(found.numpy(), clips)


def test_every_pixel_value_is_normalised_to_the_same_bits():
    pixels = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, -1)
    expected = np.empty((3, 16, 16), np.float32)
    normalise(pixels, expected)
    found = normalised_clips(torch.from_numpy(pixels[None, None]))
    assert found.numpy()[0, :, 0].tobytes() == expected.tobytes()


def test_flow_stays_float32_beside_pixels(database):
    pytest.importorskip("cv2")
    flow = {"get_optical_flow": 1, "length_of": 4, "sampling_rate_of": 1, "frame_gap_of": 1, "flow_data_type": 2}
    args = VideoInputArgs.from_mapping({**BASE, **flow})
    with ClipReader(database, args, normalised=False) as pixels, ClipReader(database, args) as reader:
        batch, expected = pixels.next_batch(), reader.next_batch()
    data, flows = present(batch.data), present(batch.flow)
    assert (data.dtype, flows.dtype) == (np.uint8, np.float32)
    assert np.array_equal(flows, present(expected.flow))
