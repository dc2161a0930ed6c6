"""A network trained here and tested with nothing but --load_model_path and --test_data: the figures of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.settings_tables import write_checkpoints
from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import run_tool
from tests.support.motion import CLASSES, write_motion_database
from vmz.checkpoints.loading import load
from vmz.cli import test_net, train_net
from vmz.evaluation.run import evaluate
from vmz.training.run import train
from vmz.video.database.lmdb_database import DatabaseWriter, VideoDatabase

# Nothing of it is test_net's default.
UNUSUAL = [
    "--model_name=r3d", "--model_depth=10", "--channel_multiplier=0.05", f"--num_labels={len(CLASSES)}",
    "--clip_length_rgb=4", "--sampling_rate_rgb=2", "--scale_h=120", "--scale_w=160", "--conv1_temporal_kernel=5",
    "--test_clip_per_video=3", "--top_k=3",
]  # fmt: skip
RUN = [
    *UNUSUAL, "--batch_size=2", "--epoch_size=0", "--num_epochs=1", "--base_learning_rate=0.02", "--num_gpus=0",
    "--num_decode_threads=1", "--save_model_name=run", "--test_batch_size=4",
]  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_motion_database(tmp_path_factory.mktemp("motion") / "lmdb")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("names") / "classes.txt"
    path.write_text("\n".join(CLASSES) + "\n")
    return path


def run_training(database: Path, folder: Path, *more: str) -> dict[str, float]:
    """The figures of the evaluation after the last epoch."""
    argv = [*RUN, f"--train_data={database}", f"--test_data={database}", f"--file_store_path={folder}", *more]
    figures = train(train_net.configuration(argv)).epochs[-1].figures
    assert figures is not None
    return dict(figures)


def figures_of_test(database: Path, checkpoint: Path, engine: str, *more: str) -> dict[str, float]:
    argv = [f"--load_model_path={checkpoint}", f"--test_data={database}", f"--engine={engine}", "--num_gpus=0", *more]
    return dict(evaluate(test_net.configuration(argv)).figures)


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_figures_and_class_names(engine: str, database: Path, names: Path, tmp_path: Path) -> None:
    figures = run_training(database, tmp_path, f"--engine={engine}", f"--label_names={names}")
    assert set(figures) == {"clip@1", "video@1", "video@3"}
    output, page = tmp_path / "result.json", tmp_path / "page.html"
    for name in ("run_1.pkl", "run_1.mdl"):
        assert figures_of_test(database, tmp_path / name, engine) == figures
    shown = run_tool(
        "test_net.py", f"--load_model_path={tmp_path / 'run_best.pkl'}", f"--test_data={database}",
        f"--engine={engine}", "--print_per_class_metrics=1", f"--output={output}", f"--report={page}",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    result = json.loads(output.read_text())
    assert result["figures"] == figures and result["label_names"] == CLASSES
    assert f"class 0 {CLASSES[0]}: " in shown.stdout
    assert "settings from the training of run_best.pkl: model_name=r3d model_depth=10" in shown.stdout
    assert f"class names from the checkpoint: {CLASSES[0]}, " in shown.stdout and "warning" not in shown.stderr
    assert result["settings"]["sources"]["scale_h"] == {"value": 120, "source": "checkpoint"}
    features = run_tool(
        "extract_features.py", f"--load_model_path={tmp_path / 'run_1.mdl'}", f"--test_data={database}",
        "--decode_type=1", "--clip_per_video=3", "--features=softmax,label", "--sanity_check=1",
        f"--engine={engine}", f"--output_path={tmp_path / 'features.npz'}",
    )  # fmt: skip
    assert features.returncode == 0, features.stderr
    assert f"Sanity check --- clip accuracy: {figures['clip@1']}" in features.stdout
    text = page.read_text()
    assert "Where the settings come from" in text and CLASSES[0] in text


@pytest.fixture(scope="module")
def multi_label(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same videos, each of two classes: figures that depend on the order of all scores, so on each of them."""
    path = tmp_path_factory.mktemp("multi") / "lmdb"
    with VideoDatabase(database) as videos, DatabaseWriter(path) as writer:
        for record in videos:
            other = (record.labels[0] + 3) % len(CLASSES)
            writer.write(record.__class__(**{**vars(record), "labels": (record.labels[0], other)}))
    return path


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_figures_that_change_with_the_settings(engine: str, multi_label: Path, tmp_path: Path) -> None:
    figures = run_training(multi_label, tmp_path, f"--engine={engine}", "--multi_label=1")
    checkpoint = tmp_path / "run_best.pkl"
    assert "mAP" in figures and figures_of_test(multi_label, checkpoint, engine) == figures
    defaults = ["--video_res_type=0", "--sampling_rate_rgb=1", "--clip_per_video=10", "--clip_length_rgb=16"]
    assert figures_of_test(multi_label, checkpoint, engine, *defaults) != figures  # they can differ


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_fine_tuning_takes_the_network_from_the_checkpoint(engine: str, database: Path, tmp_path: Path) -> None:
    run_training(database, tmp_path, f"--engine={engine}")
    output = tmp_path / "tuned.json"
    tuned = run_tool(
        "train_net.py", f"--load_model_path={tmp_path / 'run_best.pkl'}", f"--train_data={database}", "--num_labels=9",
        "--batch_size=4", "--epoch_size=4", "--num_epochs=1", "--num_gpus=0", f"--engine={engine}",
        f"--file_store_path={tmp_path}", "--save_model_name=tuned", f"--output={output}",
    )  # fmt: skip
    assert tuned.returncode == 0, tuned.stderr
    assert "settings from the training of run_best.pkl: model_name=r3d model_depth=10" in tuned.stdout
    options: dict[str, Any] = json.loads(output.read_text())["options"]
    assert (options["conv1_temporal_kernel"], options["clip_length_rgb"], options["num_labels"]) == (5, 4, 9)
    about = load(tmp_path / "tuned_1.pkl").about
    assert about["protocol"]["channel_multiplier"] == 0.05 and about["labels"] is None  # the old names are not the new


def test_the_clips_and_the_network_of_a_checkpoint(database: Path, tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    ours = f"--load_model_path={tmp_path / 'ours.pkl'}"
    dumped = run_tool("dump_clips.py", ours, f"--test_data={database}", "--batch_size=1")
    assert "data: float32 3 x 3 x 8 x 112 x 112" in dumped.stdout, dumped.stderr
    printed = run_tool("print_net.py", ours)
    assert "r2plus1d depth 10, clip 3x8x112x112" in printed.stdout, printed.stderr
    refused = run_tool("print_net.py", "--load_model_path=none.pkl")
    assert (refused.returncode, refused.stderr) == (2, "error: --load_model_path=none.pkl: there is no such file\n")


def test_an_epoch_of_one_pass(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*RUN, "--batch_size=3", f"--train_data={database}", f"--file_store_path={tmp_path}"]
    result = train(train_net.configuration(argv))
    assert result.epochs[-1].iteration == 2
    said = (
        "an epoch is one pass over the 8 videos: 2 iterations of 3 clips; the 2 videos left over begin the next epoch"
    )
    assert said in capsys.readouterr().out
