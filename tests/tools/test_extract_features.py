"""extract_features.py as a user runs it: the golden job, every format, several processes, a kill, what it refuses."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import TOOLS, flags, load_job, run_tool, write_weights
from tests.goldens.recordings import golden_path, video_path
from tests.support.processes import ONE_THREAD, kill, run_processes, start_processes
from tests.support.small_videos import BAD, video
from vmz.features.formats.feature_files import load_features
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

SMALL = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--crop_size=112",
    "--scale_h=112", "--scale_w=120", "--random_weights=1", "--num_decode_threads=1", "--num_gpus=0", "--batch_size=2",
    "--get_video_id=1", "--get_start_frame=1", "--sanity_check=1",
    "--features=final_avg,comp_0_spatbn_1,softmax,label,video_id,start_frame,record_index",
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_the_golden_job(engine: str, tmp_path: Path) -> None:
    job = load_job("extract_r2plus1d18_startframe")
    golden = np.load(golden_path("e2e/extract_r2plus1d18_startframe.npz"))
    with DatabaseWriter(tmp_path / "db") as writer:
        for number, (name, label) in enumerate(zip(job["videos"], job["labels"])):
            content, start = video_path(name).read_bytes(), job["start_frm"][number]
            writer.write(Record(str(number).encode(), content, tuple(label), start, job["video_ids"][number]))
    weights = write_weights(tmp_path / "weights.pkl", job)
    answer = run_tool(
        "extract_features.py", *flags(job, num_gpus=0, engine=engine), f"--test_data={tmp_path / 'db'}",
        f"--load_model_path={weights}", f"--output_path={tmp_path / 'out.npz'}", "--original_start_faults=1",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1:] == job["printed"]
    ours = load_features(tmp_path / "out.npz")
    assert list(ours) == job["args"]["features"].split(",")
    for name in ("label", "video_id", "start_frame"):
        assert ours[name].dtype == golden[name].dtype and ours[name].tolist() == golden[name].tolist()
    for name in ("softmax", "final_avg"):
        assert list(ours[name].shape) == job["shapes"][name]
        assert np.abs(ours[name] - golden[name]).max() <= (1e-5 if engine == "pytorch" else 2e-6)


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return database(tmp_path_factory.mktemp("seven"), 7)


def database(folder: Path, count: int, *bad: int) -> Path:
    """Records with start frames and ids; a batch of two leaves a tail."""
    with DatabaseWriter(folder / "db") as writer:
        for number in range(count):
            content = BAD if number in bad else video(folder / f"{number}.mp4", number)
            writer.write(Record(b"%02d" % number, content, (number % 5,), number % 4, 900 + number // 2))
    return folder / "db"


def extract(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_processes(processes, "extract_features.py", *SMALL, *arguments)


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array), name


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_all_formats_and_two_processes_hold_the_same(engine: str, seven: Path, tmp_path: Path) -> None:
    endings = [".npz", ".pkl", ".h5"]
    found = {}
    for ending in [*endings, ".2.npz"]:
        path = tmp_path / f"out{ending}"
        answer = extract(
            2 * (ending == ".2.npz"), f"--test_data={seven}", f"--output_path={path}", f"--engine={engine}"
        )
        assert answer.returncode == 0, answer.stderr
        assert (
            "final_avg: 7 x 51 x 1 x 1 x 1" in answer.stdout and "Sanity check --- clip accuracy: 0." in answer.stdout
        )
        assert not Path(f"{path}.parts").exists()
        found[ending] = load_features(path)
    wanted = found[".npz"]
    assert wanted["record_index"].tolist() == list(range(7)) and wanted["video_id"].tolist() == [
        900 + n // 2 for n in range(7)
    ]
    assert wanted["start_frame"].tolist() == [n % 4 for n in range(7)] and wanted["comp_0_spatbn_1"].ndim == 5
    for other in found.values():
        assert_same(other, wanted)


@pytest.mark.long
@pytest.mark.parametrize("processes", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on(processes: int, tmp_path: Path) -> None:
    path = database(tmp_path, 60, 3, 30)
    arguments = [f"--test_data={path}", "--on_bad_video=skip"]
    whole = extract(processes, *arguments, f"--output_path={tmp_path / 'whole.npz'}")
    assert whole.returncode == 0, whole.stderr
    killed = start_processes(
        processes, "extract_features.py", *SMALL, *arguments, f"--output_path={tmp_path / 'out.npz'}"
    )
    records = tmp_path / "out.npz.parts" / "0" / "records.bin"
    end = time.monotonic() + 120
    while not (records.exists() and records.stat().st_size >= 3 * 16) and time.monotonic() < end:
        time.sleep(0.005)
    kill(killed)
    assert records.stat().st_size < 58 * 8 and not (tmp_path / "out.npz").exists()
    with (records.parent / "1.bin").open("ab") as stream:
        stream.write(b"half a row")  # as a kill in the midst of a batch leaves it
    other = extract(processes, *arguments, f"--output_path={tmp_path / 'out.npz'}", "--clip_length_rgb=2")
    assert other.returncode == (1 if processes else 2)  # torchrun has an exit status of its own
    assert "clip_length_rgb: 4, now 2" in other.stderr and "--resume=0" in other.stderr
    again = extract(processes, *arguments, f"--output_path={tmp_path / 'out.npz'}")
    assert again.returncode == 0, again.stderr
    assert "videos were already extracted" in again.stdout and "2 videos left out" in again.stdout
    assert_same(load_features(tmp_path / "out.npz"), load_features(tmp_path / "whole.npz"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--features=softmax,nothing"], "--features has nothing, which r2plus1d does not compute"),
        (["--features=softmax,softmax"], "each once"),
        (["--features=conv1_w"], "a parameter of the network"),
        (["--features=video_id", "--get_video_id=0"], "--get_video_id=1"),
        (["--features=final_avg"], "--sanity_check=1 needs softmax and label"),
        (["--clip_per_video=2"], "decode_type=1"),
        (["--output_path=/nowhere/a.npz"], "/nowhere is not a folder"),
        (["--output_path="], "--output_path is not given"),
        (["--random_weights=0"], "--load_model_path is not given"),
    ],
)
def test_wrong_requests(arguments: list[str], named: str, seven: Path, tmp_path: Path) -> None:
    given = [f"--test_data={seven}", f"--output_path={tmp_path / 'a.npz'}", *arguments]
    if "--features=final_avg" not in arguments and any(a.startswith("--features") for a in arguments):
        given.append("--sanity_check=0")
    answer = extract(0, *given)
    assert answer.returncode == 2 and named in answer.stderr, answer.stderr
    assert len(answer.stderr.splitlines()) == 1 and list(tmp_path.iterdir()) == []


def test_a_bad_video_stops_the_run_and_nothing_is_lost(tmp_path: Path) -> None:
    path = database(tmp_path, 5, 4)
    answer = extract(0, f"--test_data={path}", f"--output_path={tmp_path / 'out.pkl'}")
    assert answer.returncode == 1 and "record 04" in answer.stderr and not (tmp_path / "out.pkl").exists()
    assert (tmp_path / "out.pkl.parts" / "0" / "records.bin").stat().st_size == 4 * 8


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    """The blob kept is 0.5 MB a clip: 380 clips more, were they held, would be 190 MB."""
    content = video(tmp_path / "a.mp4", 1)
    script = (
        "import os, resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for count in (20, 400):
        with DatabaseWriter(tmp_path / f"{count}") as writer:
            for number in range(count):
                writer.write(Record(b"%03d" % number, content, (0,), 0, number))
        answer = subprocess.run(
            [sys.executable, "-c", script, str(TOOLS / "extract_features.py"), *SMALL,
             "--features=comp_0_conv_2_middle,softmax,label",
             f"--test_data={tmp_path / str(count)}", f"--output_path={tmp_path / f'{count}.npz'}"],
            env=ONE_THREAD, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        peaks.append(int(answer.stdout.split("peak ")[1]))
    assert (tmp_path / "400.npz").stat().st_size > 180e6
    assert peaks[1] - peaks[0] < 30_000, peaks  # kilobytes
