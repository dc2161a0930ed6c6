"""Weights that no network works with are refused by every loader."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import numpy as np
import pytest

from vmz.checkpoints.loading import convert, load, save
from vmz.checkpoints.values import check_values
from vmz.errors import VmzError
from vmz.settings.self_description import read_description
from vmz.training.checkpoints import read

GOOD: dict[str, np.ndarray] = {
    "conv1_w": np.ones((4, 3), np.float32),
    "conv1_spatbn_relu_riv": np.zeros(4, np.float32),
    "conv1_spatbn_relu_rm": np.full(4, -1.0, np.float32),
    "conv1_w_momentum": np.zeros((4, 3), np.float32),
    "optimizer_iteration": np.array([3], np.int64),
}
LOADERS: list[Callable[[Path], object]] = [
    load,
    lambda path: read_description(str(path)),
    lambda path: convert(path, path.with_suffix(".out"), "pickle" if path.suffix == ".pkl" else "minidb"),
]


@pytest.mark.parametrize("suffix", [".pkl", ".mdl"])
@pytest.mark.parametrize(
    ("blob", "value", "says"),
    [
        ("conv1_w", np.nan, r"conv1_w \(2 NaN, of 12 values\)"),
        ("conv1_w", -np.inf, r"conv1_w \(2 infinite or beyond float32, of 12 values\)"),
        ("conv1_spatbn_relu_riv", -1e-9, r"conv1_spatbn_relu_riv \(2 negative, as a variance, of 4 values\)"),
        ("conv1_w_momentum", np.nan, r"conv1_w_momentum \(2 NaN"),
    ],
)
def test_every_loader_names_the_blob_and_how_many(
    suffix: str, blob: str, value: float, says: str, tmp_path: Path
) -> None:
    blobs = {name: array.copy() for name, array in GOOD.items()}
    save(tmp_path / f"good{suffix}", blobs)
    blobs[blob].flat[:2] = value
    path = tmp_path / f"bad{suffix}"
    save(path, blobs)
    loaders = [*LOADERS, lambda path: read(path, 1)] if suffix == ".mdl" else LOADERS
    for loader in loaders:
        loader(tmp_path / f"good{suffix}")
        with pytest.raises(VmzError, match=rf"bad{suffix} contains weights that no network can use: {says}"):
            loader(path)


def test_of_many_blobs_the_first_are_named() -> None:
    with pytest.raises(VmzError, match=r"b0 \(1 NaN, of 1 value\), b1 .*, b3 .* and 6 more blobs; the training"):
        check_values("a.pkl", {f"b{n}": np.array([np.nan]) for n in range(10)})


@pytest.mark.parametrize(
    "array",
    [np.array([1e39]), np.array([np.inf], np.float16), np.array([[np.nan]], np.float16), np.array(-np.inf)],
)
def test_whatever_the_type(array: np.ndarray) -> None:
    with pytest.raises(VmzError, match=r"w \(1 "):
        check_values("a.pkl", {"w": array})
    check_values("a.pkl", {"w": np.zeros((0, 2)), "n": np.array([2**63], np.uint64), "h": np.ones(3, np.float16)})
