"""Videos that end early, cannot be read, or have labels that the network lacks: what each tool says, on each engine."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES, needs_caffe2, needs_operators
from tests.goldens.e2e import TOOLS
from tests.support.processes import run_processes
from tests.support.small_videos import BAD, broken_in_the_middle, cut_off, encoded, rotated
from vmz.cli.shared.running import run_tool
from vmz.features.formats.feature_files import load_features
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.faults import Origin

NETWORK = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--crop_size=112",
    "--scale_h=112", "--scale_w=120", "--clip_length_rgb=4", "--num_decode_threads=1", "--num_gpus=0",
]  # fmt: skip
READER = ["--crop_size=112", "--scale_h=112", "--scale_w=120", "--clip_length_rgb=4", "--num_decode_threads=1"]
EARLY = ["1 (videos/1.mp4, line 3 of list.csv) after 10 frames", "2 (videos/2.mp4, line 4 of list.csv) after 1"]
FOREIGN = "(videos/3.mp4, line 5 of list.csv) has label 9, but --num_labels=5 allows 0 to 4; check --num_labels"


def write(path: Path, contents: list[bytes], labels: list[int]) -> Path:
    with DatabaseWriter(path) as writer:
        for number, (content, label) in enumerate(zip(contents, labels)):
            origin = Origin(f"videos/{number}.mp4", number + 2, "list.csv")
            writer.write(Record(b"%d" % number, content, (label,)), origin)
    return path


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A whole video, one that is broken, one that is cut off, another whole one that is to be turned, and a text."""
    folder = tmp_path_factory.mktemp("videos")
    whole = encoded(folder / "0.mp4", 12)
    return [whole, broken_in_the_middle(folder / "1.mp4"), cut_off(folder / "2.mp4"), rotated(whole), BAD]


@pytest.fixture(scope="module")
def database(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("db") / "db", contents[:4], [0, 1, 2, 3])


