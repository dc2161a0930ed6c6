"""Runs that meet each other, are killed, find other data than before, or a disk that takes no more: on both engines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import TOOLS
from tests.support.disks import disk, files_of_at_most
from tests.support.processes import ONE_THREAD
from tests.support.small_videos import video
from vmz.features.formats.feature_files import load_features
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

SMALL = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--crop_size=112",
    "--scale_h=112", "--scale_w=120", "--num_decode_threads=1", "--num_gpus=0", "--batch_size=2",
    "--clip_length_rgb=4",
]  # fmt: skip
EXTRACT = [*SMALL, "--random_weights=1", "--decode_type=1", "--features=softmax,label,record_index"]
TEST = [*SMALL, "--random_weights=1", "--clip_per_video=1", "--check_data=0"]
TRAIN = [*SMALL, "--epoch_size=8", "--num_epochs=2", "--test_every=100", "--test_clip_per_video=1"]
LONG = 48


def start(
    tool: str, *arguments: str, cwd: Optional[Path] = None, before: Optional[Callable[[], None]] = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(TOOLS / tool), *arguments],
        cwd=cwd, env=ONE_THREAD, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before,
    )  # fmt: skip


def run(
    tool: str, *arguments: str, cwd: Optional[Path] = None, before: Optional[Callable[[], None]] = None
) -> tuple[int, str, str]:
    """Status, output, errors."""
    process = start(tool, *arguments, cwd=cwd, before=before)
    output, errors = process.communicate(timeout=300)
    assert "Traceback" not in errors and "fault of VMZ" not in errors, errors
    return process.returncode, output, errors


def wait_for(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not there():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("videos")
    return [video(folder / f"{number}.mp4", number) for number in range(8)]


def database(path: Path, videos: Sequence[bytes], count: int, first: int = 0) -> Path:
    with DatabaseWriter(path) as writer:
        for number in range(count):
            writer.write(Record(b"%03d" % number, videos[(first + number) % len(videos)], (number % 5,), None, None))
    return path


def stopped(tmp_path: Path, engine: str, data: Path) -> tuple[list[str], Path]:
    """The arguments of an extraction that was killed on its way, and the folder of what it has."""
    arguments = [*EXTRACT, f"--engine={engine}", f"--test_data={data}", f"--output_path={tmp_path / 'out.npz'}"]
    process = start("extract_features.py", *arguments)
    part = tmp_path / "out.npz.parts" / "0"
    wait_for(lambda: (part / "records.bin").exists() and (part / "records.bin").stat().st_size >= 32)
    process.kill()
    process.wait()
    assert (part / "records.bin").stat().st_size < 8 * LONG
    return arguments, part


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_extractions_that_meet_change_or_are_damaged(engine: str, videos: list[bytes], tmp_path: Path) -> None:
    data = database(tmp_path / "db", videos, LONG)
    arguments, part = stopped(tmp_path, engine, data)
    assert (tmp_path / ".out.npz.lock").exists()
    shutil.copytree(part.parent, tmp_path / "kept")

    # Another database of as many records, of the same sizes but for the order, by the same name.
    shutil.move(str(data), tmp_path / "before")
    database(data, videos, LONG, first=1)
    status, _, errors = run("extract_features.py", *arguments)
    assert status == 2 and "test_data: 48 records, sha256" in errors and "--resume=0" in errors, errors
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "before", data)  # a copy is the same, whatever its times

    for name, sentence in (("records.bin", "records.bin is damaged: entry"), ("0.bin", "0.bin is damaged: rows")):
        with (part / name).open("r+b") as stream:  # as a machine that lost its power leaves it
            stream.seek(8)
            stream.write(bytes((part / name).stat().st_size - 8))
        status, _, errors = run("extract_features.py", *arguments)
        assert status == 1 and sentence in errors and "--resume=0" in errors, errors
        assert not (tmp_path / "out.npz").exists()
        shutil.rmtree(part.parent)
        shutil.copytree(tmp_path / "kept", part.parent)

    first = start("extract_features.py", *arguments)
    wait_for((tmp_path / ".out.npz.lock").exists)
    status, _, errors = run("extract_features.py", *arguments)
    output, first_errors = first.communicate(timeout=300)
    assert status == 2 and f"process {first.pid} on " in errors and "is writing it" in errors, errors
    assert first.returncode == 0 and "videos were already extracted" in output, first_errors
    found = load_features(tmp_path / "out.npz")
    assert found["record_index"].tolist() == list(range(LONG))
    assert found["label"].tolist() == [number % 5 for number in range(LONG)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "db", "kept", "out.npz", "out.npz.json"]


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_trainings_that_meet_or_change(engine: str, videos: list[bytes], tmp_path: Path) -> None:
    data, store = database(tmp_path / "db", videos, 8), tmp_path / "runs"
    store.mkdir()
    (store / ".run_1.mdl.0123abcd").write_text("half a checkpoint")
    arguments = [*TRAIN, f"--engine={engine}", f"--train_data={data}", f"--file_store_path={store}"]
    arguments += ["--save_model_name=run", "--resume=1"]
    first = start("train_net.py", *arguments, "--num_epochs=1")
    wait_for((store / ".run.lock").exists)
    status, _, errors = run("train_net.py", *arguments)
    assert status == 2 and f"process {first.pid} on " in errors and f"--file_store_path={store}" in errors, errors
    _, errors = first.communicate(timeout=300)
    assert first.returncode == 0 and "removed .run_1.mdl.0123abcd in" in errors, errors
    assert sorted(path.name for path in store.iterdir()) == ["run_1.mdl", "run_1.pkl"]

    for change, said in (
        ("--base_learning_rate=0.5", "base_learning_rate: 0.003, now 0.5"),
        ("--clip_length_rgb=8", "clip_length_rgb: 4, now 8"),
        ("--schedule=cosine", "schedule: step, now cosine"),
        ("--batch_size=4", "clips_per_iteration: 2, now 4"),
    ):
        status, _, errors = run("train_net.py", *arguments, change)
        assert status == 2 and f"{store / 'run_1.mdl'} was written by a run with other settings" in errors, errors
        assert said in errors and "--is_checkpoint=0" in errors, errors
    shutil.move(str(data), tmp_path / "before")
    database(data, videos, 8, first=1)
    status, _, errors = run("train_net.py", *arguments)
    assert status == 2 and "train_data: 8 records, sha256" in errors, errors
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "before", data)
    status, output, errors = run("train_net.py", *arguments)
    assert status == 0 and "resuming from" in output and (store / "run_2.pkl").exists(), errors


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_disk_costs_no_figures_and_no_other_file(engine: str, videos: list[bytes], tmp_path: Path) -> None:
    arguments = [*TEST, f"--engine={engine}", f"--test_data={database(tmp_path / 'db', videos, 4)}"]
    with disk(tmp_path / "small", "size=64k") as small:
        (small / "rest").write_bytes(bytes(48 << 10))
        outputs = [f"--save_scores={tmp_path / 's.npz'}", f"--report={small / 'r.html'}", "--output=/dev/full"]
        status, output, errors = run("test_net.py", *arguments, *outputs)
        assert status == 1 and "Test accuracy: clip: " in output
        assert f"error: cannot write {small / 'r.html'}: No space left on device" in errors, errors
        assert "error: cannot write /dev/full: No space left on device" in errors, errors
        assert [path.name for path in small.iterdir()] == ["rest"]
        with np.load(tmp_path / "s.npz") as found:
            assert json.loads(str(found["made_by"]))["weights"] == "untrained"
    status, output, errors = run("test_net.py", *arguments, f"--output={tmp_path / 'new' / 'o.json'}")
    assert status == 2 and "there is no folder" in errors and "Test accuracy" not in output
    of_videos = ["--features=softmax", arguments[-2]]
    with disk(tmp_path / "ro", "ro") as read_only:
        extraction = "extract_features.py"
        train_data = f"--train_data={tmp_path / 'db'}"
        for tool, more in (
            ("test_net.py", [*arguments, f"--report={read_only / 'x'}"]),
            (extraction, [*EXTRACT, *arguments[-2:], f"--output_path={read_only / 'x'}"]),
            (extraction, [*EXTRACT, *of_videos, f"--videos={tmp_path}/*.mp4", f"--output_path={read_only / 'x'}"]),
            ("train_net.py", [*TRAIN, arguments[-2], train_data, f"--file_store_path={read_only / 'x'}"]),
        ):
            if "--videos" in more[-2]:
                (tmp_path / "a.mp4").write_bytes(videos[0])
            status, output, errors = run(tool, *more)
            assert status == 2 and str(read_only) in errors and "Test accuracy" not in output, (tool, errors)
            assert "written" in errors or "Read-only" in errors, (tool, errors)
    assert not list(tmp_path.glob(".*"))


def write_list(folder: Path, videos: Sequence[bytes], count: int) -> None:
    for number, content in enumerate(videos):
        (folder / f"{number}.mp4").write_bytes(content)
    rows = [f"{number % len(videos)}.mp4,{number % 5}\n" for number in range(count)]
    (folder / "list.csv").write_text("org_video,label\n" + "".join(rows))


def test_a_database_is_whole_or_not_there(videos: list[bytes], tmp_path: Path) -> None:
    write_list(tmp_path, videos, 20000)
    before = {path.name for path in tmp_path.iterdir()}
    create = ["../data/create_video_db.py", "--list_file=list.csv", "--output_file=db"]
    process = start(*create, cwd=tmp_path)
    wait_for(lambda: any(path.is_dir() for path in tmp_path.glob(".db.*")))
    status, _, errors = run(*create, cwd=tmp_path)
    assert status == 2 and f"--output_file=db: process {process.pid} on" in errors, errors
    process.kill()
    process.wait()
    assert {path.name for path in tmp_path.iterdir()} > before
    (tmp_path / "list.csv").write_text("org_video,label\n0.mp4,1\n")
    status, output, errors = run(*create, cwd=tmp_path)
    assert status == 0 and "1 record," in output, errors
    assert "note: removed .db." in errors and f"process {process.pid} on" in errors
    assert {path.name for path in tmp_path.iterdir()} == before | {"db"}

    write_list(tmp_path, videos, 4000)
    with disk(tmp_path / "small", "size=2m") as small:
        status, _, errors = run(*create[:2], "--output_file=small/db", cwd=tmp_path)
        assert status == 1 and "No space left on device" in errors and not list(small.iterdir()), errors
    status, _, errors = run(*create[:2], "--output_file=db2", cwd=tmp_path, before=files_of_at_most(1 << 20))
    assert status == 1 and not list(tmp_path.glob("*db2*")), errors
    assert "File too large" in errors or "Input/output error" in errors, errors  # LMDB has a name of its own for it
