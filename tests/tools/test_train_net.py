"""train_net.py as a user runs it: epochs, checkpoints, resuming after a kill, fine-tuning, and what it refuses."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import TOOLS, run_tool
from tests.report.test_training import rows_of_epochs
from tests.support.motion import TINY_NETWORK, write_motion_database
from tests.support.processes import run_processes
from vmz.checkpoints.loading import load
from vmz.checkpoints.mdl import load_mdl, load_mdl_about
from vmz.checkpoints.pickles import load_pickle, save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.models.config import ModelConfig
from vmz.models.registry import build

TRAIN = [
    *TINY_NETWORK, "--batch_size=2", "--epoch_size=8", "--num_epochs=2", "--base_learning_rate=0.01",
    "--random_mirror=0", "--save_model_name=run", "--test_clip_per_video=2", "--test_batch_size=4", "--display_iter=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_motion_database(tmp_path_factory.mktemp("motion") / "lmdb")


def flags(database: Path, folder: Path, *more: str) -> list[str]:
    return [*TRAIN, f"--train_data={database}", f"--file_store_path={folder}", *more]


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(TOOLS / "train_net.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_two_epochs_and_what_they_leave(engine: str, database: Path, tmp_path: Path) -> None:
    """Epochs of 5 iterations with a point every 2: the last one of an epoch is short."""
    tmp_path = tmp_path / "runs"  # the tool makes it, before it looks where --output and --report go
    output, page = tmp_path / "result.json", tmp_path / "page.html"
    more = [f"--test_data={database}", f"--output={output}", f"--report={page}", f"--engine={engine}"]
    answer = run_tool("train_net.py", *flags(database, tmp_path, *more, "--epoch_size=10"))
    assert answer.returncode == 0, answer.stderr
    result = json.loads(output.read_text())
    assert [entry["iteration"] for entry in result["epochs"]] == [5, 10]
    assert [point["iteration"] for point in result["points"]] == [2, 4, 5, 7, 9, 10]
    assert [point["clips"] for point in result["points"]] == [4, 4, 2, 4, 4, 2]
    assert all(0 < point["loss"] < 40 and 0 <= point["accuracy"] <= 1 for point in result["points"])
    assert all(0 <= entry["figures"]["video@1"] <= 1 and entry["test_videos"] == 8 for entry in result["epochs"])
    assert answer.stdout.splitlines()[-1] == f"wrote {tmp_path / 'run_2.pkl'}"
    check_all_places_agree(result, answer, page.read_text())

    state, weights = load_mdl(tmp_path / "run_2.mdl"), load_pickle(tmp_path / "run_2.pkl")
    assert int(state["optimizer_iteration"][0]) == 10
    assert np.array_equal(state["conv1_w"], weights["conv1_w"])
    assert state["conv1_w_momentum"].shape == weights["conv1_w"].shape
    about = load(tmp_path / "run_2.pkl").about
    assert about["metrics"]["figures"] == result["epochs"][-1]["figures"]
    assert about["protocol"]["base_learning_rate"] == 0.01

    for checkpoint in ("run_2.pkl", "run_2.mdl"):
        again = tmp_path / f"{checkpoint}.json"
        tested = run_tool(
            "test_net.py", *TINY_NETWORK, f"--test_data={database}", f"--load_model_path={tmp_path / checkpoint}",
            "--clip_per_video=2", "--batch_size=4", "--video_res_type=1", f"--output={again}", f"--engine={engine}",
        )  # fmt: skip
        assert tested.returncode == 0, tested.stderr
        assert json.loads(again.read_text())["figures"] == result["epochs"][-1]["figures"]


def check_all_places_agree(result: dict[str, Any], answer: subprocess.CompletedProcess[str], page: str) -> None:
    """The JSON, its points, the log's line of an epoch, the last progress line before it and the page's table."""
    rows = rows_of_epochs(page)
    for entry, row in zip(result["epochs"], rows):
        points = [point for point in result["points"] if point["epoch"] == entry["epoch"]]
        clips = sum(point["clips"] for point in points)
        assert clips == entry["clips"] == 10
        for name in ("loss", "accuracy"):
            assert sum(point[name] * point["clips"] for point in points) / clips == pytest.approx(
                entry[name], rel=1e-12
            )
        loss, accuracy = f"{entry['loss']:.4f}", f"{entry['accuracy']:.4f}"
        assert f"epoch {entry['epoch']}/2, loss {loss}, accuracy {accuracy}, rate 0.01" in answer.stdout
        assert row[0] == str(entry["epoch"]) and row[2] == loss and row[4] == f"{100 * entry['accuracy']:.2f}\u00a0%"
        assert row[3] == f"{entry['test_loss']:.4f}"
        assert row[6] == f"{100 * entry['figures']['video@1']:.2f}\u00a0%"
    assert len(rows) == 2
    notes = re.findall(r"4/5 iterations.*loss (\S+) \(epoch (\S+)\), accuracy \S+ \(epoch \S+\)", answer.stderr)
    for note, first, second in zip(notes, result["points"][::3], result["points"][1::3]):
        assert note == (f"{second['loss']:.4f}", f"{(first['loss'] + second['loss']) / 2:.4f}")
    assert len(notes) == 2


def final_state(folder: Path) -> dict[str, bytes]:
    state = load_mdl(folder / "run_2.mdl")
    return {name: array.tobytes() for name, array in state.items()}


def means(folder: Path) -> list[tuple[float, float, float]]:
    """Of the epochs, as the last checkpoint's history tells them."""
    epochs = load_mdl_about(folder / "run_2.mdl")["run"]["history"]["epochs"]
    return [(entry["loss"], entry["accuracy"], entry["clips"]) for entry in epochs]


