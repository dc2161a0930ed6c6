from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.recordings import SHARED, needs_shared
from tests.support.in_process import tool
from tests.support.small_videos import database, video
from vmz import metrics
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError, VmzError
from vmz.features.config import ExtractionConfig
from vmz.features.extraction import check_features
from vmz.features.formats.feature_files import load_features
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.settings.setting import settings_of
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

# Where our default is not the original's, and why.
TRAPS = {
    "num_gpus": "the original asks for a GPU even where there is none",
    "db_type": "the original takes every file for a pickle unless told otherwise",
    "load_model_path": "None for not given",
    "test_data": "None for not given",
    "output_path": "None for not given",
}


@needs_shared
def test_every_flag_of_the_original_is_here_with_its_default() -> None:
    tools = json.loads((SHARED / "spec" / "flags.json").read_text())["tools"]
    table = settings_of(ExtractionConfig)
    for flag in tools["extract_features"]["flags"]:
        name = flag["flag"].lstrip("-")
        assert name in table, name
        if name not in TRAPS:
            assert table[name].default == flag["default"], name


SMALL = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--crop_size=112",
    "--scale_h=112", "--scale_w=120", "--num_decode_threads=1", "--num_gpus=0", "--batch_size=2", "--decode_type=1",
]  # fmt: skip


def save_weights(path: Path, seed: int) -> Path:
    model = build(ModelConfig("r2plus1d", 10, channel_multiplier=0.1, clip_length=4, num_labels=5))
    save_pickle(path, seeded_weights([*model.params, *model.computed_params], seed))
    return path


