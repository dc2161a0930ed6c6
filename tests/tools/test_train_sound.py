"""train_net.py on videos with sound: Gradient-Blending, resuming to the bit, several processes, missing sound."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import TOOLS, run_tool
from tests.goldens.recordings import OWN
from tests.support.processes import run_processes
from tests.support.sounding_videos import sounding_database
from vmz.checkpoints.mdl import load_mdl, load_mdl_about
from vmz.checkpoints.pickles import load_pickle

BLENDED = [
    "--model_name=av_resnet-r3d", "--model_depth=18", "--channel_multiplier=0.1", "--num_labels=4", "--input_type=3",
    "--clip_length_rgb=8", "--g_blend=1", "--audio_weight=0.1", "--visual_weight=0.6", "--av_weight=0.3",
]  # fmt: skip
TRAIN = [
    "--batch_size=2", "--epoch_size=4", "--num_epochs=2", "--base_learning_rate=0.001", "--save_model_name=run",
    "--test_clip_per_video=1", "--display_iter=1", "--num_decode_threads=2",
]  # fmt: skip
WEIGHTS = {"audio": 0.1, "visual": 0.6, "joint": 0.3}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two lines of a video with sound, and two of one without."""
    sounding, silent = OWN / "av/reader/short_audio.mp4", OWN / "reader/portrait.mp4"
    lines = [f"{sounding},0", f"{silent},1", f"{sounding},2", f"{silent},3"]
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["org_video,label", *lines]) + "\n")
    return path


def flags(videos: Path, folder: Path, *more: str) -> list[str]:
    return [*BLENDED, *TRAIN, f"--train_data={videos}", f"--file_store_path={folder}", *more]


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_blended_training_and_what_it_says(engine: str, videos: Path, tmp_path: Path) -> None:
    output, page = tmp_path / "run.json", tmp_path / "run.html"
    more = [f"--engine={engine}", f"--test_data={videos}", f"--output={output}", f"--report={page}"]
    answer = run_tool("train_net.py", *flags(videos, tmp_path / "run", *more))
    assert answer.returncode == 0, answer.stderr
    result = json.loads(output.read_text())
    for entry in [*result["points"], *result["epochs"]]:
        heads = entry["heads"]
        blended = sum(WEIGHTS[head] * heads[head]["loss"] for head in WEIGHTS)
        assert entry["loss"] == pytest.approx(blended, rel=1e-5)
        assert heads["joint"]["accuracy"] == pytest.approx(entry["accuracy"])
    for epoch in result["epochs"]:
        assert set(epoch["test_heads"]) == set(WEIGHTS)
        assert epoch["test_heads"]["joint"]["loss"] == pytest.approx(epoch["test_loss"])
    assert re.search(r"audio loss \S+ accuracy \S+, visual loss \S+ accuracy \S+, joint loss", answer.stdout)
    assert len(result["without_sound"]) == len(result["test"]["without_sound"]) == 2
    assert answer.stdout.count("2 videos without sound (their log-mels are zeros)") == 2
    assert "Losses of the heads" in page.read_text()

    weights = load_pickle(tmp_path / "run" / "run_2.pkl")
    assert {"a_last_out_L4_w", "v_last_out_L4_w", "last_out_L4_w", "av_fc1_w"} <= set(weights)
    found = run_tool("gblend_weights.py", str(output), "--from_epoch=1", "--least_overfitting=0.01")
    assert found.returncode == 0 or "no head generalises" in found.stderr