def run_until(folder: Path, delay: Optional[float], *arguments: str) -> float:
    """Run to the end, or kill `delay` seconds after the first checkpoint; seconds from that to the end."""
    process = start(*arguments)
    while process.poll() is None and not list(folder.glob("run_*.mdl")):
        time.sleep(0.01)
    begun = time.monotonic()
    try:
        assert process.wait(delay) == 0
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return time.monotonic() - begun


def check_kills(database: Path, folder: Path, kills: int) -> None:
    """Runs killed at random moments and resumed end with the bytes of a run left alone."""
    common = ["--deterministic=1", "--use_dropout=1", "--checkpoint_minutes=0.00001", "--shuffle=1", "--resume=1"]
    duration = run_until(folder / "alone", None, *flags(database, folder / "alone", *common))
    moments, resumed = random.Random(4), 0
    for number in range(kills):
        victim = folder / f"killed_{number}"
        arguments = flags(database, victim, *common)
        run_until(victim, moments.uniform(0, duration), *arguments)
        again = run_tool("train_net.py", *arguments)
        assert again.returncode == 0, again.stderr
        resumed += "resuming from" in again.stdout
        assert final_state(victim) == final_state(folder / "alone")
        assert means(victim) == means(folder / "alone")
        assert not list(victim.glob(".run_*")), "what a killed run left half-written is cleared away"
    assert resumed == kills


@pytest.mark.long
def test_killed_and_resumed_is_the_same_to_the_bit(database: Path, tmp_path: Path) -> None:
    check_kills(database, tmp_path, kills=2)


@pytest.mark.slow
def test_twenty_kills(database: Path, tmp_path: Path) -> None:
    check_kills(database, tmp_path, kills=20)


