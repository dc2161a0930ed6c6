from __future__ import annotations

import pytest

from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.builder import get_arguments
from vmz.netdef.inputs import VideoSource


def test_a_reader_comes_in_front() -> None:
    source = VideoSource("some_lmdb", {"batch_size": 2, "length_rgb": 8, "crop_size": 112, "clip_per_video": 3})
    model = build(ModelConfig(model_depth=10, clip_length=8), source=source)
    create, video, stop = model.param_init_net.op[0], model.net.op[0], model.net.op[1]
    assert (create.type, get_arguments(create)) == ("CreateDB", {"db": "some_lmdb", "db_type": "lmdb"})
    assert list(video.input) == list(create.output) == ["video_model_test_init/CreateDB"]
    assert (video.type, list(video.output)) == ("VideoInput", ["gpu_0/data", "gpu_0/label"])
    assert (stop.type, list(stop.input), list(stop.output)) == ("StopGradient", ["gpu_0/data"], ["gpu_0/data"])
    assert "gpu_0/data" not in model.net.external_input


@pytest.mark.parametrize(
    ("channel_multiplier", "bottleneck_multiplier", "width", "out"),
    [
        (2.0, 1.0, 128, 512),  # a held-out net of the original
        (0.3, 1.01, 19, 76),  # int(64 * 0.3) = 19, int(19 * 1.01) = 19; int(256 * 0.3)
        (1.0, 0.5, 32, 256),
        (0.5, 2.0, 64, 128),
    ],
)
def test_channel_multiplier_scales_bottlenecks_too_and_each_multiplier_truncates(
    channel_multiplier: float, bottleneck_multiplier: float, width: int, out: int
) -> None:
    config = ModelConfig(
        model_name="r3d", model_depth=50, channel_multiplier=channel_multiplier,
        bottleneck_multiplier=bottleneck_multiplier,
    )  # fmt: skip
    shapes = dict(build(config, scope="").params)
    assert shapes["conv1_w"] == (64, 3, 3, 7, 7)  # the stem is not scaled
    assert shapes["comp_0_conv_1_w"] == (width, 64, 1, 1, 1)
    assert shapes["comp_0_conv_2_w"] == (width, width, 3, 3, 3)
    assert shapes["comp_0_conv_3_w"] == (out, width, 1, 1, 1)


def test_names_without_scope_are_the_checkpoints_names() -> None:
    model = build(ModelConfig(model_name="ir-csn", model_depth=26, num_labels=400, clip_length=8), scope="")
    assert "comp_0_conv_3_w" in model.all_params and "last_out_L400_b" in model.all_params
    assert model.prediction == "softmax" and model.loss == "video_model_test/Scale"


def test_pred_layer_name_renames_the_classifier() -> None:
    model = build(ModelConfig(pred_layer_name="my_head"), scope="")
    assert ("my_head_w", (101, 512)) in model.params