@pytest.fixture(scope="module")
def foreign(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last video has a label that the network lacks."""
    return write(tmp_path_factory.mktemp("foreign") / "db", contents[:4], [0, 1, 2, 9])


def tool(name: str) -> Callable[..., int]:
    """A tool in this process, which starts no other interpreter: its exit status."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: run_tool(module.main, list(arguments))


def ended_line(text: str) -> str:
    lines = [line for line in text.splitlines() if " ended early (" in line]
    assert len(lines) == 1 and text.isascii()
    return lines[0]


def assert_both_early(line: str, entries: list[dict[str, Any]]) -> None:
    assert line.startswith("2 videos ended early (") and all(f"record {name}" in line for name in EARLY)
    assert [entry["key"] for entry in entries] == ["1", "2"]
    assert [entry["path"] for entry in entries] == ["videos/1.mp4", "videos/2.mp4"]
    assert entries[0]["frames"] == 10 and 10 <= entries[1]["frames"] < 20
    assert entries[1]["reason"] == "the file is truncated" and entries[0]["reason"] and entries[0]["line"] == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_test_net(engine: str, database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        f"--output={tmp_path / 'r.json'}",
        f"--report={tmp_path / 'r.html'}",
        f"--save_scores={tmp_path / 's.npz'}",
    ]
    flags = [*NETWORK, f"--engine={engine}", f"--test_data={database}", "--random_weights=1", "--clip_per_video=2"]
    assert tool("test_net")(*flags, *files) == 0
    shown = capsys.readouterr()
    results = json.loads((tmp_path / "r.json").read_text())
    assert_both_early(ended_line(shown.out), results["ended_early"])
    page = (tmp_path / "r.html").read_text()
    assert "2 videos ended early and were scored" in page and "videos/2.mp4, line 4 of list.csv" in page
    with np.load(tmp_path / "s.npz") as scores:
        assert scores["path"].tolist() == [f"videos/{number}.mp4" for number in range(4) for _ in range(2)]
    assert "1 video carries a rotation" in shown.err and "record 3 of" in shown.err and "90 degrees" in shown.err


@pytest.mark.long
@pytest.mark.parametrize("engine", ["pytorch", pytest.param("caffe2", marks=[needs_operators, pytest.mark.slow])])
def test_several_processes(engine: str, database: Path, tmp_path: Path) -> None:
    flags = [*NETWORK, f"--engine={engine}", f"--test_data={database}", "--random_weights=1", "--clip_per_video=2"]
    done = run_processes(2, "test_net.py", *flags, "--batch_size=1", f"--output={tmp_path / 'r.json'}")
    assert done.returncode == 0, done.stderr
    assert_both_early(ended_line(done.stdout), json.loads((tmp_path / "r.json").read_text())["ended_early"])


@pytest.mark.parametrize("engine", ENGINES)
def test_labels_that_the_network_lacks(
    engine: str, foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are an error where they count, and nothing to features."""
    common = [*NETWORK, f"--engine={engine}", f"--test_data={foreign}", "--random_weights=1", "--clip_per_video=2"]
    assert tool("test_net")(*common) == 1
    assert f"error: record 3 of {foreign} {FOREIGN}" in capsys.readouterr().err
    for multi_label in (0, 1):
        out = [f"--output_path={tmp_path / f'{multi_label}.npz'}", "--decode_type=1", f"--multi_label={multi_label}"]
        feature = "softmax" if not multi_label else "prob"
        assert tool("extract_features")(*common, *out, f"--features=final_avg,{feature}") == 0
        assert_both_early(ended_line(capsys.readouterr().out), EARLY_ENTRIES)
        features = load_features(tmp_path / f"{multi_label}.npz")
        assert len(features["final_avg"]) == 8 and features[feature].shape == (8, 5)
    checked = tool("extract_features")(*common, *out[:2], "--features=softmax,label", "--sanity_check=1", "--resume=0")
    assert checked == 1
    assert "record 3 of" in (message := capsys.readouterr().err) and "has label 9, which is not one of the 5" in message
    assert tool("extract_features")(*common, *out, "--features=prob,label", "--resume=0") == 1
    assert "record 3 of" in (message := capsys.readouterr().err) and "num_of_class=5 allows 0 to 4" in message


EARLY_ENTRIES = [
    {"key": "1", "path": "videos/1.mp4", "frames": 10, "reason": "any", "line": 3},
    {"key": "2", "path": "videos/2.mp4", "frames": 15, "reason": "the file is truncated", "line": 4},
]


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_training(
    engine: str, database: Path, foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*NETWORK, f"--engine={engine}", "--batch_size=2", "--epoch_size=4", "--test_clip_per_video=2"]
    flags += ["--test_batch_size=4", f"--file_store_path={tmp_path}", f"--report={tmp_path / 't.html'}"]
    data = [f"--train_data={database}", f"--test_data={database}", "--num_epochs=2", f"--output={tmp_path / 't.json'}"]
    assert tool("train_net")(*flags, *data) == 0
    shown = capsys.readouterr().out
    result = json.loads((tmp_path / "t.json").read_text())
    line = next(line for line in shown.splitlines() if line.startswith("test data: 2 videos ended early ("))
    assert_both_early(line.partition(": ")[2], result["test"]["ended_early"])
    met = [entry["key"] for entry in result["ended_early"]]  # random clips may lie before the end
    assert len(set(met)) == len(met) and set(met) <= {"1", "2"}
    assert result["epochs"][-1]["ended_early"] == len(met) and result["skipped"] == []
    assert "2 videos ended early" in (tmp_path / "t.html").read_text()
    for multi_label in (0, 1):
        more = [f"--train_data={foreign}", f"--multi_label={multi_label}", "--num_epochs=1", "--save_model_name=other"]
        assert tool("train_net")(*flags, *more) == 1
        assert f"error: record 3 of {foreign} {FOREIGN}" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ENGINES)
def test_dumped_clips(engine: str, database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*READER, f"--engine={engine}", f"--test_data={database}", "--clip_per_video=2", "--num_batches=0"]
    assert tool("dump_clips")(*flags, f"--output={tmp_path / 'clips.npz'}") == 0
    assert_both_early(ended_line(capsys.readouterr().out), EARLY_ENTRIES)
    with np.load(tmp_path / "clips.npz") as clips:
        assert clips["path"].tolist()[::2] == [f"videos/{number}.mp4" for number in range(4)]


@pytest.mark.parametrize("engine", ENGINES)
def test_untrimmed_videos(
    engine: str, contents: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.mp4").write_bytes(contents[number])
    flags = [*NETWORK, f"--engine={engine}", "--random_weights=1", "--features=final_avg", "--stride_seconds=0.2"]
    assert tool("extract_features")(*flags, f"--videos={tmp_path}/*.mp4", f"--output_path={tmp_path / 'out'}") == 0
    line = ended_line(capsys.readouterr().out)
    entries = json.loads((tmp_path / "out" / "index.json").read_text())["ended_early"]
    assert line.startswith("2 videos ended early (") and [entry["key"] for entry in entries] == ["1.mp4", "2.mp4"]
    assert entries[0]["frames"] == 10 and entries[1]["reason"] == "the file is truncated"


@needs_caffe2
def test_compare_engines(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*NETWORK[:-1], f"--test_data={database}", "--batch_size=4", "--clip_per_video=2"]
    assert tool("compare_engines")(*flags, f"--output={tmp_path / 'c.json'}", f"--html={tmp_path / 'c.html'}") == 0
    assert_both_early(ended_line(capsys.readouterr().out), json.loads((tmp_path / "c.json").read_text())["ended_early"])
    assert "2 videos ended early" in (tmp_path / "c.html").read_text()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_video_and_the_wrong_use_local_file(
    engine: str, contents: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = write(tmp_path / "db", [contents[0], contents[4]], [0, 1])
    flags = [*NETWORK, f"--engine={engine}", f"--test_data={database}", "--random_weights=1", "--clip_per_video=1"]
    assert tool("test_net")(*flags) == 1
    named = "(videos/1.mp4, line 3 of list.csv): not a video that can be opened"
    assert f"error: record 1 of {database} {named}" in capsys.readouterr().err
    assert tool("test_net")(*flags, "--on_bad_video=skip", f"--output={tmp_path / 'r.json'}") == 0
    assert f"record 1 {named}" in capsys.readouterr().out
    [skipped] = json.loads((tmp_path / "r.json").read_text())["skipped"]
    assert (skipped["key"], skipped["path"], skipped["line"]) == ("1", "videos/1.mp4", 3)
    assert tool("test_net")(*flags, "--use_local_file=1") == 2
    says = f"error: {database} contains the bytes of videos, not paths; give --use_local_file=0\n"
    assert capsys.readouterr().err.endswith(says)