def test_sigterm_leaves_a_checkpoint_to_go_on_from(database: Path, tmp_path: Path) -> None:
    arguments = flags(database, tmp_path, "--num_epochs=1", "--epoch_size=2000")
    process = subprocess.Popen(
        [sys.executable, str(TOOLS / "train_net.py"), *arguments], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    first = process.stderr.readline()  # a progress line: it is under way
    assert "iterations" in first
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "stopped by SIGTERM after iteration" in errors and "--resume=1" in errors
    assert int(load_mdl(tmp_path / "run_latest.mdl")["optimizer_iteration"][0]) >= 2


@pytest.mark.long
def test_fine_tuning_on_other_labels(database: Path, tmp_path: Path) -> None:
    begun = run_tool("train_net.py", *flags(database, tmp_path, "--num_epochs=1"))
    assert begun.returncode == 0, begun.stderr
    start_from = tmp_path / "run_1.pkl"
    arguments = [flag for flag in flags(database, tmp_path / "tuned") if not flag.startswith("--num_labels")]
    answer = run_tool(
        "train_net.py", *arguments, "--num_labels=9", "--num_epochs=1", "--is_checkpoint=0",
        f"--load_model_path={start_from}", "--use_full_ft=0",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    before, after = load_pickle(start_from), load_pickle(tmp_path / "tuned" / "run_1.pkl")
    assert after["last_out_L9_w"].shape == (9, before["last_out_L8_w"].shape[1])
    assert np.array_equal(before["conv1_w"], after["conv1_w"]), "the trunk was frozen"
    assert np.array_equal(before["conv1_spatbn_relu_rm"], after["conv1_spatbn_relu_rm"])


def test_fine_tuning_a_2d_network_inflated(database: Path, tmp_path: Path) -> None:
    config = ModelConfig(model_name="r2df", model_depth=10, channel_multiplier=0.05, num_labels=8, clip_length=2)
    flat = build(config)
    save_pickle(tmp_path / "flat.pkl", seeded_weights([*flat.params, *flat.computed_params]))
    answer = run_tool(
        "train_net.py", *flags(database, tmp_path), "--model_name=r3d", "--num_epochs=1", "--epoch_size=4",
        f"--load_model_path={tmp_path / 'flat.pkl'}", "--base_learning_rate=0",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "inflated to 3 frames" in answer.stdout
    flat_weight = load_pickle(tmp_path / "flat.pkl")["comp_0_conv_1_w"]
    weight = load_pickle(tmp_path / "run_1.pkl")["comp_0_conv_1_w"]
    np.testing.assert_allclose(weight.sum(axis=2), flat_weight.reshape(weight.sum(axis=2).shape), rtol=1e-6)


@pytest.mark.long
def test_two_processes_are_two_accumulated_batches(database: Path, tmp_path: Path) -> None:
    """--freeze_bn=1: of batch norm, only the running statistics depend on who saw which clips."""
    common = ["--freeze_bn=1", "--epoch_size=16", "--num_epochs=1", "--display_iter=1", "--shuffle=1"]
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    alone = run_tool(
        "train_net.py", *flags(database, tmp_path / "one", *common), "--accumulation_steps=2", f"--output={one}"
    )
    assert alone.returncode == 0, alone.stderr
    together = run_processes(2, "train_net.py", *flags(database, tmp_path / "two", *common), f"--output={two}")
    assert together.returncode == 0, together.stderr
    expected, found = (json.loads(path.read_text())["points"] for path in (one, two))
    assert len(expected) == 4
    assert [point["learning_rate"] for point in found] == [point["learning_rate"] for point in expected]
    np.testing.assert_allclose([p["loss"] for p in found], [p["loss"] for p in expected], rtol=1e-5)
    assert together.stdout.count("wrote") == 2, "one process speaks for all"


@pytest.mark.long
def test_refusals(database: Path, tmp_path: Path) -> None:
    def refused(status: int, words: str, *more: str) -> None:
        answer = run_tool("train_net.py", *flags(database, tmp_path / "no", *more))
        assert answer.returncode == status, answer.stderr
        assert words in answer.stderr and len(answer.stderr.strip().splitlines()) == 1

    (tmp_path / "no").mkdir()
    refused(2, "--epoch_size=1 is smaller than one iteration", "--epoch_size=1")
    refused(2, "128,x", "--jitter_scales=128,x")
    refused(2, "no such database: /nowhere/lmdb", "--train_data=/nowhere/lmdb")
    weights = tmp_path / "other.pkl"
    save_pickle(weights, {"conv1_w": np.zeros((1, 2), np.float32)})
    refused(1, "other.pkl", f"--load_model_path={weights}")
    half = tmp_path / "half_1.mdl"
    half.write_bytes(b"\0" * 100)
    refused(1, "half_1.mdl is a file of zeros", f"--load_model_path={half}")
    (tmp_path / "no" / "run_1.mdl").write_bytes(b"")
    refused(2, "--resume=1 resumes")
    refused(1, "run_1.mdl", "--resume=1")
    refused(1, "label", "--num_labels=3", "--save_model_name=labels")
