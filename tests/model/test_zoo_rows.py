"""Every row of the manifest: builds, takes a checkpoint as it was published, and predicts; on both engines.

Nobody may download the published files here, so that files of the same blobs stand in for them: random arrays under
the names, scope and shapes of the original's training nets.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmz
from tests.engines.real_caffe2 import needs_caffe2
from tests.support.sounding_videos import sounding_video
from vmz import zoo
from vmz.checkpoints.loading import save
from vmz.checkpoints.matching import match
from vmz.cli.zoo import work as zoo_tool
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.settings.model import ModelSettings
from vmz.settings.network import model_config
from vmz.zoo.cache import file_name

RELEASED = [row for row in zoo.rows() if row.file is not None]
UNKNOWN_LABELS = 487  # where the number was not published: the file tells it
UNKNOWN = {  # what was not published of some, and is given by hand
    "crop_size": 224, "clip_length_rgb": 16, "sampling_rate_rgb": 2, "video_res_type": 1, "scale_h": 256,
    "scale_w": 342, "use_pool1": 1,
}  # fmt: skip
QUICK = "r2df_d18_l8"
FAMILIES = ("r2d_d18_l8", "mc3_d18_l8", "rmc3_d18_l8", "c3d_l16", "ir_csn_50_ft_kinetics_from_ig65m")
FRAMES = 66  # of the film: a clip of 32 frames of every second one, and two to spare


def settings_of(row: zoo.ZooRow, **more: Any) -> ModelSettings:
    labels = {} if row.flags["num_labels"] is not None else {"num_labels": UNKNOWN_LABELS}
    return ModelSettings.resolved(zoo=row.name, **labels, **by_hand(row), **more)


def by_hand(row: zoo.ZooRow) -> dict[str, Any]:
    """What has to be given of a row beside its labels."""
    return {flag: value for flag, value in UNKNOWN.items() if row.flags.get(flag, value) is None}


def shapes_of(row: zoo.ZooRow) -> list[tuple[str, tuple[int, ...]]]:
    """What a published file has: the blobs of the training's net, on the original's first GPU."""
    config = model_config(settings_of(row))
    crop = row.flags["crop_size"] or config.crop_size
    changes = {"use_convolutional_pred": False, "crop_size": crop, "g_blend": zoo.hears(row)}
    net = build(ModelConfig(**{**vars(config), **changes}), is_test=False, scope="gpu_0")
    return [*net.params, *net.computed_params]


@pytest.mark.parametrize("row", zoo.rows(), ids=lambda row: row.name)
def test_a_row_builds_and_takes_its_blobs(row: zoo.ZooRow) -> None:
    blobs = {blob: np.broadcast_to(np.float32(0), shape) for blob, shape in shapes_of(row)}
    for protocol in zoo.PROTOCOLS:
        config = model_config(settings_of(row, protocol=protocol), batch_size=-1)
        net = build(config, is_test=True)
        fitted, report = match(blobs, [*net.params, *net.computed_params])
        own = [f"{trunk}_{config.last_layer}_{part}" for trunk in "av" for part in "wb"] if config.hears else []
        assert report.missing == () and report.mismatched == {} and sorted(report.unused) == sorted(own)
        assert len(fitted) == len(blobs) - len(own) == len(report.copied) + len(report.adapted)
        layers = [*(["av_fc1", "av_fc2"] if config.hears else []), config.last_layer]
        assert list(report.adapted) == ([f"{name}_w" for name in layers] if config.use_convolutional_pred else [])
        (classifier,) = [cost for cost in net.costs() if cost.blob == net.blob(config.last_layer)]
        assert classifier.shape[1] == config.num_labels == (row.flags["num_labels"] or UNKNOWN_LABELS)
        if config.use_convolutional_pred == (protocol == zoo.FAST):  # both protocols are the same one
            return


def published_file(row: zoo.ZooRow, folder: Path) -> dict[str, np.ndarray]:
    """Write it where the cache has it, and return what is in it."""
    random = np.random.default_rng(zlib.crc32(row.name.encode()))
    blobs = {}
    for blob, shape in shapes_of(row):
        array: np.ndarray = random.standard_normal(shape, np.float32)
        if blob.endswith("_riv"):
            array = 0.5 + np.abs(array)
        elif blob.endswith("_w"):
            array *= np.sqrt(2 / np.prod(shape[1:]), dtype=np.float32)
        elif len(shape) == 1:
            array *= np.float32(0.1)
        blobs[blob] = array if not blob.endswith("_s") else 0.6 + array
    save(folder / file_name(row), blobs, row.format and {"pkl": "pickle", "mdl": "minidb"}[row.format])
    return blobs


def parameters() -> list[Any]:
    """On both engines one row by default, one of each family in CI, and all of them on PyTorch in the slow tests."""
    found = []
    for row in RELEASED:
        of_family = row.name in FAMILIES or row.modality == "optical flow"
        mark = [] if row.name == QUICK else [pytest.mark.long if row.name in FAMILIES else pytest.mark.slow]
        found.append(pytest.param(row, "pytorch", id=row.name, marks=mark))
        if of_family or row.name == QUICK:
            found.append(pytest.param(row, "caffe2", id=f"{row.name}-caffe2", marks=[*mark, needs_caffe2]))
    return found


@pytest.fixture
def film(tmp_path: Path) -> str:
    sounding_video(tmp_path / "film.mp4", 1, frames=FRAMES)
    return str(tmp_path / "film.mp4")


@pytest.mark.filterwarnings("ignore:not as .* was published")
@pytest.mark.parametrize(("row", "engine"), parameters())
def test_a_row_predicts(
    row: zoo.ZooRow, engine: str, film: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if row.modality == "optical flow":
        pytest.importorskip("cv2")
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path))
    monkeypatch.setenv("VMZ_OFFLINE", "1")
    blobs = published_file(row, tmp_path)
    # Clips of 32 frames take minutes; the weights of a network in 3-D do not depend on their number.
    shorter: dict[str, Any] = {"clip_length": 8} if row.flags["clip_length_rgb"] in (32, 33) else {}
    model: Any = vmz.load_model(row.name, engine=engine, device="cpu", **shorter, **by_hand(row))
    loaded = model.weights()
    blobs = {blob: array for blob, array in blobs.items() if not re.search("/[av]_last_out_", blob)}
    assert {blob.rpartition("/")[2] for blob in blobs} == set(loaded)
    for blob, array in blobs.items():
        assert np.array_equal(loaded[blob.rpartition("/")[2]].ravel(), array.ravel()), blob
    found = model.predict(film, top_k=3, views="one")
    assert model.clip_shape[:2] == (
        row.flags["num_channels"],
        shorter.get("clip_length", row.flags["clip_length_rgb"] or UNKNOWN["clip_length_rgb"]),
    )
    assert found.without_sound is None and ("logmels" in model.input_shapes) == zoo.hears(row)
    assert found.scores.shape == (row.flags["num_labels"] or UNKNOWN_LABELS,) and abs(found.scores.sum() - 1) < 1e-4
    assert np.ptp(found.scores) > 1e-6 and found.top[0].score == found.scores.max()
    names = vmz.weights(row.name).labels if row.flags["num_labels"] is not None else None
    assert [one.name for one in found.top] == [names and names.names[one.label] for one in found.top]
    if engine == "caffe2":
        model.close()
        expected: Any = vmz.load_model(row.name, device="cpu", **shorter)
        assert np.abs(expected.predict(film, views="one").scores - found.scores).max() < 1e-5
    (tmp_path / file_name(row)).unlink()  # of up to half a gigabyte


def test_the_list_says_what_hears_and_what_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    zoo_tool(["list"])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[2:-1]}
    assert {name for name, line in lines.items() if line.endswith("pictures and sound")} == {
        row.name for row in zoo.rows() if zoo.hears(row)
    }
    unreleased = {name for name, line in lines.items() if line.endswith("weights not released")}
    assert unreleased == {row.name for row in zoo.rows() if row.file is None} and len(lines) == len(zoo.rows())
    zoo_tool(["show", "g_b_ip_csn_152_kinetics"])
    shown = capsys.readouterr().out
    assert "  note               pictures and sound\n" in shown and "  --input_type=3\n" in shown
