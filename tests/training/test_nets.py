from __future__ import annotations

import pytest

from vmz.cli.train_net import configuration
from vmz.errors import UsageError
from vmz.netdef.builder import device_option, get_arguments
from vmz.netdef.protos import CUDA
from vmz.training.config import TrainConfig
from vmz.training.nets import builder, jitter_scales, train_input_arguments


def parsed(*argv: str) -> TrainConfig:
    return configuration(["--train_data=a", "--test_data=b", *argv])


@pytest.mark.parametrize(
    ("argv", "scales"),
    [
        ([], [128, 160]),
        (["--scale_h=256", "--scale_w=340"], [256, 320]),
        (["--scale_h=240", "--scale_w=190"], [190, 237]),
        (["--jitter_scales=200"], [200]),
        (["--jitter_scales=112,128,160"], [112, 128, 160]),
    ],
)
def test_jitter_scales(argv: list[str], scales: list[int]) -> None:
    assert jitter_scales(parsed(*argv)) == scales


@pytest.mark.parametrize("text", ["", "128,", "big", "0,128", "128;160"])
def test_jitter_scales_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--jitter_scales"):
        train_input_arguments(parsed(f"--jitter_scales={text}"))


def test_the_reader_draws_clips_at_random() -> None:
    train = train_input_arguments(parsed("--batch_size=4", "--get_video_id=1", "--video_res_type=0"))
    assert (train["clip_per_video"], train["decode_type"], train["get_video_id"], train["batch_size"]) == (1, 0, 1, 4)
    assert "crop_per_clip" not in train and train["random_crop"] == train["random_mirror"] == 1


def test_the_network() -> None:
    options = parsed(
        "--model_depth=10",
        "--clip_length_rgb=8",
        "--cudnn_workspace_limit_mb=32",
        "--get_video_id=1",
        "--use_dropout=1",
    )
    train = builder(options, seed=7)("gpu_1", device_option(CUDA, 1), 0.25)
    assert (train.net.name, train.loss) == ("r2plus1d_train", "gpu_1/r2plus1d_train/Scale")
    assert train.param_init_net.op[0].name == "train_reader"
    ops = {op.type: op for op in train.net.op}
    assert get_arguments(ops["Scale"]) == {"scale": 0.25}
    assert get_arguments(ops["VideoInput"])["seed"] == 7
    assert list(ops["VideoInput"].output) == ["gpu_1/data", "gpu_1/label", "gpu_1/video_id"]
    assert {op.device_option.device_id for op in train.net.op} == {1}
    assert get_arguments(ops["FC"])["ws_nbytes_limit"] == 32 * 1024 * 1024
    assert {get_arguments(op).get("is_test", 0) for op in train.net.op} == {0}


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match="--train_data is not given"):
        builder(parsed("--train_data="))
    with pytest.raises(UsageError, match="crop_size is 100"):
        builder(parsed("--crop_size=100"))