class Run:
    """extract_features over three videos, run in this process."""

    def __init__(self, folder: Path, engine: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.out, self._capsys = folder, folder / "out.npz", capsys
        self._given = [*SMALL, f"--test_data={database(folder, 3)}", f"--engine={engine}", f"--output_path={self.out}"]
        self._given.append(f"--load_model_path={save_weights(folder / 'weights.pkl', 0)}")
        self._main = tool("extract_features.py")

    def __call__(self, *more: str) -> str:
        assert self._main([*self._given, *more]) == 0
        return self._capsys.readouterr().out


@pytest.fixture(params=ENGINES)
def run(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(tmp_path, request.param, capsys)


def test_every_format_of_a_database_and_its_shapes(run: Run) -> None:
    """The original's shapes, unless others are asked for; HDF5 on both engines, in both environments."""
    run("--features=final_avg,softmax")
    wanted = load_features(run.out)
    assert wanted["final_avg"].shape == (3, 51, 1, 1, 1) and wanted["softmax"].shape == (3, 5)
    for name, more in (("a.pkl", []), ("a.h5", []), ("b", ["--save_h5=1"]), ("c.npz", ["--keep_axes=0"])):
        run("--features=final_avg,softmax", f"--output_path={run.folder / name}", *more)
        found = load_features(run.folder / name)
        assert found["final_avg"].shape == ((3, 51) if more == ["--keep_axes=0"] else (3, 51, 1, 1, 1))
        assert all(np.array_equal(array, wanted[blob].reshape(array.shape)) for blob, array in found.items())
    for name, shape, keep in (("d.npy", (3, 51, 1, 1, 1), []), ("e.npy", (3, 51), ["--keep_axes=0"])):
        run("--features=final_avg", f"--output_path={run.folder / name}", *keep)
        array = np.load(run.folder / name, allow_pickle=False)
        assert array.shape == shape and np.array_equal(array.ravel(), wanted["final_avg"].ravel())
    with pytest.raises(UsageError, match=r"a \.npy file contains one array, but 2 blobs .*\.npz"):
        run("--features=final_avg,softmax", f"--output_path={run.folder / 'f.npy'}")
    with pytest.raises(UsageError, match=r"\.csv is not a file format of features"):
        run(f"--output_path={run.folder / 'f.csv'}")


def test_a_finished_file_is_not_made_again_nor_replaced(run: Run) -> None:
    run("--features=final_avg,softmax,label")
    before = run.out.read_bytes(), run.out.stat().st_mtime_ns
    told = run("--features=final_avg,softmax,label")
    assert f"nothing to do: {run.out} already contains 3 videos with the same settings" in told
    assert "Sanity check --- clip accuracy: " in run("--features=final_avg,softmax,label", "--sanity_check=1")
    moved = run.folder / "moved.pkl"
    (run.folder / "weights.pkl").rename(moved)
    assert "nothing to do" in run("--features=final_avg,softmax,label", f"--load_model_path={moved}")
    save_weights(moved, 1)
    for more, named in (
        ([], r"weights: sha256 \w{16}, now sha256 \w{16}"),
        (["--random_weights=1", "--load_model_path="], r"weights: sha256 \w{16}, now untrained"),
    ):
        with pytest.raises(
            UsageError, match=rf"out\.npz was written by a finished run with other settings \(.*{named}\)"
        ):
            run("--features=final_avg,softmax,label", f"--load_model_path={moved}", *more)
    save_weights(moved, 0)
    with pytest.raises(UsageError, match=r"\(clip_length_rgb: 4, now 2; features: final_avg,\S+, now label\)"):
        run("--features=label", f"--load_model_path={moved}", "--clip_length_rgb=2")
    assert (run.out.read_bytes(), run.out.stat().st_mtime_ns) == before
    run("--features=label", f"--load_model_path={moved}", "--clip_length_rgb=2", "--resume=0")
    assert list(load_features(run.out)) == ["label"]


def test_sanity_check_2_of_a_multi_label_network(run: Run) -> None:
    several = [
        "--features=prob,label",
        "--multi_label=1",
        "--sanity_check=2",
        "--load_model_path=",
        "--random_weights=1",
    ]
    printed = run(*several).splitlines()[-1]
    found = load_features(run.out)
    wanted = metrics.multi_label(found["prob"].reshape(3, 5), found["label"])
    assert printed == f"Sanity check --- AUC: {wanted.mauc}, mAP: {wanted.map}, mWAP: {wanted.mwap}"
    again = run(*several)
    assert "nothing to do" in again and printed in again
    for more, named in (
        (["--features=softmax,label", "--multi_label=0"], "--sanity_check=2 needs prob and label"),
        (["--features=prob"], "--sanity_check=2 needs prob and label"),
        (["--sanity_check=1"], "--sanity_check=1 needs softmax and label"),
        (["--sanity_check=3"], "3"),
    ):
        with pytest.raises(UsageError, match=named):
            run(*several, *more)


def test_a_file_of_unknown_settings_and_a_database_that_changed(run: Run) -> None:
    run.out.write_bytes(b"of somebody else")
    with pytest.raises(UsageError, match=r"out\.npz exists already, and its settings are not recorded \(there is no"):
        run()
    assert run.out.read_bytes() == b"of somebody else"
    run("--resume=0")
    assert "nothing to do" in run()
    with DatabaseWriter(run.folder / "db2") as writer:
        writer.write(Record(b"00", video(run.folder / "x.mp4", 3), (1,), None, None))
    with pytest.raises(UsageError, match=r"test_data: 3 records, sha256 \w+, now 1 records, sha256"):
        run(f"--test_data={run.folder / 'db2'}")
    run.out.write_bytes(b"replaced by hand")
    with pytest.raises(UsageError, match="belongs to another file"):
        run()


def test_a_file_that_lacks_videos_is_not_enough_for_a_strict_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, "pytorch", capsys)
    (tmp_path / "bad").mkdir()
    lacking = f"--test_data={database(tmp_path / 'bad', 3, 1)}"
    with pytest.raises(VmzError, match="record 01"):
        run(lacking)
    assert "1 video left out" in run(lacking, "--on_bad_video=skip")  # the stopped run goes on
    assert "1 video left out" in run(lacking, "--on_bad_video=skip")
    with pytest.raises(UsageError, match=r"finished run that left out 1 video \(--on_bad_video=skip\)"):
        run(lacking)


def test_what_can_be_a_feature() -> None:
    model = build(ModelConfig("r2plus1d", 10, channel_multiplier=0.1, clip_length=4, num_labels=5))
    check_features(model, ["final_avg", "softmax", "label", "data", "comp_0_conv_1_middle"])
    with pytest.raises(UsageError, match=r"among its .* blobs are .*comp_0_spatbn_1"):
        check_features(model, ["comp_0_spatbn"])
    with pytest.raises(UsageError, match="a parameter of the network"):
        check_features(model, ["comp_0_spatbn_1_rm"])
