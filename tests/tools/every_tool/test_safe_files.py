"""What must not go wrong with a tool's files, on both engines: weights that are none, and outputs that are no files."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.support.in_process import tool
from tests.support.small_videos import video
from vmz.checkpoints.loading import save
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError, VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

NETWORK = ["--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=3"]
CLIPS = ["--crop_size=112", "--clip_length_rgb=4", "--scale_h=112", "--scale_w=120", "--num_gpus=0", "--batch_size=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database, a video, and the weights good, with a NaN, and so large that values overflow in the network."""
    folder = tmp_path_factory.mktemp("safe")
    with DatabaseWriter(folder / "db") as writer:
        for number in range(3):
            writer.write(Record(b"%d" % number, video(folder / f"{number}.mp4", number), (number,), None, number))
    model = build(ModelConfig("r2plus1d", 10, 3, clip_length=4, channel_multiplier=0.1), is_test=True)
    weights = seeded_weights([*model.params, *model.computed_params], 1)
    save(folder / "good.pkl", weights)
    save(
        folder / "huge.pkl",
        {n: w * np.float32(1e30 if n in ("conv1_w", "comp_0_conv_1_w") else 1) for n, w in weights.items()},
    )
    weights["comp_1_conv_1_w"].flat[:2] = np.nan
    save(folder / "nan.pkl", weights)
    return folder


def commands(folder: Path, output: Path, weights: str, engine: str) -> dict[str, list[str]]:
    """Every tool that loads weights."""
    given = [*NETWORK, *CLIPS, f"--load_model_path={folder / weights}"]
    data = f"--test_data={folder / 'db'}"
    features = [f"--engine={engine}", "--features=softmax"]
    return {
        "test_net.py": [*given, f"--engine={engine}", data, "--clip_per_video=2", "--check_data=0"],
        "extract_features.py": [
            *given, *features, data, "--clip_per_video=2", "--decode_type=1", f"--output_path={output / 'f.npz'}",
        ],
        "extract_features.py ": [*given, *features, "--videos", str(folder / "0.mp4"), f"--output_path={output / 'v'}"],
        "train_net.py": [
            *given, f"--engine={engine}", "--is_checkpoint=0", f"--train_data={folder / 'db'}", "--epoch_size=2",
            "--num_epochs=1", f"--file_store_path={output}", "--video_res_type=0",
        ],
    }  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_that_are_not_finite_are_refused_by_every_tool(engine: str, folder: Path, tmp_path: Path) -> None:
    for name, given in commands(folder, tmp_path, "nan.pkl", engine).items():
        with pytest.raises(VmzError, match=r"nan\.pkl contains .* no network can use: comp_1_conv_1_w \(2 NaN, of"):
            tool(name.strip())(given)
    with pytest.raises(VmzError, match="no network can use"):
        tool("compare_engines.py")([*NETWORK, f"--load_model_path={folder / 'nan.pkl'}", "--clip_length_rgb=4"])


@pytest.mark.parametrize("engine", ENGINES)
def test_values_that_are_not_finite_name_their_clip(engine: str, folder: Path, tmp_path: Path) -> None:
    """Of a network whose values overflow: a fused ReLU on the CPU would make 0 of them, and a figure of that."""
    runs = commands(folder, tmp_path, "huge.pkl", engine)
    with pytest.raises(VmzError, match=r"scores of record 0 of .*db are not finite \(clip 1 of 2\)"):
        tool("test_net.py")(runs["test_net.py"])
    with pytest.raises(VmzError, match=r"scores of record 0 of .*db are not finite \(clip 1 of 2\)"):
        tool("test_net.py")([*runs["test_net.py"], "--crop_per_inference=1"])
    with pytest.raises(VmzError, match=r"blob softmax of record 0 of .*db has values .*not finite \(clip 1 of 2\)"):
        tool("extract_features.py")(runs["extract_features.py"])
    with pytest.raises(VmzError, match=r"blob softmax of .*0\.mp4 has values .* in the clip at 0\.000 s"):
        tool("extract_features.py")(runs["extract_features.py "])


