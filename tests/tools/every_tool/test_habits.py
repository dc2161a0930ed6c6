"""What people who know the original, or another project, type: on both engines."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES, without_caffe2
from tests.support.processes import ONE_THREAD, run_processes
from tests.support.small_videos import video
from vmz.checkpoints.loading import save
from vmz.checkpoints.seeded import seeded_weights
from vmz.engines.caffe2_engine.here import CAFFE2_PYTHON
from vmz.engines.caffe2_engine.surroundings import OPS_LIBRARY
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.database.lmdb_database import DatabaseWriter, VideoDatabase
from vmz.video.database.records import Record

SMALL = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=3", "--crop_size=112",
    "--clip_length_rgb=4", "--scale_h=112", "--scale_w=120", "--num_gpus=0", "--batch_size=2", "--clip_per_video=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("habits")
    with DatabaseWriter(folder / "ids") as writer:
        for number in range(3):
            writer.write(
                Record(b"%d" % number, video(folder / f"{number}.mp4", number), (number,), None, 7 << 40 | number)
            )
    return folder


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_video_ids_in_a_test(engine: str, folder: Path, tmp_path: Path) -> None:
    given = [*SMALL, f"--eng={engine}", f"--test={folder / 'ids'}", "--random_weights=1", "--check_data=0"]
    scores = tmp_path / "scores.npz"
    done = run_processes(0, "test_net.py", *given, "--get_video_id=1", f"--save_scores={scores}")
    assert done.returncode == 0, done.stderr
    with np.load(scores) as found:
        assert found["video_id"].tolist() == [7 << 40 | number for number in (0, 0, 1, 1, 2, 2)]
        assert found["label"].tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_a_list_with_spaces_and_names_is_all_it_takes(
    engine: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{folder}/{number}.mp4 {name}\n" for number, name in enumerate(["zumba", "archery", "riding a bike"])]
    (tmp_path / "val.txt").write_text("".join(rows))
    monkeypatch.chdir(tmp_path)
    made = run_processes(0, "../data/create_video_db.py", "--list=val.txt", "--out=db", "--shuffle=0")
    assert made.returncode == 0, made.stderr
    with VideoDatabase("db") as database:
        assert [record.labels for record in database] == [(2,), (0,), (1,)]
    given = [*SMALL, f"--engine={engine}", "--test_data=db", "--random_weights=1", "--list=val.txt"]
    done = run_processes(0, "test_net.py", *given, "--label_names=db.classes.txt", "--print_per_class_metrics=1")
    assert done.returncode == 0, done.stderr
    assert "other labels" not in done.stderr and "class 1 riding a bike" in done.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_flags_without_effect_are_named(engine: str) -> None:
    given = ["--audio_weight=0.5", "--cudnn_workspace_limit_mb=64", "--jitter_scales=128,160", "--dry_run"]
    given += ["--step_epoch=5", "--lr_milestones=10,20", "--gradual_warmup=1"]
    done = run_processes(0, "train_net.py", f"--engine={engine}", "--model_depth=10", *given)
    assert done.returncode == 0, done.stderr
    assert "--audio_weight has no effect: there are no losses to blend; --g_blend=1 has three of them" in done.stderr
    assert "--step_epoch has no effect: --lr_milestones sets when the rate falls" in done.stderr
    assert "--gradual_warmup has no effect: there is no warm-up" in done.stderr
    assert ("--cudnn_workspace_limit_mb has no effect" in done.stderr) == (engine == "pytorch")


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_videos_by_folder_and_by_odd_names(
    engine: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set" / "deep").mkdir(parents=True)
    for name in ("-x.mp4", "[1] y.mp4", "set/a.mp4", "set/deep/b.AVI"):
        (tmp_path / name).write_bytes((folder / "0.mp4").read_bytes())
    given = [*SMALL, f"--engine={engine}", "--random_weights=1", "--features=softmax", "--output_path=out"]
    done = run_processes(0, "extract_features.py", *given, "--videos", "-x.mp4", "[1] y.mp4", "set")
    assert done.returncode == 0, done.stderr
    assert "set: 2 videos" in done.stderr
    found = sorted(path.name for path in (tmp_path / "out").glob("*.npz"))
    assert found == ["-x.mp4.npz", "[1] y.mp4.npz", "a.mp4.npz", "b.AVI.npz"]


def test_a_mistyped_flag_gets_a_suggestion() -> None:
    done = run_processes(0, "test_net.py", "--model_nam3=r3d")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown flag --model_nam3; did you mean --model_name? see test_net.py --help\n"


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_the_environment_chooses_the_engine(
    engine: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "caffe2" if engine == "pytorch" else "pytorch"
    data = [*SMALL, f"--test_data={folder / 'ids'}", "--random_weights=1"]
    output = tmp_path / "out.json"
    for variable, flags in ((engine, []), (other, [f"--engine={engine}"])):  # a flag by hand wins
        monkeypatch.setitem(ONE_THREAD, "VMZ_ENGINE", variable)
        done = run_processes(0, "test_net.py", *data, *flags, f"--output={output}")
        assert done.returncode == 0, done.stderr
        assert re.search(rf" s on {engine}, (cpu|cuda:0)[;\n]", done.stdout)
        found = json.loads(output.read_text())
        assert found["environment"]["engine"] == found["options"]["engine"] == engine


ENGINE_TOOLS = ["test_net.py", "test_net_large.py", "train_net.py", "extract_features.py", "dump_clips.py"]


@pytest.mark.parametrize("tool", ENGINE_TOOLS)
def test_help_shows_the_default_that_holds(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ONE_THREAD, "VMZ_ENGINE", "caffe2")
    assert "default: caffe2)" in " ".join(run_processes(0, tool, "--help").stdout.split())
    monkeypatch.setitem(ONE_THREAD, "VMZ_ENGINE", "x")
    done = run_processes(0, tool, "--test_data=x")
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: the environment variable VMZ_ENGINE is 'x'; choose from: pytorch, caffe2, openvino, or unset it\n"
    )


@without_caffe2
@pytest.mark.skipif(not CAFFE2_PYTHON.exists() or not OPS_LIBRARY.exists(), reason="no .venv-caffe2 beside it")
def test_outside_its_environment_the_command_that_works_is_printed(folder: Path) -> None:
    given = [*SMALL, f"--test_data={folder / 'ids'}", "--random_weights=1", "--engine=caffe2"]
    done = run_processes(0, "test_net.py", *given)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    again = subprocess.run(done.stderr.partition("; run: ")[2], shell=True, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert " s on caffe2, c" in again.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_pretrained_model_initialises_the_network(engine: str, folder: Path, tmp_path: Path) -> None:
    small = ModelConfig("r2plus1d", 10, 5, clip_length=4, channel_multiplier=0.1)
    model = build(small, is_test=True)
    save(tmp_path / "w.pkl", seeded_weights([*model.params, *model.computed_params], 1))
    network = [flag for flag in SMALL if "batch_size" not in flag and "clip_per_video" not in flag]
    training = ["--batch_size=2", "--epoch_size=2", "--num_epochs=1", f"--file_store_path={tmp_path / 'run'}"]
    given = [*network, *training, f"--engine={engine}", f"--train_data={folder / 'ids'}", "--video_res_type=0"]
    done = run_processes(0, "train_net.py", *given, f"--pretrained_model={tmp_path / 'w.pkl'}", "--db_type=pickle")
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'w.pkl'}: " in done.stdout
    assert f"trained on {engine}, device cpu" in done.stdout
