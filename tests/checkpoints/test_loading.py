from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vmz.checkpoints.loading import convert, file_type, load, load_about, save
from vmz.checkpoints.mdl import save_mdl
from vmz.errors import UsageError, VmzError

WEIGHTS = {"conv1_w": np.arange(6, dtype=np.float32).reshape(1, 2, 3), "bn_rm": np.ones(1, np.float32)}
STATE = {
    **WEIGHTS,
    "conv1_w_momentum": WEIGHTS["conv1_w"],
    "optimizer_iteration": np.array([3], np.int64),
    "vmz_random_state": np.arange(9, dtype=np.uint8),
}
ABOUT = {"labels": ["a", "b"], "protocol": {"model_name": "r3d"}, "metrics": {"video@1": 0.5}}


def assert_same(found: dict[str, np.ndarray], blobs: dict[str, np.ndarray]) -> None:
    assert list(found) == list(blobs)
    for name, array in blobs.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("name", ["a.pkl", "a.mdl"])
def test_the_ending_tells_the_format(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, WEIGHTS, about=ABOUT)
    assert_same(load(tmp_path / name), WEIGHTS)
    assert load_about(tmp_path / name) == ABOUT
    save(tmp_path / name, WEIGHTS)
    assert load_about(tmp_path / name) == {}


def test_other_endings_need_a_word(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"weights\.bin.*--db_type=pickle or minidb"):
        load(tmp_path / "weights.bin")
    save(tmp_path / "weights.bin", WEIGHTS, "minidb")
    assert_same(load(tmp_path / "weights.bin", "minidb"), WEIGHTS)
    with pytest.raises(VmzError, match="is not a checkpoint"):
        load(tmp_path / "weights.bin", "pickle")
    assert file_type("A.PKL") == "pickle" and file_type("a.pkl", "minidb") == "minidb"


def test_a_mdl_of_training_becomes_a_pickle_of_weights(tmp_path: Path) -> None:
    save_mdl(tmp_path / "a.mdl", STATE, about=ABOUT)
    assert convert(tmp_path / "a.mdl", tmp_path / "a.pkl") == (2, 3)
    assert_same(load(tmp_path / "a.pkl"), WEIGHTS)
    assert load_about(tmp_path / "a.pkl") == ABOUT


def test_and_a_pickle_a_mdl(tmp_path: Path) -> None:
    save(tmp_path / "a.pkl", WEIGHTS, about=ABOUT)
    assert convert(tmp_path / "a.pkl", tmp_path / "a.mdl", "pickle") == (2, 0)
    assert_same(load(tmp_path / "a.mdl"), WEIGHTS)
    assert load_about(tmp_path / "a.mdl") == ABOUT


def test_wrong_conversions_leave_nothing(tmp_path: Path) -> None:
    save_mdl(tmp_path / "a.mdl", STATE)
    (tmp_path / "same").symlink_to(tmp_path / "a.mdl")
    with pytest.raises(UsageError, match=r"b\.mdl would be a pickle; name it \*\.pkl"):
        convert(tmp_path / "a.mdl", tmp_path / "b.mdl")
    with pytest.raises(UsageError, match="is the file to convert"):
        convert(tmp_path / "a.mdl", tmp_path / "same")
    with pytest.raises(UsageError, match="No such file"):
        convert(tmp_path / "none.mdl", tmp_path / "b.pkl")
    with pytest.raises(VmzError, match="choose a folder that exists"):
        convert(tmp_path / "a.mdl", tmp_path / "none" / "b.pkl")
    with pytest.raises(VmzError, match="not a minidb"):
        (tmp_path / "text.mdl").write_text("This is a text file, not a database.")
        convert(tmp_path / "text.mdl", tmp_path / "b.pkl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mdl", "same", "text.mdl"]