@pytest.mark.long
def test_resumed_after_an_epoch_is_the_same_to_the_bit(videos: Path, tmp_path: Path) -> None:
    common = ["--deterministic=1", "--shuffle=1"]
    whole = run_tool("train_net.py", *flags(videos, tmp_path / "whole", *common))
    assert whole.returncode == 0, whole.stderr
    for epochs in (1, 2):
        part = run_tool(
            "train_net.py", *flags(videos, tmp_path / "parts", *common, "--resume=1"), f"--num_epochs={epochs}"
        )
        assert part.returncode == 0, part.stderr
    assert "resuming from" in part.stdout
    expected, found = (load_mdl(tmp_path / name / "run_2.mdl") for name in ("whole", "parts"))
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_in_the_middle_of_an_epoch(engine: str, tmp_path: Path) -> None:
    """By SIGKILL, after a checkpoint within the epoch: resumed it draws the same clips and hears the same."""
    database = sounding_database(tmp_path, 6, 2, 5, frames=40)
    common = ["--deterministic=1", "--shuffle=1", "--epoch_size=16", "--num_epochs=1"]
    more = [f"--engine={engine}", f"--train_data={database}", "--num_labels=5", *common]
    arguments = {name: flags(database, tmp_path / name, *more) for name in ("alone", "killed")}
    whole = run_tool("train_net.py", *arguments["alone"])
    assert whole.returncode == 0, whole.stderr

    process = subprocess.Popen(
        [sys.executable, str(TOOLS / "train_net.py"), *arguments["killed"], "--checkpoint_minutes=0.00001"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not (tmp_path / "killed" / "run_latest.mdl").exists():
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was killed while it trained"
    done = int(load_mdl(tmp_path / "killed" / "run_latest.mdl")["optimizer_iteration"][0])
    assert 0 < done < 8

    again = run_tool("train_net.py", *arguments["killed"], "--resume=1")
    assert again.returncode == 0, again.stderr
    assert "resuming from" in again.stdout
    expected, found = (load_mdl(tmp_path / name / "run_1.mdl") for name in ("alone", "killed"))
    assert int(found["optimizer_iteration"][0]) == 8
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()
    }
    figures = [epoch_of(tmp_path / name) for name in ("alone", "killed")]
    assert figures[0] == figures[1] and set(figures[0]["heads"]) == set(WEIGHTS)


def epoch_of(folder: Path) -> dict[str, Any]:
    """The means of the epoch, of all and of each head, as the checkpoint's history has them."""
    (epoch,) = load_mdl_about(folder / "run_1.mdl")["run"]["history"]["epochs"]
    assert epoch["without_sound"] == 2
    return {name: epoch[name] for name in ("loss", "accuracy", "clips", "heads")}


@pytest.mark.long
def test_two_processes_are_two_accumulated_batches(videos: Path, tmp_path: Path) -> None:
    common = ["--freeze_bn=1", "--num_epochs=1", "--epoch_size=8"]
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    alone = run_tool(
        "train_net.py", *flags(videos, tmp_path / "one", *common), "--accumulation_steps=2", f"--output={one}"
    )
    assert alone.returncode == 0, alone.stderr
    together = run_processes(2, "train_net.py", *flags(videos, tmp_path / "two", *common), f"--output={two}")
    assert together.returncode == 0, together.stderr
    expected, found = (json.loads(path.read_text()) for path in (one, two))
    for head in WEIGHTS:
        losses = [[point["heads"][head]["loss"] for point in result["points"]] for result in (expected, found)]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    assert len(found["without_sound"]) == len(expected["without_sound"]) == 2, "each video once"


@pytest.mark.parametrize("what", ["stop", "skip"])
def test_missing_sound_stops_or_is_left_out(what: str, videos: Path, tmp_path: Path) -> None:
    answer = run_tool("train_net.py", *flags(videos, tmp_path / what, f"--on_missing_audio={what}", "--num_epochs=1"))
    if what == "stop":
        assert answer.returncode == 1 and "portrait.mp4" in answer.stderr and "audio" in answer.stderr
        return
    assert answer.returncode == 0, answer.stderr
    assert "train data: 2 videos left out" in answer.stdout and "without sound" not in answer.stdout


def test_weights_that_are_all_zero_are_refused(videos: Path, tmp_path: Path) -> None:
    answer = run_tool(
        "train_net.py", *flags(videos, tmp_path / "no"), "--visual_weight=0", "--audio_weight=0", "--av_weight=0"
    )
    assert answer.returncode == 2
    assert "--g_blend=1, but --audio_weight, --visual_weight, --av_weight are all 0" in answer.stderr
