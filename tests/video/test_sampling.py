import numpy as np
import pytest

from vmz.video import sampling
from vmz.video.arguments import VideoInputArgs

BASE = {"batch_size": 1, "length_rgb": 8, "crop_size": 112, "scale_h": 128, "scale_w": 171}


def arguments(**changes):
    return VideoInputArgs.from_mapping({**BASE, **changes})


def test_frames_needed():
    assert sampling.frames_needed(arguments()) == 8
    assert sampling.frames_needed(arguments(sampling_rate_rgb=2)) == 15
    assert sampling.frames_needed(arguments(random_sampling_rate=3)) == 22
    # what test_net hands over for flow says nothing while flow is not asked for
    flow = {"length_of": 8, "sampling_rate_of": 2, "frame_gap_of": 3}
    assert sampling.frames_needed(arguments(**flow)) == 8
    assert sampling.frames_needed(arguments(**flow, get_optical_flow=1)) == 18
    assert sampling.frames_needed(arguments(**flow, get_optical_flow=1, sampling_rate_rgb=4)) == 29
    assert sampling.frames_needed(arguments(**flow, get_optical_flow=1, get_rgb=0, random_sampling_rate=9)) == 18


def test_uniform_starts_reach_from_end_to_end():
    assert sampling.uniform_starts(280, 8, 10) == [0, 30, 60, 90, 120, 151, 181, 211, 241, 272]
    assert sampling.uniform_starts(8, 8, 3) == [0, 0, 0]
    assert sampling.uniform_starts(100, 8, 1) == [0]


def test_uniform_starts_are_computed_in_float32():
    # in double, 3 * (56 / 3) would be 56; in float32 it is too, but 7 * (121 / 11) and the like fall either way
    for frames in range(8, 400):
        for clips in (2, 3, 10):
            starts = sampling.uniform_starts(frames, 8, clips)
            step = np.divide(np.float32(frames - 8), np.float32(clips - 1), dtype=np.float32)
            assert starts == [int(np.multiply(np.float32(i), step, dtype=np.float32)) for i in range(clips)]
            assert starts[-1] <= frames - 8


def test_timestamps_round_as_integers_do():
    assert sampling.start_timestamp(39424, 72, 1) == 547
    assert sampling.start_timestamp(100, 3, -1) == -33
    assert sampling.seek_timestamp(143360, 280, 51200) == 51200 - 5120
    assert sampling.seek_timestamp(143360, 280, 512) == 0
    assert sampling.latest_start(100, 7, 3) == 100 - 43
    assert sampling.latest_start(100, 7, 8) == 0


@pytest.mark.parametrize(
    ("width", "height", "edge", "size"),
    [(340, 256, 128, (170, 128)), (180, 424, 128, (128, 302)), (1280, 720, 256, (455, 256)), (128, 128, 64, (64, 64))],
)
def test_short_edge(width, height, edge, size):
    assert sampling.scale_short_edge(width, height, edge) == size


def test_output_size():
    assert sampling.output_size(arguments(), 1280, 720, 128) == (171, 128)
    assert sampling.output_size(arguments(video_res_type=1, short_edge=128), 340, 256, 160) == (213, 160)
    assert sampling.output_size(arguments(video_res_type=2), 340, 256, 0) == (340, 256)
    assert sampling.output_size(arguments(video_res_type=2), 160, 90, 0) == (199, 112)


def test_crops():
    assert sampling.crop_offsets(171, 128, 112, 1) == [(8, 29)]
    assert sampling.crop_offsets(171, 128, 112, 3) == [(8, 0), (8, 29), (8, 59)]
    assert sampling.crop_offsets(128, 171, 112, 3) == [(0, 8), (29, 8), (59, 8)]


def test_random_starts_stay_equally_likely_where_a_video_is_shorter_than_it_states() -> None:
    counts = [0] * 6
    for place in range(23_000):
        draw = (place + 0.5) / 23_000
        start = sampling.random_start(draw, 30, 8)
        if start > 5:  # 13 frames in truth
            start = sampling.random_start(sampling.redrawn(draw, 30, 13, 8), 13, 8)
        counts[start] += 1
    assert max(counts) - min(counts) < 10
