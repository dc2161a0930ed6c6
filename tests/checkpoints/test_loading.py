from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vmz.checkpoints.loading import convert, file_type, load, save
from vmz.checkpoints.mdl import save_mdl
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError, VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import build

WEIGHTS = {"conv1_w": np.arange(6, dtype=np.float32).reshape(1, 2, 3), "bn_rm": np.ones(1, np.float32)}
STATE: dict[str, np.ndarray] = {
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
    assert_same(load(tmp_path / name).blobs, WEIGHTS)
    assert load(tmp_path / name).about == ABOUT
    save(tmp_path / name, WEIGHTS)
    assert load(tmp_path / name).about == {}


def test_other_endings_need_a_word(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"weights\.bin.*--db_type=pickle or minidb or pytorch"):
        load(tmp_path / "weights.bin")
    save(tmp_path / "weights.bin", WEIGHTS, "minidb")
    assert_same(load(tmp_path / "weights.bin", "minidb").blobs, WEIGHTS)
    with pytest.raises(VmzError, match="is not a checkpoint"):
        load(tmp_path / "weights.bin", "pickle")
    assert file_type("A.PKL") == "pickle" and file_type("a.pkl", "minidb") == "minidb"


def test_a_mdl_of_training_becomes_a_pickle_of_weights(tmp_path: Path) -> None:
    save_mdl(tmp_path / "a.mdl", STATE, about=ABOUT)
    assert convert(tmp_path / "a.mdl", tmp_path / "a.pkl") == (2, 3)
    assert_same(load(tmp_path / "a.pkl").blobs, WEIGHTS)
    assert load(tmp_path / "a.pkl").about == ABOUT


def test_and_a_pickle_a_mdl(tmp_path: Path) -> None:
    save(tmp_path / "a.pkl", WEIGHTS, about=ABOUT)
    assert convert(tmp_path / "a.pkl", tmp_path / "a.mdl", "pickle") == (2, 0)
    assert_same(load(tmp_path / "a.mdl").blobs, WEIGHTS)
    assert load(tmp_path / "a.mdl").about == ABOUT


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


@pytest.mark.parametrize(("file", "name"), [("a.pkl", "\u0436_w"), ("a.mdl", "\ud800"), ("a.pth", "\ud800_w")])
def test_names_that_a_format_has_no_letters_for(tmp_path: Path, file: str, name: str) -> None:
    with pytest.raises(VmzError, match=rf"cannot write .*{file}: blob .* has letters that names in such a file cannot"):
        save(tmp_path / file, {name: WEIGHTS["conv1_w"]})
    assert not (tmp_path / file).exists()


@pytest.mark.parametrize("name", ["a.pkl", "a.mdl"])
def test_a_checkpoint_is_fitted_to_a_network_and_refused_where_it_is_of_another(tmp_path: Path, name: str) -> None:
    config = ModelConfig("r3d", 10, num_labels=5, clip_length=8, channel_multiplier=0.1, pred_layer_name="mine")
    model = build(config)
    blobs = seeded_weights([*model.params, *model.computed_params])
    save(tmp_path / name, blobs)
    weights, report = load(tmp_path / name).fit(model)
    assert sorted(weights) == sorted(model.all_params) and len(report.copied) == len(blobs)
    np.testing.assert_array_equal(weights["gpu_0/mine_w"], blobs["mine_w"])

    save(tmp_path / name, {blob: array for blob, array in blobs.items() if not blob.startswith("mine_")})
    headless = load(tmp_path / name)
    with pytest.raises(VmzError, match=rf"{name} lacks the classifier mine_w, mine_b; a network is evaluated with"):
        headless.fit(model)
    assert headless.fit(model, new_head=True)[1].missing == ("mine_w", "mine_b")

    save(tmp_path / name, {blob: array for blob, array in blobs.items() if blob != "conv1_w"})
    with pytest.raises(VmzError, match=rf"{name} would leave 1 of the network's {len(blobs)} blobs .*: conv1_w"):
        load(tmp_path / name).fit(model, new_head=True)
    assert "gpu_0/conv1_w" not in load(tmp_path / name).fit(model, allow_partial=True)[0]
