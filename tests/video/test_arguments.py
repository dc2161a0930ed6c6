import pytest

from vmz.errors import UsageError
from vmz.video.arguments import VideoInputArgs

FLOW = {"get_optical_flow": 1, "length_of": 4}
BASE = {"batch_size": 1, "length_rgb": 8, "crop_size": 112, "scale_h": 128, "scale_w": 171, "random_crop": False}


def test_booleans_and_lists_are_taken_as_json_and_protobuf_give_them():
    args = VideoInputArgs.from_mapping(
        {**BASE, "use_local_file": True, "decode_type": 1, "clip_start_positions": [0, 3], "on_bad_video": b"skip"}
    )
    assert (args.use_local_file, args.clips, args.rows, args.on_bad_video) == (1, 2, 2, "skip")
    assert args.random_crop == 0


def test_jitter_scales_are_for_the_short_edge_only():
    args = VideoInputArgs.from_mapping({**BASE, "jitter_scales": [64, 160]})
    assert args.drawn_edges == ()
    args = VideoInputArgs.from_mapping({**BASE, "jitter_scales": [128, 160], "video_res_type": 1})
    assert args.drawn_edges == (128, 160)


def test_the_arguments_that_the_tools_write_into_a_net_are_accepted():
    more = {"input_type": 0, "get_logmels": 0, "length_of": 8, "sampling_rate_of": 2, "do_flow_aggregation": 0}
    assert VideoInputArgs.from_mapping({**BASE, **more}).length_of == 8


def test_arguments_of_what_is_not_asked_for_do_not_count():
    VideoInputArgs.from_mapping({**BASE, "flow_data_type": 9, "flow_alg_type": 1, "frame_gap_of": 0})
    VideoInputArgs.from_mapping({**BASE, **FLOW, "get_rgb": 0, "length_rgb": 0, "sampling_rate_rgb": 0})


def test_flow_channels():
    channels = [VideoInputArgs.from_mapping({**BASE, "flow_data_type": kind}).flow_channels for kind in range(4)]
    assert channels == [2, 3, 3, 5]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"length_rgb": 0}, "length_rgb=0"),
        ({"crop_size": 0}, "crop_size=0"),
        ({"sampling_rate_rgb": 0}, "sampling_rate_rgb=0"),
        ({"num_decode_threads": 0}, "num_decode_threads=0"),
        ({"scale_h": 100, "scale_w": 150}, "scale_h=100"),
        ({"scale_w": 100}, "scale_w=100"),
        ({"video_res_type": 1, "short_edge": 100}, "short_edge=100"),
        ({"video_res_type": 1, "jitter_scales": [100, 128]}, "jitter_scales"),
        ({"video_res_type": 3}, "video_res_type=3"),
        ({"decode_type": 3}, "decode_type=3"),
        ({"clip_per_video": 2, "decode_type": 2}, "clip_per_video=2"),
        ({"clip_per_video": 2}, "clip_per_video=2"),
        ({"clip_start_positions": [4], "decode_type": 0}, "clip_start_positions"),
        ({"clip_start_positions": [-1], "decode_type": 1}, "clip_start_positions"),
        ({"crop_per_clip": 3, "random_crop": 1}, "crop_per_clip=3"),
        ({"do_multi_label": 1}, "num_of_class"),
        ({"get_start_frame": 1, "decode_type": 1}, "get_start_frame"),
        ({"get_rgb": 0}, "get_rgb=0 and get_optical_flow=0 leave nothing to read"),
        ({**FLOW, "length_of": 0}, "length_of=0"),
        ({**FLOW, "sampling_rate_of": 0}, "sampling_rate_of=0"),
        ({**FLOW, "frame_gap_of": 0}, "frame_gap_of=0"),
        ({**FLOW, "flow_data_type": 4}, "flow_data_type=4 must be one of 0, 1, 2, 3"),
        ({**FLOW, "flow_alg_type": 2}, "flow_alg_type=2 has no CPU version; use 0"),
        ({**FLOW, "flow_alg_type": 4}, "flow_alg_type=4 must be one of 0, 3"),
        ({**FLOW, "flow_alg_type": 3, "crop_size": 8}, "crop_size=8 is too small for flow_alg_type=3"),
        ({"image_as_input": 1}, "length_rgb=8 with image_as_input=1"),
        ({**FLOW, "image_as_input": 1}, "get_optical_flow=1 with image_as_input=1"),
        ({"image_as_input": 1, "length_rgb": 1, "video_res_type": 2}, "video_res_type=2 with image_as_input=1"),
        (
            {"image_as_input": 1, "length_rgb": 1, "decode_type": 1, "clip_per_video": 2},
            "clip_per_video=2 with image_as_input=1",
        ),
        ({"on_bad_video": "ignore"}, "on_bad_video=ignore"),
        ({"on_bad_video": 1}, "on_bad_video=1 must be a string"),
        ({"shuffle": 2, "seed": 1}, "shuffle=2 must be one of 0, 1"),
        ({"shuffle": 1}, "shuffle=1 needs a seed, not seed=0"),
        ({"shard_count": 2}, "shard_count=2 needs a seed, not seed=0"),
        ({"shard_count": 0}, "shard_count=0 must be at least 1"),
        ({"shard_index": 1}, "shard_index=1 must be one of 0 to 0 (shard_count=1)"),
        ({"shard_index": -1, "shard_count": 2, "seed": 1}, "shard_index=-1 must be one of 0 to 1"),
        ({"first_position": -1}, "first_position=-1 must be at least 0"),
        ({"batch_size": "two"}, "batch_size='two' must be an integer"),
        ({"batch_size": 1.5}, "batch_size=1.5"),
        ({"jitter_scales": 128}, "jitter_scales=128 must be a list"),
        ({"clip_lenght": 8}, "no argument 'clip_lenght'; it has autorotate, batch_size"),
    ],
)
def test_wrong_arguments_are_refused_by_name(changes, named):
    with pytest.raises(UsageError) as caught:
        VideoInputArgs.from_mapping({**BASE, **changes})
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