@pytest.mark.parametrize("engine", ENGINES)
def test_features_of_videos_are_not_written_over_what_is_read(engine: str, folder: Path, tmp_path: Path) -> None:
    """The weights lie in the output folder, under the name that the features of a video get."""
    (tmp_path / "v").mkdir()
    weights = tmp_path / "v" / "0.mp4.pkl"
    weights.write_bytes((folder / "good.pkl").read_bytes())
    given = [*commands(folder, tmp_path, str(weights), engine)["extract_features.py "], "--video_format=pickle"]
    with pytest.raises(UsageError, match=rf"is the folder of {weights}, the file that --load_model_path reads; choose"):
        tool("extract_features.py")(given)
    assert weights.read_bytes() == (folder / "good.pkl").read_bytes()
    assert os.listdir(tmp_path / "v") == ["0.mp4.pkl"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["r3d", "r2plus1d"])
def test_a_pool_before_the_scores_hides_nothing(engine: str, name: str, folder: Path, tmp_path: Path) -> None:
    model = build(
        ModelConfig(name, 10, 3, crop_size=224, clip_length=4, channel_multiplier=0.1, use_pool1=True), is_test=True
    )
    weights = seeded_weights([*model.params, *model.computed_params], 1)
    stem = next(blob for blob in weights if blob.startswith("conv1") and blob.endswith("_w"))
    weights[stem] = weights[stem] / np.abs(weights[stem]).max() * np.float32(1e38)
    save(tmp_path / "huge.pkl", weights)
    given = [
        f"--model_name={name}", *NETWORK[1:], *CLIPS[1:], "--crop_size=224", "--scale_h=224", "--scale_w=240",
        "--use_pool1=1", f"--load_model_path={tmp_path / 'huge.pkl'}", f"--engine={engine}",
        f"--test_data={folder / 'db'}", "--clip_per_video=2", "--check_data=0",
    ]  # fmt: skip
    with pytest.raises(VmzError, match=r"scores of record 0 of .*db are not finite \(clip 1 of 2\)"):
        tool("test_net.py")(given)


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_that_are_links_devices_and_folders(engine: str, folder: Path, tmp_path: Path) -> None:
    runs = commands(folder, tmp_path, "good.pkl", engine)
    (tmp_path / "results").symlink_to("elsewhere.json")
    (tmp_path / "null").symlink_to("/dev/null")
    outputs = [f"--output={tmp_path / 'results'}", f"--save_scores={tmp_path / 'null'}", "--report=/dev/null"]
    assert tool("test_net.py")([*runs["test_net.py"], *outputs]) == 0
    assert (tmp_path / "results").is_symlink() and (tmp_path / "null").is_symlink()
    assert json.loads((tmp_path / "elsewhere.json").read_text())["videos"] == 3
    assert tool("extract_features.py")([*runs["extract_features.py"][:-1], "--output_path=/dev/null"]) == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert not [name for name in os.listdir("/dev") if name.startswith((".null", "null."))]
    for flag in ("output", "save_scores", "report"):
        with pytest.raises(UsageError, match=rf"^--{flag}=.*: it is a folder; give the name of a file"):
            tool("test_net.py")([*runs["test_net.py"], f"--{flag}={tmp_path}"])
    with pytest.raises(UsageError, match="it is a folder"):
        tool("extract_features.py")([*runs["extract_features.py"][:-1], f"--output_path={tmp_path}"])


