from __future__ import annotations

import json

import pytest

from tests.goldens.recordings import SHARED, needs_shared
from vmz.cli.test_net import configuration
from vmz.errors import UsageError
from vmz.evaluation.config import EvaluationConfig
from vmz.settings.engine import device_name
from vmz.settings.network import model_config
from vmz.settings.setting import settings_of

# Where our default is not the original's, and why.
TRAPS = {
    "num_gpus": "the original asks for a GPU even where there is none",
    "db_type": "the original takes every file for a pickle unless told otherwise",
}


@needs_shared
def test_every_flag_of_the_original_test_net_is_here_with_its_default() -> None:
    tools = json.loads((SHARED / "spec" / "flags.json").read_text())["tools"]
    known = settings_of(EvaluationConfig)
    for flag in tools["test_net"]["flags"]:
        name = flag["flag"].lstrip("-")
        assert name in known, name
        if name not in TRAPS:
            assert known[name].default == flag["default"], name


def parsed(*argv: str) -> EvaluationConfig:
    return configuration(argv)


def test_devices() -> None:
    assert device_name(parsed()) == "auto"
    assert device_name(parsed("--num_gpus=0")) == "cpu"
    assert device_name(parsed("--num_gpus=1")) == "cuda"
    assert device_name(parsed("--gpus=3")) == "cuda:3"
    for several in ("--num_gpus=2", "--gpus=0,1"):
        with pytest.raises(UsageError, match=rf"{several}: one process uses one device"):
            device_name(parsed(several))
    for wrong in ("--gpus=", "--gpus=0,", "--gpus=a", "--gpus=1,1"):
        with pytest.raises(UsageError, match="not a list of different GPU numbers"):
            device_name(parsed(wrong))


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    for given, device in (
        ("--device=cuda", "cuda:1"),
        ("--device=cpu", "cpu"),
        ("--num_gpus=0", "cpu"),
        ("--num_gpus=2", "cuda:1"),
        ("--gpus=3,5", "cuda:5"),
    ):
        assert device_name(parsed(given)) == device
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert device_name(parsed()) == "cuda:1"
    for given, named in (
        ("--device=cuda:0", "would be used by all 2 processes here"),
        ("--num_gpus=1", "--num_gpus=1 is too few"),
        ("--gpus=3", "--gpus=3 is too few"),
    ):
        with pytest.raises(UsageError, match=named):
            device_name(parsed(given))
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")  # one process a machine
    assert device_name(parsed("--device=cuda:7")) == "cuda:7"
    assert device_name(parsed("--gpus=7")) == "cuda:7"


def test_the_model_of_the_flags() -> None:
    config = model_config(
        parsed("--model_name=ir-csn", "--model_depth=50", "--clip_length_rgb=8", "--use_pool1=1", "--crop_size=224")
    )
    assert (config.model_name, config.clip_length, config.use_pool1) == ("ir-csn", 8, True)


def test_flow_is_the_data_of_the_network() -> None:
    options = parsed("--input_type=1", "--num_channels=3", "--flow_data_type=1", "--clip_length_of=4")
    config = model_config(options)
    assert (config.num_channels, config.clip_length) == (3, 4)
    arguments = options.reader_arguments()
    assert (arguments["get_rgb"], arguments["get_optical_flow"], arguments["input_type"]) == (0, 1, 1)
    arguments = parsed().reader_arguments()
    assert (arguments["get_rgb"], arguments["get_optical_flow"]) == (1, 0)


def test_channels_that_the_flow_does_not_have_are_refused() -> None:
    with pytest.raises(UsageError, match=r"num_channels=3, but flow has 2 channels .* give --num_channels=2"):
        model_config(parsed("--input_type=1"))


@pytest.mark.parametrize(
    "wrong", ["--multi_label=2", "--batch_size=0", "--on_bad_video=ignore", "--video_res_type=3", "--seed=-1"]
)
def test_wrong_values_name_their_flag(wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong.split("=")[0]):
        parsed(wrong)
