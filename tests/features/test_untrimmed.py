"""Features of untrimmed videos, from within: their shapes, every format, and what a second run does on both engines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.support.in_process import tool
from tests.video.test_untrimmed import film
from vmz.errors import UsageError, VmzError
from vmz.features.formats.feature_files import load_features

SMALL = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--crop_size=112",
    "--scale_h=112", "--scale_w=120", "--random_weights=1", "--num_gpus=0", "--batch_size=3", "--clip_length_rgb=2",
    "--stride_seconds=0.5", "--features=final_avg,softmax", "--on_bad_video=skip",
]  # fmt: skip


class Runs:
    """Runs of extract_features over the videos of a folder."""

    def __init__(self, folder: Path, engine: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.out, self._engine, self._capsys = folder, folder / "out", engine, capsys
        self._main = tool("extract_features.py")

    def __call__(self, *more: str) -> str:
        """What it prints. `more` counts where a flag is given twice; other --videos take the place of the folder's."""
        given = [*SMALL, f"--output_path={self.out}", f"--engine={self._engine}"]
        if not any(flag.startswith("--videos") for flag in more):
            given.append(f"--videos={self.folder}/*.mp4")
        assert self._main([*given, *more]) == 0
        return self._capsys.readouterr().out

    def names(self) -> list[str]:
        """The videos in the index."""
        return [Path(entry["path"]).name for entry in self.index()["videos"]]

    def index(self) -> dict[str, Any]:
        return dict(json.loads((self.out / "index.json").read_text()))

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Content and time of every file of features."""
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.out.glob("*.mp4.*")}


@pytest.fixture(params=ENGINES)
def runs(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Runs:
    film(tmp_path / "a.mp4", list(range(0, 160, 4)))
    film(tmp_path / "b.mp4", list(range(0, 80, 4)))
    (tmp_path / "c.mp4").write_bytes(b"no video" * 100)
    return Runs(tmp_path, request.param, capsys)


def test_every_format_and_both_shapes(runs: Runs) -> None:
    runs("--keep_axes=1")
    wanted = load_features(runs.out / "a.mp4.npz")
    clips = len(wanted["start_frame"])
    assert wanted["final_avg"].shape == (clips, 51, 1, 1, 1) and wanted["softmax"].shape == (clips, 5) and clips > 1
    for form, ending in (("npz", ".npz"), ("pickle", ".pkl"), ("hdf5", ".h5"), ("npy", ".npy")):
        shutil.rmtree(runs.out)
        blobs = "--features=final_avg" if form == "npy" else "--features=final_avg,softmax"
        runs(f"--video_format={form}", blobs)
        path = runs.out / f"a.mp4{ending}"
        found = load_features(path)
        if form == "npy":
            assert np.load(path, allow_pickle=False).shape == (clips, 51)
            found = {"final_avg": found["features"], **load_features(runs.out / "a.mp4.times.npz")}
        for name, array in found.items():
            assert np.array_equal(array, wanted[name].reshape(array.shape)) and array.dtype == wanted[name].dtype
        assert found["final_avg"].shape == (clips, 51) and {"start_frame", "start_seconds", "end_seconds"} < set(found)


def test_maps_keep_the_axes_that_say_something(runs: Runs) -> None:
    runs("--features=comp_0_spatbn_1,last_out_L5", "--crop_per_clip=2")
    found = load_features(runs.out / "a.mp4.npz")
    rows = len(found["start_frame"])
    assert found["comp_0_spatbn_1"].ndim == 5 and found["comp_0_spatbn_1"].shape[0] == rows
    assert found["last_out_L5"].shape == (rows, 5)
    shutil.rmtree(runs.out)
    runs("--num_labels=1", "--clip_length_rgb=8", "--stride_seconds=10", "--features=softmax,final_avg")
    found = load_features(runs.out / "a.mp4.npz")  # one clip, one class: neither axis goes
    assert found["softmax"].shape == (1, 1) and found["final_avg"].shape == (1, 51)


def test_a_finished_run_is_not_done_again(runs: Runs) -> None:
    runs()
    before = runs.files()
    assert "nothing to do: 3 videos are already extracted with the same settings" in runs() and runs.files() == before
    assert "nothing to do: 3 videos" in runs("--batch_size=2", "--num_decode_threads=1", "--display_iter=3")
    with pytest.raises(VmzError, match=r"c\.mp4: not a video"):
        runs("--on_bad_video=stop")  # a video left out is no feature to keep
    film(runs.folder / "d.mp4", list(range(0, 60, 4)))
    assert "3 videos were already extracted" in runs()
    assert "nothing to do: 1 video is" in runs(f"--videos={runs.folder}/b.mp4")
    assert runs.names() == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"] and not (runs.out / ".parts").exists()
    assert {name: runs.files()[name] for name in before} == before


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        ("--stride_seconds=0.25", "stride_seconds: 0.5, now 0.25"),
        ("--clip_length_rgb=4", "clip_length_rgb: 2, now 4"),
        ("--sampling_rate_rgb=2", "sampling_rate_rgb: 1, now 2"),
        ("--features=final_avg", "features: final_avg,softmax, now final_avg"),
        ("--keep_axes=1", "keep_axes: 0, now 1"),
        ("--video_format=pickle", "format: npz, now pickle"),
        ("--save_h5=1", "format: npz, now hdf5"),
        ("--scale_w=130", "scale_w: 120, now 130"),
        ("--model_name=mc3", "model_name: r2plus1d, now mc3"),
        ("--seed=1", "seed: 0, now 1"),
    ],
)
def test_other_settings_are_refused(flag: str, named: str, finished: Runs) -> None:
    before = finished.files()
    with pytest.raises(UsageError) as error:
        finished(flag)
    assert (
        f"index.json was written by a finished run with other settings ({named}); use those, another --output_path"
        in str(error.value)
    )
    assert "--resume=0" in str(error.value) and finished.files() == before


@pytest.fixture(scope="module")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    film(folder / "a.mp4", list(range(0, 80, 4)))
    return folder


@pytest.fixture
def finished(finished_folder: Path, capsys: pytest.CaptureFixture[str]) -> Runs:
    runs = Runs(finished_folder, "pytorch", capsys)
    runs()
    return runs


def test_resume_0_replaces_but_does_not_mix(runs: Runs) -> None:
    runs()
    with pytest.raises(
        UsageError, match=r"contains features of 2 other videos, for example .*a\.mp4, with other settings"
    ):
        runs("--resume=0", "--stride_seconds=0.25", f"--videos={runs.folder}/b.mp4")
    runs("--resume=0", f"--videos={runs.folder}/b.mp4")
    assert runs.names() == ["a.mp4", "b.mp4", "c.mp4"]
    clips = len(load_features(runs.out / "a.mp4.npz")["start_frame"])
    runs("--resume=0", "--stride_seconds=0.25")
    assert runs.index()["stride_seconds"] == 0.25 and runs.names() == ["a.mp4", "b.mp4", "c.mp4"]
    assert len(load_features(runs.out / "a.mp4.npz")["start_frame"]) > clips


def test_videos_that_changed_or_moved(runs: Runs) -> None:
    runs()
    before = runs.files()
    moved = runs.folder / "moved"
    moved.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.move(str(runs.folder / name), moved)
    assert "nothing to do: 3 videos" in runs(f"--videos={moved}/*.mp4")
    assert all(Path(path).parent == moved for path in [entry["path"] for entry in runs.index()["videos"]])  # type: ignore[attr-defined]
    film(moved / "b.mp4", list(range(100, 200, 4)))
    assert "2 videos were already extracted" in runs(f"--videos={moved}/*.mp4")
    after = runs.files()
    assert after["a.mp4.npz"] == before["a.mp4.npz"] and after["b.mp4.npz"] != before["b.mp4.npz"]
    (runs.out / "a.mp4.npz").unlink()
    assert "2 videos were already extracted" in runs(f"--videos={moved}/*.mp4")
    film(runs.folder / "a.mp4", list(range(100, 200, 4)))
    with pytest.raises(
        UsageError, match=r"features of .*moved/a\.mp4, a different video than .*/a\.mp4 with the same name"
    ):
        runs(f"--videos={runs.folder}/a.mp4")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--video_format=npy"], r"a \.npy file contains one array, but 2 blobs .*final_avg, softmax.*write an \.npz"),
        (["--output_path=/tmp/features.npy"], "is the name of a file; with --videos it takes a folder"),
    ],
)
def test_wrong_outputs(flags: list[str], named: str, finished: Runs) -> None:
    with pytest.raises(UsageError, match=named):
        finished(*flags)


def test_a_damaged_index_is_named(finished_folder: Path, finished: Runs) -> None:
    path = finished.out / "index.json"
    content = path.read_text()
    path.write_text(content[:40])
    with pytest.raises(VmzError, match=r"index\.json is damaged; .*; start again with --resume=0"):
        finished()
    finished("--resume=0")
    assert finished.names() == ["a.mp4"]
