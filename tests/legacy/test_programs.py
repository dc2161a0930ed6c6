"""Programs in the manner of that time, unchanged, against our own tools on the same database and weights."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_operators
from tests.goldens.e2e import run_tool
from tests.legacy.running import NETWORK, PROGRAMS, ROOT, ended, legacy, plain_database, reports, weights
from tests.support.motion import write_motion_database
from vmz.checkpoints.loading import load
from vmz.video.database.lmdb_database import VideoDatabase

pytestmark = needs_operators
OWN, OURS, DATABASE = PROGRAMS / "own_lib", PROGRAMS / "our_lib", PROGRAMS / "database"
SCHEDULE = ["--batch_size=2", "--epoch_size=4", "--base_learning_rate=0.01", "--step_epoch=1", "--weight_decay=0.005"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """test_db: 8 videos of 8 classes. train_db: 8 records; twin_db: 8 times one. r3d.pkl, r2plus1d.pkl."""
    found = tmp_path_factory.mktemp("legacy")
    write_motion_database(found / "test_db")
    plain_database(found / "train", list(range(8))).rename(found / "train_db")
    plain_database(found / "twin", [3] * 8).rename(found / "twin_db")
    for name in ("r3d", "r2plus1d"):
        weights(found / f"{name}.pkl", name)
    return found


def accuracy(text: str) -> str:
    [line] = re.findall(r"Test accuracy: .*", text)
    return str(line)


def our_test(folder: Path, name: str, output: Path, weights: str = "") -> tuple[str, np.ndarray]:
    """test_net's two lines, and its scores: (videos, clips, classes)."""
    ran = run_tool(
        "test_net.py",
        f"--model_name={name}",
        *NETWORK,
        f"--test_data={folder / 'test_db'}",
        f"--load_model_path={weights or folder / (name + '.pkl')}",
        "--engine=caffe2",
        "--num_gpus=0",
        "--batch_size=2",
        "--clip_per_video=2",
        f"--save_scores={output / 'scores.npz'}",
    )
    scores = np.load(output / "scores.npz")["softmax"].reshape(8, 2, 8)
    return ended(ran), scores


def our_training(folder: Path, name: str, data: str, output: Path) -> dict[str, np.ndarray]:
    ran = run_tool(
        "train_net.py",
        f"--model_name={name}",
        *NETWORK,
        f"--train_data={folder / data}",
        f"--load_model_path={folder / name}.pkl",
        "--db_type=pickle",
        "--engine=caffe2",
        "--num_gpus=0",
        "--num_epochs=1",
        *SCHEDULE,
        f"--file_store_path={output}",
        "--save_model_name=ours",
    )
    ended(ran)
    return load(output / "ours_1.mdl").blobs


def same_weights(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], least: int) -> None:
    """Every parameter and running statistic that `wanted` has, bit for bit."""
    names = [name for name in wanted if name in found]
    assert len(names) >= least
    for name in names:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def test_python_2_tests_a_network_of_its_own_lib(folder: Path, tmp_path: Path) -> None:
    ran = legacy(
        "--py2",
        OWN / "tools" / "test_net.py",
        f"--test_data={folder / 'test_db'}",
        f"--load_model_path={folder / 'r3d.pkl'}",
        f"--output_path={tmp_path / 'scores'}",
        path=str(OWN / "lib"),
    )
    text = ended(ran)
    assert "videos: 8, first key 00000\nloaded 67 of 67 blobs\n" in text
    ours, scores = our_test(folder, "r3d", tmp_path)
    assert accuracy(text) == accuracy(ours)
    np.testing.assert_array_equal(pickle.loads((tmp_path / "scores").read_bytes()), scores)
    assert {"py2", "operators", "cpickle", "pickle", "checkpoint"} <= set(reports(ran))
    assert "imports" not in reports(ran)  # its lib is its own


def test_python_2_trains_on_one_device(folder: Path, tmp_path: Path) -> None:
    ran = legacy(
        "--py2",
        OWN / "tools" / "train_net.py",
        f"--train_data={folder / 'train_db'}",
        f"--load_model_path={folder / 'r3d.pkl'}",
        f"--file_store_path={tmp_path}",
        *SCHEDULE,
    )
    text = ended(ran)
    assert len(re.findall(r"iteration \d loss", text)) == 2
    found = pickle.loads((tmp_path / "small_1.pkl").read_bytes())["blobs"]
    assert not np.array_equal(found["conv1_w"], load(folder / "r3d.pkl").blobs["conv1_w"])  # it has learned
    same_weights(found, our_training(folder, "r3d", "train_db", tmp_path), 67)
    assert "global-init" in reports(ran)


@pytest.mark.slow
def test_python_2_trains_on_two_devices(folder: Path, tmp_path: Path) -> None:
    """Both read one cursor, which of them what is a race: all records are one here."""
    arguments = ["--num_cpus=2", "--batch_size=2", "--epoch_size=8", f"--load_model_path={folder / 'r3d.pkl'}"]
    program = [OWN / "tools" / "train_net.py", f"--train_data={folder / 'twin_db'}", f"--file_store_path={tmp_path}"]
    text = ended(legacy("--py2", *program, *arguments))
    assert len(re.findall(r"iteration \d loss", text)) == 2
    found = pickle.loads((tmp_path / "small_1.pkl").read_bytes())["blobs"]
    same_weights(found, two_devices(folder, "r3d", tmp_path), 67)


