"""extract_features.py --videos: untrimmed videos without a database, as a user runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import TOOLS
from tests.support import odd_videos
from tests.support.processes import ONE_THREAD, kill, run_processes, start_processes
from tests.video.test_untrimmed import film
from vmz.features.formats.feature_files import load_features

SMALL = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--crop_size=112",
    "--scale_h=112", "--scale_w=120", "--random_weights=1", "--num_gpus=0", "--batch_size=3",
    "--features=final_avg,softmax",
]  # fmt: skip


def extract(*arguments: str, processes: int = 0) -> subprocess.CompletedProcess[str]:
    return run_processes(processes, "extract_features.py", *SMALL, *arguments)


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_a_video_and_an_index(engine: str, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", list(range(0, 600, 4)))
    film(tmp_path / "b.mp4", list(range(0, 240, 4)))
    (tmp_path / "c.mp4").write_bytes(b"no video" * 100)
    given = [f"--videos={tmp_path}/*.mp4", "--stride_seconds=0.5", f"--engine={engine}"]
    given.append(f"--output_path={tmp_path / 'out'}")
    stopped = extract(*given)
    assert (
        stopped.returncode == 1 and "c.mp4: not a video" in stopped.stderr and "--on_bad_video=skip" in stopped.stderr
    )
    answer = extract(*given, "--on_bad_video=skip")  # the stopped run goes on: this flag is of no feature
    assert answer.returncode == 0, answer.stderr
    assert "left" in answer.stderr.splitlines()[-1] or "clips" in answer.stderr
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    a, b, c = index["videos"]
    assert (a["file"], a["clips"], a["frames"], b["clips"]) == ("a.mp4.npz", 12, 150, 5)
    assert a["seconds"] == pytest.approx(5.96) and "skipped" in c and "file" not in c
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4.npz", "b.mp4.npz", "index.json"]
    found = load_features(tmp_path / "out" / "a.mp4.npz")
    assert found["final_avg"].shape == (12, 51) and found["softmax"].shape == (12, 5)
    assert found["start_frame"].tolist() == [-(-25 * n // 2) for n in range(12)]
    np.testing.assert_allclose(found["start_seconds"], found["start_frame"] / 25, atol=1e-12)


@pytest.mark.long
def test_two_processes_and_a_killed_run_that_goes_on(tmp_path: Path) -> None:
    for number in range(4):
        film(tmp_path / f"{number}.mp4", list(range(0, 240 + 80 * number, 4)))
    given = [f"--videos={tmp_path}/*.mp4", "--stride_seconds=0.1"]
    folders = alone, together, killed = [tmp_path / name for name in ("alone", "together", "killed")]
    first = extract(*given, f"--output_path={alone}")
    assert first.returncode == 0, first.stderr
    both = extract(*given, f"--output_path={together}", processes=2)
    assert both.returncode == 0, both.stderr
    assert both.stderr.count("process 1 of 2") > 0 and "process 2 of 2" not in both.stderr

    victim = start_processes(0, "extract_features.py", *SMALL, *given, f"--output_path={killed}")
    end = time.monotonic() + 120
    while not list(killed.glob("*.npz")) and time.monotonic() < end:
        time.sleep(0.005)
    kill(victim)
    finished = {path: path.stat().st_mtime_ns for path in killed.glob("*.npz")}
    assert 0 < len(finished) < 4 and not (killed / "index.json").exists()
    (killed / ".parts" / "3.mp4.rows").mkdir(exist_ok=True)  # as a kill in the midst of that video leaves it
    again = extract(*given, f"--output_path={killed}")
    assert again.returncode == 0, again.stderr
    kept = [path for path, moment in finished.items() if path.stat().st_mtime_ns == moment]
    assert len(kept) >= len(finished) - 1  # the last of them may not have been written down as done

    names = sorted(path.name for path in alone.iterdir())
    assert names == [*(f"{number}.mp4.npz" for number in range(4)), "index.json"]
    for folder in folders[1:]:
        assert sorted(path.name for path in folder.iterdir()) == names
        assert json.loads((folder / "index.json").read_text()) == json.loads((alone / "index.json").read_text())
        for name in names[:-1]:
            found, wanted = load_features(folder / name), load_features(alone / name)
            assert list(found) == list(wanted)
            for blob, array in wanted.items():
                assert np.array_equal(found[blob], array), (folder, name, blob)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--videos=/nowhere/*.mp4"], "matches no file"),
        (["--stride_seconds=0"], "must be more than 0"),
        (["--features=label"], "label does not go with --videos"),
        (["--input_type=1"], "RGB clips only"),
        (["--features=nothing"], "does not compute"),
        (["--output_path="], "takes a folder"),
    ],
)
def test_wrong_requests(arguments: list[str], named: str, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", list(range(0, 60, 4)))
    answer = extract(f"--videos={tmp_path}/*.mp4", f"--output_path={tmp_path / 'out'}", *arguments)
    assert answer.returncode == 2 and named in answer.stderr, answer.stderr


@pytest.mark.slow
def test_two_hours_take_no_more_memory_than_two_minutes(tmp_path: Path) -> None:
    peaks = []
    for minutes in (2, 120):
        film(tmp_path / f"{minutes}.mp4", list(range(0, minutes * 6000, 20)))
        script = (
            "import os, resource, runpy, sys; sys.argv = sys.argv[1:]\n"
            "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
            "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
            "finally: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        answer = subprocess.run(
            [sys.executable, "-c", script, str(TOOLS / "extract_features.py"), *SMALL, "--clip_length_rgb=2",
             "--batch_size=16",
             f"--videos={tmp_path / f'{minutes}.mp4'}", f"--output_path={tmp_path / f'out{minutes}'}"],
            env=ONE_THREAD, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        peaks.append(int(answer.stdout.split("peak ")[1]))
        found = load_features(tmp_path / f"out{minutes}" / f"{minutes}.mp4.npz")
        assert found["start_seconds"].tolist() == list(range(minutes * 60))
        assert found["start_frame"].tolist() == list(range(0, minutes * 300, 5))
    assert re.search(r"\d:\d\d:\d\d left", answer.stderr)
    assert peaks[1] - peaks[0] < 30_000, peaks  # kilobytes


@pytest.mark.parametrize("engine", ENGINES)
def test_videos_whose_times_begin_again_or_that_have_a_cover(engine: str, tmp_path: Path) -> None:
    (tmp_path / "again.ts").write_bytes(odd_videos.film(25, "ts", "mpeg2video") * 2)
    (tmp_path / "cover.mp4").write_bytes(odd_videos.with_cover("mp4", ["cover", "video"]))
    (tmp_path / "turned.mp4").write_bytes(odd_videos.rotated(odd_videos.film(), (0, 1, -1, 0)))
    given = [f"--videos={tmp_path}/*.*", "--stride_seconds=0.4", f"--engine={engine}", "--clip_length_rgb=4"]
    answer = extract(*given, f"--output_path={tmp_path / 'out'}", "--autorotate=1", "--max_frames=45")
    assert answer.returncode == 0, answer.stderr
    assert "its timestamps restarted or jumped in 1 place" in answer.stdout
    again, cover, turned = json.loads((tmp_path / "out" / "index.json").read_text())["videos"]
    assert [entry["times_mended"] for entry in (again, cover, turned)] == [1, 0, 0]
    assert [(entry["frames"], entry["clips"]) for entry in (again, cover, turned)] == [(45, 5)] * 3
    found = load_features(tmp_path / "out" / "again.ts.npz")
    assert found["start_frame"].tolist() == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(found["start_seconds"], found["start_frame"] / 25, atol=1e-9)
