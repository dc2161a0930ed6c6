"""The order in which settings are resolved, what contradicts, and what is said about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from scripts.settings_tables import weights_of, write_checkpoints
from tests.support.optionals import present
from vmz import zoo
from vmz.checkpoints.loading import convert
from vmz.checkpoints.pickles import save_pickle
from vmz.cli import train_net
from vmz.cli.shared.settings_report import announce, notes, source_lines, warnings
from vmz.cli.test_net import configuration, evaluation_parser
from vmz.errors import UsageError, VmzError
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.run import evaluate
from vmz.settings.resolution import (
    BLOBS,
    CHECKPOINT,
    COMMAND_LINE,
    DEFAULT,
    FEATURES,
    PUBLISHED_FILE,
    ZOO,
    ZooSettings,
    resolve,
)
from vmz.training.config import TrainConfig

CSN = "ipCSN_152_ft_kinetics_from_ig65m_f133090949.pkl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints")
    write_checkpoints(path)
    return path


def of_test(*argv: str) -> EvaluationConfig:
    return configuration(argv)


def of_training(*argv: str) -> TrainConfig:
    return train_net.configuration(argv)


def sources(options: ZooSettings, *flags: str) -> list[str]:
    assert options.resolution is not None
    return [options.resolution.settings[flag].source for flag in flags]


def test_flags_given_by_hand_are_told_from_defaults() -> None:
    given = evaluation_parser("").given_values(["--top_k=5", "--zoo", "x"])
    assert given == {"top_k": 5, "zoo": "x"}  # though 5 is the default


@pytest.mark.parametrize("name", ["ours.pkl", "ours.mdl"])
def test_our_checkpoint_is_tested_as_training_tested_it(name: str, folder: Path) -> None:
    options = of_test(f"--load_model_path={folder / name}")
    assert (options.model_depth, options.num_labels, options.clip_length_rgb) == (10, 3, 8)
    assert (options.video_res_type, options.clip_per_video, options.channel_multiplier) == (1, 3, 0.1)
    assert options.batch_size == 6  # training's is of another kind
    assert set(sources(options, "model_depth", "video_res_type", "clip_per_video", "aggregation")) == {CHECKPOINT}
    assert sources(options, "batch_size", "crop_per_inference") == [DEFAULT, DEFAULT]
    resolution = present(options.resolution)
    assert resolution.labels == ("left", "right", "up") and resolution.differences == ()
    assert "resolution" not in options.flags()  # flags alone: they are written down as JSON


def test_a_converted_checkpoint_still_knows(folder: Path, tmp_path: Path) -> None:
    convert(folder / "ours.mdl", tmp_path / "converted.pkl")
    options = of_test(f"--load_model_path={tmp_path / 'converted.pkl'}")
    assert (options.video_res_type, options.clip_per_video) == (1, 3)
    assert present(options.resolution).labels == ("left", "right", "up")


def test_by_hand_comes_first_and_is_warned_of(folder: Path) -> None:
    options = of_test(f"--load_model_path={folder / 'ours.pkl'}", "--video_res_type=0", "--top_k=1", "--batch_size=2")
    assert (options.video_res_type, options.top_k) == (0, 1)
    assert sources(options, "video_res_type", "clip_per_video") == [COMMAND_LINE, CHECKPOINT]
    [line] = warnings(present(options.resolution))
    assert line == "warning: not as ours.pkl was trained: --video_res_type=0 instead of 1"


def test_blobs_come_before_defaults(folder: Path) -> None:
    options = of_test(f"--load_model_path={folder / 'foreign.pkl'}")
    assert (options.model_name, options.model_depth, options.num_labels) == ("ir-csn", 26, 7)
    assert options.channel_multiplier == 0.25
    assert sources(options, "model_name", "num_labels", "clip_length_rgb") == [BLOBS, BLOBS, DEFAULT]


@pytest.mark.parametrize(
    ("flag", "blob"),
    [
        ("--model_depth=34", r"comp_7_conv_4_w \(128x128x1x1x1\)"),
        ("--model_name=ip-csn", "comp_0_conv_3_w"),
        ("--num_labels=8", r"last_out_L7_w \(7x128\) is for 7 labels"),
        ("--num_channels=2", r"conv1_w \(64x3x3x7x7\)"),
        ("--conv1_temporal_kernel=5", "conv1_w"),
        ("--channel_multiplier=0.5", "comp_7_conv_4_w"),
        ("--multi_label=1", "last_out_L7_w"),
        ("--pred_layer_name=mine", "last_out_L7_w"),
    ],
)
def test_what_contradicts_the_blobs_is_refused_in_a_sentence(flag: str, blob: str, folder: Path) -> None:
    path = folder / "foreign.pkl"
    with pytest.raises(
        VmzError, match=rf"^{flag} contradicts {path}, which belongs to another network: its blob {blob}"
    ):
        of_test(f"--load_model_path={path}", flag)
    of_test(f"--load_model_path={path}", flag, "--allow_partial_load=1")


def test_zoo_that_contradicts_the_file_is_refused(folder: Path) -> None:
    with pytest.raises(VmzError, match=r"--model_depth=18 \(of --zoo=r2plus1d_d18_l8\) contradicts .*leave --zoo out"):
        of_test(f"--load_model_path={folder / 'ours.pkl'}", "--zoo=r2plus1d_d18_l8")


def test_a_file_with_a_published_name_that_is_another_network(tmp_path: Path) -> None:
    save_pickle(tmp_path / "r2.5d_d18_l8.pkl", weights_of(model_depth=10, channel_multiplier=0.1))
    with pytest.raises(VmzError, match=r"--model_depth=18 \(of the published model r2plus1d_d18_l8, whose file name"):
        of_test(f"--load_model_path={tmp_path / 'r2.5d_d18_l8.pkl'}")


def test_weights_that_are_inflated_contradict_nothing(tmp_path: Path) -> None:
    flat = weights_of(model_name="r2df", model_depth=10, channel_multiplier=0.1, num_labels=3)
    save_pickle(tmp_path / "flat.pkl", {name: a[:, :, 0] if a.ndim == 5 else a for name, a in flat.items()})
    argv = [f"--load_model_path={tmp_path / 'flat.pkl'}", "--center_init=1"]
    assert of_test(*argv, "--model_name=r3d").model_name == "r3d"
    with pytest.raises(
        VmzError, match=r"--model_name=r2plus1d \(the default\) contradicts .* r3d.*; give --model_name"
    ):
        of_test(*argv)


@pytest.mark.parametrize("name", [CSN, CSN.upper()])
def test_the_published_row_of_a_file_name(name: str, tmp_path: Path) -> None:
    """The command of the issue; the file is named alone, so that its blobs say nothing here."""
    argv = ["--model_name=ip-csn", "--model_depth=152", "--num_labels=400", f"--load_model_path={tmp_path / name}"]
    options = of_test(*argv)
    assert (options.clip_length_rgb, options.sampling_rate_rgb, options.use_pool1) == (32, 2, 1)
    assert (options.crop_size, options.crop_per_clip, options.use_convolutional_pred) == (256, 3, 1)
    assert (options.video_res_type, options.scale_h, options.crop_per_inference) == (1, 256, 1)
    assert sources(options, "clip_length_rgb", "crop_size", "model_name") == [PUBLISHED_FILE] * 2 + [COMMAND_LINE]
    assert list(warnings(present(options.resolution))) == []
    assert "1 of the 30 crops of a video" in "".join(notes(present(options.resolution)))


def test_a_name_that_a_browser_has_changed() -> None:
    row = zoo.row_of_file("/down/r2plus1d_34_clip8_ft_kinetics_from_ig65m_ f128022400.pkl")
    assert row is not None and row.name == "r2plus1d_34_clip8_ft_kinetics_from_ig65m"
    assert zoo.row_of_file("r2.5d_d18_l8.mdl") is None


def test_zoo_is_the_published_protocol_and_fast_is_one_centre_crop() -> None:
    name = "--zoo=ir_csn_152_ft_kinetics_from_ig65m"
    fast = of_test(name, "--protocol=fast")
    assert (fast.crop_size, fast.crop_per_clip, fast.clip_per_video) == (224, 1, 10)
    assert (fast.use_convolutional_pred, fast.crop_per_inference) == (0, 0)
    [line] = warnings(present(fast.resolution))
    assert "--crop_size=224 instead of 256" in line and "--crop_per_clip=1 instead of 3" in line
    by_hand = of_test(name, "--crop_size=224")
    assert present(by_hand.resolution).protocol == zoo.FAST and by_hand.use_convolutional_pred == 0
    assert of_test(name, "--crop_size=320").use_convolutional_pred == 1


def test_a_protocol_of_no_published_model_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="--protocol=fast applies to published models, but there is no --zoo"):
        of_test(f"--load_model_path={folder / 'ours.pkl'}", "--protocol=fast")


def test_features_take_a_centre_crop_and_no_clips_a_video(folder: Path) -> None:
    defaults = {**vars(evaluation_parser("").parse_args([])), "clip_per_video": 1, "batch_size": 32}
    found = resolve({"zoo": "ir_csn_152_ft_kinetics_from_ig65m"}, defaults, FEATURES).values()
    assert (found["crop_size"], found["crop_per_clip"]) == (224, 1) and "clip_per_video" not in found
    asked = resolve({"zoo": "ir_csn_152_ft_kinetics_from_ig65m", "protocol": zoo.PUBLISHED}, defaults, FEATURES)
    assert (asked.values()["crop_size"], asked.values()["crop_per_clip"]) == (256, 3)
    own = resolve({"load_model_path": str(folder / "ours.pkl")}, defaults, FEATURES).values()
    assert own["clip_length_rgb"] == 8 and "clip_per_video" not in own


def test_what_was_not_published_is_told_by_the_blobs_or_by_hand(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="num_labels was not published; give --num_labels"):
        of_test("--zoo=c3d_sports1m_from_scratch")
    assert of_test("--zoo=c3d_sports1m_from_scratch", "--num_labels=487").num_labels == 487
    blobs = {
        "conv1a_w": np.zeros((64, 3, 3, 3, 3)),
        "last_out_L487_w": np.zeros((487, 9)),
        "last_out_L487_b": np.zeros(487),
    }
    save_pickle(tmp_path / "c3d.pkl", blobs)
    told = of_test("--zoo=c3d_sports1m_from_scratch", f"--load_model_path={tmp_path / 'c3d.pkl'}")
    assert told.num_labels == 487 and sources(told, "num_labels", "model_name") == [BLOBS, ZOO]


def test_fine_tuning_takes_the_network_and_no_head(folder: Path) -> None:
    options = of_training(f"--load_model_path={folder / 'ours.pkl'}", "--num_labels=9")
    assert (options.model_depth, options.channel_multiplier, options.clip_length_rgb) == (10, 0.1, 8)
    assert (options.num_labels, options.epoch_size, options.batch_size) == (9, 110000, 32)
    assert "multi_label" not in present(options.resolution).settings
    assert of_training(f"--load_model_path={folder / 'ours.pkl'}").num_labels == 101
    with pytest.raises(VmzError, match="--model_depth=18 contradicts"):
        of_training(f"--load_model_path={folder / 'ours.pkl'}", "--model_depth=18")
    with pytest.raises(VmzError, match="--conv1_temporal_kernel=5 contradicts"):
        of_training(f"--load_model_path={folder / 'ours.pkl'}", "--conv1_temporal_kernel=5")


def test_resuming_takes_nothing(folder: Path) -> None:
    path = f"--load_model_path={folder / 'ours.mdl'}"
    assert of_training(path).model_depth == 18
    assert of_training(path, "--is_checkpoint=0").model_depth == 10


def test_fine_tuning_from_a_published_file(tmp_path: Path) -> None:
    options = of_training(f"--load_model_path={tmp_path / 'r2.5d_d34_l32.pkl'}", "--num_labels=51")
    assert (options.model_depth, options.clip_length_rgb, options.num_labels) == (34, 32, 51)
    assert options.video_res_type == 1  # training keeps the aspect; 0 is the test's
    assert options.batch_size == 32 and present(options.resolution).protocol is None


def test_zoo_in_training_is_the_network_and_one_pass_over_the_data() -> None:
    options = of_training("--zoo=ir_csn_152_ft_kinetics_from_ig65m")
    assert (options.model_name, options.num_labels, options.crop_size) == ("ir-csn", 400, 224)
    assert (options.batch_size, options.epoch_size, options.use_convolutional_pred) == (32, 0, 0)
    assert sources(options, "epoch_size") == [ZOO]
    assert of_training("--zoo=ir_csn_152_ft_kinetics_from_ig65m", "--epoch_size=640").epoch_size == 640


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"protocol": {"video_res_type": 7}}, "its protocol has --video_res_type=7, which is not one of its values"),
        ({"protocol": {"model_depth": "deep"}}, "its protocol has --model_depth=deep"),
        ({"protocol": [1]}, "protocol is .1., not an object or null"),
    ],
)
def test_a_protocol_that_is_damaged(about: dict[str, Any], says: str, tmp_path: Path) -> None:
    save_pickle(tmp_path / "odd.pkl", weights_of(model_depth=10, channel_multiplier=0.1), about)
    with pytest.raises(VmzError, match=says):
        of_test(f"--load_model_path={tmp_path / 'odd.pkl'}")


@pytest.mark.parametrize("labels", [None, [], ["a"], "abc", [1, 2, 3]])
def test_class_names_that_are_not_those_of_the_labels(labels: Any, tmp_path: Path) -> None:
    weights = weights_of(model_depth=10, channel_multiplier=0.1, num_labels=3)
    save_pickle(tmp_path / "odd.pkl", weights, {"labels": labels})
    assert present(of_test(f"--load_model_path={tmp_path / 'odd.pkl'}").resolution).labels is None


def test_a_missing_file_is_left_to_whoever_loads_it(tmp_path: Path) -> None:
    options = of_test(f"--load_model_path={tmp_path / 'none.pkl'}", f"--test_data={tmp_path}")
    assert sources(options, "model_depth") == [DEFAULT]
    with pytest.raises(VmzError):
        evaluate(options)


def test_a_line_for_each_source_from_the_first_process_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = of_test(f"--load_model_path={folder / 'ours.pkl'}", "--scale_w=170")
    announce(options.resolution)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "warning: not as ours.pkl was trained: --scale_w=170 instead of 171\n"
    assert [line.split(":")[0] for line in lines] == [
        "settings from the command line", "settings from the training of ours.pkl", "settings by default",
        "class names from the checkpoint",
    ]  # fmt: skip
    assert "model_depth=10" in lines[1] and "clip_length_of" not in out  # no flow here
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    announce(options.resolution)
    assert capsys.readouterr() == ("", "")


def test_nothing_is_said_where_nothing_came_from_elsewhere() -> None:
    assert source_lines(present(of_test("--random_weights=1").resolution)) == []


@pytest.mark.parametrize(("name", "said"), [("r2plus1d_d34_l32", "dense clips"), ("r2plus1d_d18_l8", None)])
def test_a_test_that_this_tool_does_not_run_is_noted(name: str, said: Optional[str]) -> None:
    text = "".join(notes(present(of_test(f"--zoo={name}").resolution)))
    assert said in text if said else text == ""


def test_the_account_as_json(folder: Path) -> None:
    account = present(of_test(f"--load_model_path={folder / 'ours.pkl'}", "--scale_w=170").resolution).to_json()
    assert account["sources"]["scale_w"] == {"value": 170, "source": "command line"}
    assert account["sources"]["model_depth"] == {"value": 10, "source": "checkpoint"}
    assert account["differences"] == ["--scale_w=170 instead of 171"] and account["published_model"] is None
