"""--input_type of networks that hear: where it comes from, and the pairs that every tool refuses by one sentence."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

import vmz
from tests.engines.real_caffe2 import ENGINES, needs_operators
from tests.support.hostile_videos import png
from tests.support.small_videos import BAD
from tests.support.sound_videos import Tone, sound_video
from tests.support.sounding_videos import sounding_video
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.cli.dump_clips import work as dump_clips
from vmz.errors import UsageError
from vmz.evaluation.config import EvaluationConfig
from vmz.features.config import ExtractionConfig
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.prediction.config import PredictionConfig
from vmz.settings.model import ModelSettings
from vmz.training.config import TrainConfig

SMALL: dict[str, Any] = {"model_depth": 18, "num_labels": 2, "channel_multiplier": 0.125}
NETWORKS = {"av_resnet-r3d": 3, "a_resnet": 2, "r3d": 0}
PAIRS = [
    ("av_resnet-r3d", 0, "takes pictures and sound, not --input_type=0; give --input_type=3"),
    ("av_resnet-r3d", 1, "takes pictures and sound, not --input_type=1; give --input_type=3"),
    ("av_resnet-r3d", 2, "takes pictures and sound, not --input_type=2; give --input_type=3"),
    ("a_resnet", 0, "takes sound alone, not --input_type=0; give --input_type=2"),
    ("a_resnet", 1, "takes sound alone, not --input_type=1; give --input_type=2"),
    ("a_resnet", 3, "takes sound alone, not --input_type=3; give --input_type=2"),
    ("r3d", 2, "hears no sound, so --input_type=2 is not possible; give 0 (RGB) or 1 (optical flow)"),
    ("r3d", 3, "hears no sound, so --input_type=3 is not possible; give 0 (RGB) or 1 (optical flow)"),
]
# {tool: its flags}; the words in braces are files of `place`.
TOOLS = {
    "test_net": "--test_data={list}",
    "test_net_large": "--test_data={list}",
    "extract_features": "--test_data={list} --decode_type=1 --output_path={out}.npz",
    "train_net": "--train_data={list} --test_data={list} --file_store_path={out} --save_model_name=run",
    "compare_engines": "--test_data={list}",
    "print_net": "",
    "predict": "{films}",
    "serve": "--port=0",
    "export": "--output={out}.onnx",
    "finetune": "{classes} --file_store_path={out} --minutes=0.1",
}
WITH_ENGINES = {"test_net", "test_net_large", "extract_features", "train_net", "predict"}
CASES = [
    pytest.param(tool, engine, id=tool if engine is None else f"{tool}-{engine}")
    for tool in TOOLS
    for engine in (["pytorch"] if tool in WITH_ENGINES else [None])
] + [pytest.param(tool, "caffe2", marks=needs_operators, id=f"{tool}-caffe2") for tool in sorted(WITH_ENGINES)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of two classes, and weights of each network with what a training of ours writes down."""
    place = tmp_path_factory.mktemp("inputs")
    for number, kind in enumerate(("low", "high")):
        for folder in (place / "films", place / "classes" / kind):
            folder.mkdir(parents=True, exist_ok=True)
            for film in range(2):
                sounding_video(folder / f"{kind}{film}.mp4", number, frames=8)
    films = sorted((place / "films").glob("*.mp4"))
    lines = [f"{film},{number // 2}\n" for number, film in enumerate(films)]
    (place / "list.csv").write_text("".join(["org_video,label\n", *lines]))
    for name, code in NETWORKS.items():
        model = build(ModelConfig(model_name=name, **SMALL, clip_length=8))
        protocol = {"model_name": name, **SMALL, "input_type": code, "clip_length_rgb": 8, "test_clip_per_video": 1}
        weights = seeded_weights([*model.params, *model.computed_params], seed=1)
        save_pickle(place / f"{name}.pkl", weights, {"protocol": protocol})
    return place


def command(tool: str, place: Path, out: Path, *flags: str) -> list[str]:
    found = TOOLS[tool].format(list=place / "list.csv", films=place / "films", classes=place / "classes", out=out)
    return [*found.split(), *flags]