@pytest.mark.parametrize(
    "flag",
    [
        "--scale_h=100000", "--crop_size=1e3", "--batch_size=99999999999", "--num_labels=99999999", "--seed=4294967296",
        "--channel_multiplier=nan", "--channel_multiplier=1e300", "--num_decode_threads=100000", "--top_k=-1",
        "--clip_per_video=100000000", "--max_frames=99999999999999999999", f"--num_iter={'9' * 5000}",
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_named(flag: str, folder: Path, tmp_path: Path) -> None:
    name = flag.partition("=")[0]
    says = r"(is more than \d|is not an integer|is not a finite number|is not at least)"
    with pytest.raises(UsageError, match=f"^{name}: .*{says}") as caught:
        tool("test_net.py")([*commands(folder, tmp_path, "good.pkl", "pytorch")["test_net.py"], flag])
    assert len(str(caught.value)) < 400


def test_every_tool_refuses_a_folder_as_output_before_the_work(tmp_path: Path) -> None:
    for name, flags in {
        "train_net.py": ["output", "report"],
        "compare_engines.py": ["output", "html"],
        "dense_prediction_aggregation.py": ["output"],
        "dense_prediction_fusion.py": ["output"],
        "dump_clips.py": ["output", "contact_sheet"],
        "aggregate_scores.py": ["output"],
        "gblend_weights.py": ["output"],
        "../data/dense_list.py": ["output_file"],
        "../data/dataset_list.py": ["output_file", "write_classes"],
        "../data/create_video_db.py": ["report"],
    }.items():
        needed = {
            "aggregate_scores.py": ["none.npz"],
            "gblend_weights.py": ["none.json"],
            "../data/dense_list.py": ["--list_file=none.csv"],
            "../data/dataset_list.py": ["--dataset=ucf101", "--annotations=no", "--video_dir=no", "--output_file=o"],
            "../data/create_video_db.py": ["--list_file=none.csv", "--check"],
        }.get(name, [])
        for flag in flags:
            with pytest.raises(UsageError, match=rf"^--{flag}={tmp_path}: it is a folder; give the name of a file"):
                tool(name)([*needed, f"--{flag}={tmp_path}"])


@pytest.mark.parametrize("ending", [".pb", ".pbtxt", ".json", ".mdl", ".pkl"])
def test_convert_net_looks_at_its_outputs_before_its_work(ending: str, tmp_path: Path) -> None:
    convert = tool("convert_net.py")
    (tmp_path / f"folder{ending}").mkdir()
    (tmp_path / f"loop{ending}").symlink_to(f"loop{ending}")
    for name, said in (
        (f"folder{ending}", "it is a folder"),
        (f"loop{ending}", "Too many levels of symbolic links"),
        (f"nothere/x{ending}", "there is no folder"),
        ("n" * 300 + ending, "File name too long"),
    ):
        with pytest.raises(UsageError, match=rf"^--output=.*{said}"):
            convert([f"--net={tmp_path / 'none.pb'}", f"--output={tmp_path / name}"])
    if ending == ".pb":  # the init net goes beside it
        (tmp_path / "x_init.pb").mkdir()
        with pytest.raises(UsageError, match=r"^the init net=.*x_init\.pb: it is a folder"):
            convert([f"--net={tmp_path / 'none.pb'}", f"--output={tmp_path / 'x.pb'}"])
    assert {path.name for path in tmp_path.iterdir()} <= {f"folder{ending}", f"loop{ending}", "x_init.pb"}


@pytest.mark.parametrize("engine", ENGINES)
def test_folders_that_cannot_be_are_named(engine: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    training = commands(folder, tmp_path, "good.pkl", engine)["train_net.py"]
    for name, said in (("loop", "Too many levels of symbolic links"), ("n" * 300, "File name too long")):
        with pytest.raises(UsageError, match=rf"^--file_store_path=.* cannot be written: {said}"):
            tool("train_net.py")([*training, f"--file_store_path={tmp_path / name}"])


def test_lists_look_at_the_files_beside_them_before_the_work(tmp_path: Path) -> None:
    for name, beside, needed in (
        ("../data/dense_list.py", "left_out", ["--list_file=none.csv", "--on_bad_video=skip"]),
        (
            "../data/dataset_list.py", "missing",
            ["--dataset=ucf101", "--annotations=none", "--video_dir=none", "--missing=skip"],
        ),
    ):  # fmt: skip
        (tmp_path / f"list.csv.{beside}.txt").mkdir()
        with pytest.raises(UsageError, match=rf"{beside}\.txt: it is a folder"):
            tool(name)([*needed, f"--output_file={tmp_path / 'list.csv'}"])
        assert not (tmp_path / "list.csv").exists()
