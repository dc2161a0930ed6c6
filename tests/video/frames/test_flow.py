import math
import subprocess
import sys

import av
import numpy as np
import pytest

from tests.video.reader.small_databases import encode, make, read_all
from vmz.errors import UsageError
from vmz.video.arguments import VideoInputArgs
from vmz.video.frames import flow
from vmz.video.frames.flow import Crop, FlowWriter, chain, frame_pairs
from vmz.video.frames.opencv import opencv
from vmz.video.frames.scaling import MEAN as RGB_MEAN
from vmz.video.frames.scaling import STD as RGB_STD
from vmz.video.reader import BadVideoError

SIZE = 48
FLOW = {"get_optical_flow": 1, "length_of": 4}


def arguments(**changes):
    base = {"batch_size": 1, "get_rgb": 0, "crop_size": SIZE, "scale_h": 128, "scale_w": 171, **FLOW}
    return VideoInputArgs.from_mapping({**base, **changes})


def pictures(count, dx=2.0, dy=1.0, height=SIZE + 8, width=SIZE + 16):
    """RGB frames of a smooth pattern that moves by (dx, dy) pixels a frame."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    frames = []
    for time in range(count):
        u, v = x - dx * time, y - dy * time
        shade = np.sin(u / 5) + np.cos(v / 4) + np.sin((u + v) / 7)
        frames.append(np.stack([128 + 40 * shade, 120 + 30 * shade, 90 - 20 * shade], axis=-1).astype(np.uint8))
    return frames


def written(args, frames, starts, crops=None):
    crops = crops or [Crop(4, 8, False)] * len(starts)
    out = np.full((len(starts), args.flow_channels, args.length_of, SIZE, SIZE), np.nan, np.float32)
    writer = FlowWriter(args, crops, starts, out)
    for number, frame in enumerate(frames):
        if writer.wants(number):
            writer.add(number, frame)
    return out


def pixels_of(out):
    """dx and dy in pixels."""
    shape = (2, 1, 1, 1)
    return out[:, :2] * flow.STD[:2].reshape(shape) + flow.MEAN[:2].reshape(shape)


def gray(frame, crop):
    cv2 = opencv()
    square = frame[crop.top : crop.top + SIZE, crop.left : crop.left + SIZE]
    return cv2.cvtColor(np.ascontiguousarray(square[:, ::-1] if crop.mirror else square), cv2.COLOR_RGB2GRAY)


def farneback(first, second):
    cv2 = opencv()
    options = (math.sqrt(0.5), 5, 10, 2, 7, 1.5, cv2.OPTFLOW_FARNEBACK_GAUSSIAN)
    return cv2.calcOpticalFlowFarneback(first, second, None, *options).transpose(2, 0, 1)


def test_frame_pairs_follow_each_other_across_the_gap_or_span_it():
    chained = arguments(sampling_rate_of=2, frame_gap_of=3)
    assert frame_pairs(chained, 0) == [(0, 1), (1, 2), (2, 3)]
    assert frame_pairs(chained, 2) == [(4, 5), (5, 6), (6, 7)]
    direct = arguments(sampling_rate_of=2, frame_gap_of=3, do_flow_aggregation=0)
    assert frame_pairs(direct, 2) == [(4, 7)]


def test_chained_flow_goes_on_from_the_nearest_pixel_inside_the_frame():
    first = np.zeros((2, 3, 4), np.float32)
    first[0, 1, 0] = 1.6  # to column 2
    first[1, 0, 3] = -5  # above the frame: stays in row 0
    first[0, 2, 3] = 9  # right of it: stays in column 3
    second = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    total = chain(first, second)
    assert total[:, 1, 0].tolist() == [np.float32(1.6) + np.float32(6), 18]
    assert total[:, 0, 3].tolist() == [3, 15 - 5]
    assert total[:, 2, 3].tolist() == [9 + 11, 23]
    assert total[:, 2, 1].tolist() == [9, 21]


def test_chain_against_a_loop_over_pixels():
    random = np.random.default_rng(0)
    first, second = (random.normal(0, 6, (2, 20, 30)).astype(np.float32) for _ in range(2))
    total = chain(first, second)
    for y in range(20):
        for x in range(30):
            column = min(max(int(np.rint(x + first[0, y, x])), 0), 29)
            row = min(max(int(np.rint(y + first[1, y, x])), 0), 19)
            assert total[:, y, x].tolist() == (first[:, y, x] + second[:, row, column]).tolist()


@pytest.mark.parametrize("algorithm", [0, 3])
def test_a_moving_pattern_has_its_motion(algorithm):
    found = pixels_of(written(arguments(flow_alg_type=algorithm), pictures(5), [0]))[0]
    inside = found[:, :, 12:-12, 12:-12]
    assert np.abs(np.median(inside[0]) - 2) < 0.1
    assert np.abs(np.median(inside[1]) - 1) < 0.1


def test_across_a_gap_chained_and_direct_flow_are_about_the_same():
    for aggregation in (0, 1):
        args = arguments(frame_gap_of=3, do_flow_aggregation=aggregation, length_of=2)
        inside = pixels_of(written(args, pictures(5, 1.0, 0.5), [0]))[0][:, :, 12:-12, 12:-12]
        assert np.abs(np.median(inside, axis=(1, 2, 3)) - (3, 1.5)).max() < 0.2


def test_mirrored_frames_move_the_other_way():
    crop = Crop(4, 8, True)
    found = pixels_of(written(arguments(), pictures(5), [0], [crop]))[0]
    assert np.abs(np.median(found[0, :, 12:-12, 12:-12]) + 2) < 0.1
    frames = pictures(2)
    assert np.allclose(found[:, 0], farneback(gray(frames[0], crop), gray(frames[1], crop)), atol=1e-5)


def test_channels_of_each_data_type():
    frames, crop = pictures(9), Crop(4, 8, False)
    args = [arguments(flow_data_type=kind, sampling_rate_of=2, frame_gap_of=2) for kind in range(4)]
    plain, magnitude, with_gray, with_rgb = (written(kind, frames, [0])[0] for kind in args)
    assert [out.shape[0] for out in (plain, magnitude, with_gray, with_rgb)] == [2, 3, 3, 5]
    for out in (magnitude, with_gray, with_rgb):
        assert np.array_equal(out[:2], plain)
    # the magnitude is of the normalised dx and dy
    expected = (np.abs(plain[0]) + np.abs(plain[1]) - np.float32(0.963986)) / np.float32(1.43588)
    assert np.allclose(magnitude[2], expected, atol=1e-5)
    for place in range(4):
        first = frames[2 * place]
        assert np.allclose(with_gray[2, place], (gray(first, crop) - 102.976) / 55.3691, atol=1e-5)
        rgb = (first[4 : 4 + SIZE, 8 : 8 + SIZE] - RGB_MEAN) / RGB_STD
        assert np.allclose(with_rgb[2:, place], rgb.transpose(2, 0, 1), atol=1e-5)


def test_overlapping_clips_share_their_pairs(monkeypatch):
    computed = []
    real = flow.estimator(0)

    def counted(*pair):
        computed.append(1)
        return real(*pair)

    monkeypatch.setattr(flow, "estimator", lambda kind: counted)
    args, frames = arguments(frame_gap_of=2), pictures(12)
    starts = [0, 1, 3, 3, 6]
    together = written(args, frames, starts)
    assert len(computed) == 11  # of the frames 0 to 11: 4 flows a clip, each across two pairs
    for row, start in enumerate(starts):
        assert np.array_equal(together[row], written(args, frames, [start])[0])
    # other crops are other pairs
    computed.clear()
    written(args, frames, [0, 0], [Crop(4, 8, False), Crop(4, 8, True)])
    assert len(computed) == 10


def test_only_the_frames_of_a_gap_are_kept():
    args = arguments(length_of=50, frame_gap_of=3, do_flow_aggregation=0)
    writer = FlowWriter(args, [Crop(0, 0, False)], [0], np.zeros((1, 2, 50, SIZE, SIZE), np.float32))
    for number, frame in enumerate(pictures(53)):
        writer.add(number, frame)
        assert len(writer._grays) <= 3


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return [encode(folder / f"{number}.mp4", 20, 25 * number) for number in range(4)]


def test_the_reader_gives_flow_alone_and_beside_rgb(videos, tmp_path):
    make(tmp_path / "db", videos)
    (both,), _ = read_all(tmp_path / "db", batch_size=4, clip_per_video=2, flow_data_type=1, **FLOW)
    assert (both.data.shape, both.flow.shape) == ((8, 3, 8, 112, 112), (8, 3, 4, 112, 112))
    assert both.flow.dtype == np.float32
    (rgb,), _ = read_all(tmp_path / "db", batch_size=4, clip_per_video=2)
    assert np.array_equal(both.data, rgb.data)
    assert rgb.flow is None
    # the same clip starts: flow needs fewer frames than RGB here, but 8 are asked for
    alone, _ = read_all(
        tmp_path / "db", batch_size=3, clip_per_video=1, get_rgb=0, length_rgb=0, flow_data_type=1, **FLOW
    )
    assert [(batch.data, batch.flow.shape[0]) for batch in alone] == [(None, 3), (None, 1)]
    assert np.array_equal(np.concatenate([batch.flow for batch in alone]), both.flow[::2])


def test_several_crops_have_their_own_flow(tmp_path):
    with av.open(str(tmp_path / "moving.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 160, "yuv420p"
        for number, picture in enumerate(pictures(10, height=160, width=320)):
            picture[:, 200:] = 128 + number  # what stands still lies in the right crop only
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    make(tmp_path / "db", [(tmp_path / "moving.mp4").read_bytes()])
    crops, (centre,) = (read_all(tmp_path / "db", crop_per_clip=n, get_rgb=0, **FLOW)[0] for n in (3, 1))
    assert crops[0].flow.shape == (3, 2, 4, 112, 112)
    assert np.array_equal(crops[0].flow[1:2], centre.flow)
    assert not np.array_equal(crops[0].flow[0], crops[0].flow[2])


def test_random_flow_depends_on_the_seed_only(videos, tmp_path):
    make(tmp_path / "db", videos)
    chance = {"decode_type": 0, "random_crop": 1, "random_mirror": 1, "seed": 3, "batch_size": 4, **FLOW}
    first, second = (read_all(tmp_path / "db", num_decode_threads=n, **chance)[0][0] for n in (1, 3))
    assert np.array_equal(first.flow, second.flow)
    assert np.array_equal(first.data, second.data)


def test_bad_videos_are_skipped_or_stop(videos, tmp_path):
    short = encode(tmp_path / "short.mp4", 5)
    make(tmp_path / "db", [videos[0], short, b"text" * 300, videos[1][: len(videos[1]) // 2], videos[2]])
    batches, skipped = read_all(tmp_path / "db", batch_size=3, on_bad_video="skip", get_rgb=0, frame_gap_of=2, **FLOW)
    assert [batch.keys for batch in batches] == [["00", "04"]]
    (clean,), _ = read_all(
        make(tmp_path / "clean", [videos[0], videos[2]]), batch_size=2, get_rgb=0, frame_gap_of=2, **FLOW
    )
    assert np.array_equal(batches[0].flow, clean.flow)
    assert [bad.key for bad in skipped] == ["01", "02", "03"]
    assert skipped[0].reason == (
        "5 frames, but 6 are needed for --clip_length_of=4 --sampling_rate_of=1 --frame_gap_of=2"
    )
    with pytest.raises(
        BadVideoError, match=r"record 01 of .*5 frames, but 8 are needed for --clip_length_rgb=8 .*_of=4"
    ):
        read_all(tmp_path / "db", **FLOW)


def test_only_who_needs_opencv_loads_it(videos, tmp_path, monkeypatch):
    make(tmp_path / "db", videos[:1])
    program = (
        "import sys; from tests.video.frames.test_flow import read_all, FLOW; read_all(sys.argv[1]); "
        "assert 'cv2' not in sys.modules; read_all(sys.argv[1], **FLOW); assert 'cv2' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "db")], check=True)
    monkeypatch.setitem(sys.modules, "cv2", None)
    opencv.cache_clear()
    with pytest.raises(UsageError, match=r'optical flow and of image_as_input needs OpenCV: pip install "vmz\[flow\]"'):
        read_all(tmp_path / "db", **FLOW)
    read_all(tmp_path / "db")