def weights_of(tool: str, place: Path, name: str) -> list[str]:
    start = ["--is_checkpoint=0"] if tool == "train_net" else []
    return [f"--load_model_path={place / name}.pkl", *start]


@pytest.mark.parametrize(("name", "kind", "says"), PAIRS)
@pytest.mark.parametrize(("tool", "engine"), CASES)
def test_a_pair_that_does_not_go_together(
    tool: str,
    engine: Any,
    name: str,
    kind: int,
    says: str,
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if tool == "serve":
        for package in ("starlette", "uvicorn", "python_multipart"):
            pytest.importorskip(package)
    chosen = [] if engine is None else [f"--engine={engine}"]
    flags = [*weights_of(tool, place, name), f"--input_type={kind}", *chosen]
    main = importlib.import_module(f"vmz.cli.{tool}").main
    assert main(command(tool, place, tmp_path / "out", *flags)) == 2
    assert errors_of(capsys) == [f"error: --model_name={name} {says}"]


def errors_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of stderr that are errors, of VMZ or of Python."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith(("error: ", "internal error: ", "Traceback"))]


@pytest.mark.parametrize(("name", "kind", "says"), PAIRS)
def test_the_same_in_python(name: str, kind: int, says: str, place: Path) -> None:
    engines: tuple[dict[str, Any], ...] = ({}, {"engine": "caffe2"}, {"engine": "openvino"})
    for arguments in engines:
        warned = pytest.warns(UserWarning, match=f"not as {name}.pkl was trained: --input_type={kind} instead of")
        with warned, pytest.raises(UsageError) as error:
            vmz.load_model(place / f"{name}.pkl", input_type=kind, device="cpu", **arguments)
        assert str(error.value) == f"--model_name={name} {says}"


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_clips_of_another_kind_may_be_looked_at(
    kind: int, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """dump_clips runs no network: it shows what was asked for, and says that the network saw something else."""
    flags = [f"--test_data={place / 'list.csv'}", f"--load_model_path={place / 'av_resnet-r3d.pkl'}"]
    flow = ["--clip_length_of=2"] if kind == 1 else []
    if kind == 1:
        pytest.importorskip("cv2")
    assert dump_clips([*flags, *flow, f"--input_type={kind}", f"--output={tmp_path / 'clips.npz'}"]) == 0
    printed = capsys.readouterr()
    assert ("\nlogmels: float32 6 x 1 x 100 x 40\n" in printed.out) == (kind in (2, 3))
    assert ("warning: not as av_resnet-r3d.pkl was trained: --input_type=" in printed.err) == (kind != 3)


@pytest.mark.parametrize("config", [EvaluationConfig, ExtractionConfig, TrainConfig, PredictionConfig, ModelSettings])
def test_where_it_comes_from(config: Any, place: Path) -> None:
    """Of the zoo's rows, of a checkpoint, and of a folder that model.save wrote: as all other settings."""
    by_zoo = config.resolved(zoo="g_b_ip_csn_152_kinetics")
    assert by_zoo.resolution.settings["input_type"].source == "--zoo" and by_zoo.input_type == 3
    for name, kind in NETWORKS.items():
        found = config.resolved(load_model_path=str(place / f"{name}.pkl"))
        assert (found.model_name, found.input_type) == (name, kind)
        assert found.resolution.settings["input_type"].source == "checkpoint"
    by_hand = config.resolved(zoo="g_b_ip_csn_152_kinetics", input_type=2)
    assert by_hand.input_type == 2 and by_hand.resolution.settings["input_type"].source == "command line"


def test_blobs_alone_tell_it(place: Path, tmp_path: Path) -> None:
    for name, kind in NETWORKS.items():
        model = build(ModelConfig(model_name=name, **SMALL, clip_length=8))
        bare = tmp_path / f"{name}.pkl"
        save_pickle(bare, seeded_weights([*model.params, *model.computed_params], seed=1))
        found = EvaluationConfig.resolved(load_model_path=str(bare))
        assert {flag: getattr(found, flag) for flag in SMALL} == SMALL and found.model_name == name
        sources = found.resolution.settings if found.resolution is not None else {}
        assert found.input_type == kind and sources["input_type"].source == ("blobs" if kind else "default")


def test_of_a_saved_configuration(place: Path, tmp_path: Path) -> None:
    saved = tmp_path / "settings.json"
    given = ["--model_name=a_resnet", "--model_depth=18", "--input_type=2", "--num_labels=2", "--clip_length_rgb=8"]
    data = [f"--test_data={place / 'list.csv'}", "--channel_multiplier=0.125", "--random_weights=1"]
    main = importlib.import_module("vmz.cli.test_net").main
    assert main([*given, *data, "--clip_per_video=1", f"--save_config={saved}"]) == 0
    assert json.loads(saved.read_text())["options"]["input_type"] == 2
    output = tmp_path / "results.json"
    assert main([f"--config={saved}", f"--output={output}"]) == 0
    source = json.loads(output.read_text())["settings"]["sources"]["input_type"]
    assert source == {"value": 2, "source": "--config"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--image_as_input=1"], "image_as_input=1 is not possible with sound"),
        (["--crop_per_clip=3"], "crop_per_clip=3 needs pictures, of which crops are taken; set crop_per_clip=1"),
        (["--audio_timestamps=1", "--original_start_faults=1"], "audio_timestamps=1 does not go with"),
    ],
)
@pytest.mark.parametrize("tool", ["test_net", "test_net_large", "extract_features", "train_net"])
def test_settings_that_sound_has_not(
    tool: str,
    engine: str,
    flags: list[str],
    says: str,
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = weights_of(tool, place, "a_resnet")
    main = importlib.import_module(f"vmz.cli.{tool}").main
    assert main(command(tool, place, tmp_path / "out", *known, *flags, f"--engine={engine}")) == 2
    errors = errors_of(capsys)
    lacks = tool == "train_net" and flags[0].startswith("--crop_per_clip")  # no flag of a training
    assert len(errors) == 1 and ("unknown flag --crop_per_clip" if lacks else says) in errors[0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a_resnet", "sound", ""),
        ("a_resnet", "image", "1 video without sound (its log-mels are zeros): record 0"),
        ("a_resnet", "text", "not a video that can be opened (it is text, not a video)"),
        ("av_resnet-r3d", "sound", "the file has no video stream"),
        ("av_resnet-r3d", "image", "1 frame, but 8 are needed for --clip_length_rgb=8"),
    ],
)
def test_videos_without_what_the_network_takes(
    name: str,
    content: str,
    says: str,
    engine: str,
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = {"sound": lambda: sound_video([Tone()], pictures=False), "image": lambda: png(64, 48), "text": lambda: BAD}
    (tmp_path / "film.mp4").write_bytes(made[content]())
    (tmp_path / "list.csv").write_text(f"org_video,label\n{tmp_path / 'film.mp4'},1\n")
    main = importlib.import_module("vmz.cli.test_net").main
    data = [f"--test_data={tmp_path / 'list.csv'}", "--num_gpus=0", f"--engine={engine}", "--check_data=0"]
    status = main([*data, *weights_of("test_net", place, name)])
    printed = capsys.readouterr()
    shown, errors = printed.out + printed.err, [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert says in shown and ("without sound" in shown) == says.startswith("1 video")
    goes_on = not says or says.startswith("1 video")
    assert (status, len(errors)) == ((0, 0) if goes_on else (1, 1))


def test_untrimmed_videos_have_no_sound_yet(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = importlib.import_module("vmz.cli.extract_features").main
    flags = [*weights_of("extract_features", place, "a_resnet"), f"--output_path={tmp_path}", "--features=softmax"]
    assert main([f"--videos={place / 'films'}", *flags]) == 2
    says = "error: --input_type=2 does not go with --videos, which gives RGB clips only"
    assert capsys.readouterr().err.splitlines()[-1] == says