def two_devices(folder: Path, name: str, output: Path) -> dict[str, np.ndarray]:
    """Two iterations of our trainer, on two CPUs, of SCHEDULE."""
    given = [str(folder / "twin_db"), str(folder / f"{name}.pkl"), str(output / "ours.pkl")]
    command = [sys.executable, "-m", "tests.legacy.two_devices", *given, f"--model_name={name}", *NETWORK, *SCHEDULE]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "lib"), str(ROOT)])}
    ended(subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500))
    return load(output / "ours.pkl").blobs


def train_for_gpus(folder: Path, data: str, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return legacy(
        OURS / "tools" / "train_net.py",
        *NETWORK,
        f"--train_data={folder / data}",
        f"--load_model_path={folder / 'r2plus1d.pkl'}",
        f"--file_store_path={output}",
        *SCHEDULE,
        *arguments,
    )


def test_a_program_for_gpus_trains_on_the_cpu_with_our_lib(folder: Path, tmp_path: Path) -> None:
    ran = train_for_gpus(folder, "train_db", tmp_path, "--gpus=0")
    ended(ran)
    wanted = our_training(folder, "r2plus1d", "train_db", tmp_path)
    same_weights(load(tmp_path / "simple_1.mdl").blobs, wanted, 100)
    assert {"imports", "gpu", "builtins"} <= set(reports(ran))
    trained = str(tmp_path / "simple_1.mdl")  # what it saved is tested by another old program, and by ours
    tested = evaluate(folder, tmp_path, f"--load_model_path={trained}", "--db_type=minidb", "--num_gpus=1")
    ended(tested)
    ours, scores = our_test(folder, "r2plus1d", tmp_path, trained)
    assert accuracy(tested.stderr) == accuracy(ours)
    np.testing.assert_array_equal(pickle.loads((tmp_path / "scores").read_bytes()), scores)


def test_two_gpus_become_two_devices_of_the_cpu(folder: Path, tmp_path: Path) -> None:
    ended(train_for_gpus(folder, "twin_db", tmp_path, "--num_gpus=2", "--epoch_size=8"))
    same_weights(load(tmp_path / "simple_1.mdl").blobs, two_devices(folder, "r2plus1d", tmp_path), 100)


def evaluate(folder: Path, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program, data = OURS / "tools" / "evaluate.py", folder / "test_db"
    return legacy(program, *NETWORK, f"--test_data={data}", f"--output_path={output / 'scores'}", *arguments)


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_program_tests_with_our_lib(folder: Path, tmp_path: Path, gpus: int) -> None:
    ran = evaluate(folder, tmp_path, f"--load_model_path={folder / 'r2plus1d.pkl'}", f"--num_gpus={gpus}")
    ended(ran)
    ours, scores = our_test(folder, "r2plus1d", tmp_path)
    assert accuracy(ran.stderr) == accuracy(ours)
    np.testing.assert_array_equal(pickle.loads((tmp_path / "scores").read_bytes()), scores)
    if gpus == 0:
        assert re.findall("FLOPs: .*", ran.stderr) == re.findall("FLOPs: .*", ours)
        assert "checkpoint" in reports(ran)


@pytest.mark.parametrize("local", [0, 1])
def test_python_2_writes_a_database(folder: Path, tmp_path: Path, local: int) -> None:
    """Text as key and value, a video read as text, CSVs in binary mode."""
    videos = [folder / "train" / f"{number}.mp4" for number in range(3)]
    rows = "".join(f"{video},{number}\n" for number, video in enumerate(videos))
    (tmp_path / "list.csv").write_text("org_video,label\n" + rows)
    ran = legacy(
        "--py2",
        DATABASE / "create_db.py",
        f"--list_file={tmp_path / 'list.csv'}",
        f"--output_file={tmp_path / 'db'}",
        f"--use_local_file={local}",
    )
    assert ended(ran) == "wrote 3 records, 1 pairs\n"
    with VideoDatabase(tmp_path / "db") as database:
        records: list[Any] = list(database)
    assert [record.labels for record in records] == [(0,), (1,), (2,)]
    wanted = [str(video).encode() if local else video.read_bytes() for video in videos]
    assert [record.video for record in records] == wanted
    index = (tmp_path / "db.csv").read_text().splitlines()
    assert index[1] == f"00000000,{videos[0] if local else len(wanted[0])}"
    with lmdb.open(str(tmp_path / "db"), readonly=True) as env, env.begin() as txn:
        assert [key for key, _ in txn.cursor()] == [b"00000000", b"00000001", b"00000002"]


def test_the_programs_stay_as_they_are() -> None:
    assert not list(PROGRAMS.rglob("*.pyc")) and str(ROOT) in str(PROGRAMS)
