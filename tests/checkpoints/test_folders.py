"""A model's folder: what is damaged in it is named, whatever is written; the card of one's own file and folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from tests.model.saved_models import LABELS, needs_safetensors, weights_of
from vmz.checkpoints.folders import read_folder, save_folder
from vmz.checkpoints.loading import load
from vmz.errors import UsageError, VmzError
from vmz.model.card import Card, card_of
from vmz.settings.self_description import read_description

pytestmark = needs_safetensors
SETTINGS = {
    "model_name": "r3d", "model_depth": 10, "num_labels": 4, "channel_multiplier": 0.1, "clip_length_rgb": 8,
    "crop_size": 112, "clip_per_video": 3, "crop_per_clip": 3, "aggregation": 1,
}  # fmt: skip
ABOUT = {"saved": {"settings": SETTINGS, "features_only": False, "source": "own.pkl"}, "labels": LABELS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert save_folder(tmp_path / "net", weights_of(), ABOUT, "# a card\n") is None
    return tmp_path / "net"


def edited(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    found = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(change(found)))


def test_what_is_written_is_read(folder: Path) -> None:
    blobs, about = read_folder(folder)
    assert about == ABOUT and all(np.array_equal(blobs[name], array) for name, array in weights_of().items())
    assert load(folder / "model.safetensors").about == ABOUT
    known = read_description(str(folder))
    assert known.saved and dict(known.protocol) == SETTINGS and known.labels == tuple(LABELS)
    save_folder(folder, weights_of(), {"saved": ABOUT["saved"]}, "# another card\n")
    assert "labels" not in read_folder(folder)[1] and "# another card" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "change", "error", "sentence"),
    [
        ("config.json", None, UsageError, "config.json does not exist; it is not a folder of a model"),
        ("preprocessor_config.json", None, VmzError, "preprocessor_config.json does not exist; the folder is"),
        ("model.safetensors", None, VmzError, "model.safetensors does not exist; restore the file"),
        ("config.json", lambda _: {"model_type": "vit"}, UsageError, "config.json is not of a model of VMZ"),
        ("config.json", lambda found: {**found, "vmz_format": "1"}, VmzError, "has vmz_format '1', but this version"),
        ("config.json", lambda found: {**found, "network": []}, VmzError, r"config.json is not as expected: network"),
        ("config.json", lambda found: {**found, "features_only": 2}, VmzError, "features_only is 2, not true or false"),
        ("config.json", lambda found: {**found, "network": {"model_depht": 1}}, VmzError, "setting 'model_depht'"),
        ("config.json", lambda found: {**found, "network": {"crop_size": 1}}, VmzError, "'crop_size', which config"),
        (
            "config.json", lambda found: {**found, "network": {"model_depth": "ten"}}, VmzError,
            "has --model_depth=ten, which is not one of its values",
        ),
        ("config.json", lambda _: [1], VmzError, "config.json is not as expected: it is"),
        ("preprocessor_config.json", lambda found: {"clips": 3}, VmzError, "_config.json is not as expected"),
        (
            "preprocessor_config.json", lambda found: {**found, "mean": [0.5, 0.5, 0.5]}, VmzError,
            r"has mean \[0.5, 0.5, 0.5\], but VMZ's reader normalises pixels with \[110.201, 100.64, 95.9966\]",
        ),
        ("labels.json", lambda _: {"0": "a"}, VmzError, "labels.json is not as expected: it is .* not a list"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named(name: str, change: Any, error: type[Exception], sentence: str, folder: Path) -> None:
    if change is None:
        (folder / name).unlink()
    else:
        edited(folder, name, change)
    with pytest.raises(error, match=sentence) as raised:
        read_description(str(folder))
    assert str(folder) in str(raised.value)


def test_damaged_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-9])
    with pytest.raises(VmzError, match=r"model.safetensors is not a safetensors file, or is truncated"):
        load(folder)
    with pytest.raises(UsageError, match="is a folder, whose weights are safetensors; leave --db_type=pickle out"):
        load(folder, "pickle")


def test_the_card(folder: Path, tmp_path: Path) -> None:
    card = card_of(str(folder)).markdown()
    for line in (
        "| network | r3d-10 |", "| clip | 3 channels, 8 frames, crop of 112x112 pixels |",
        "- Clips of a video: 3, evenly spaced; crops of each: 3. The score of the video is their maximum.",
        "4 classes: back, forth, left, right.", "| weights | own.pkl |", "| licence | not known |",
        f'model = vmz.load_model("{folder}")', "Not known. Measure them: `vmz test-net --load_model_path",
    ):  # fmt: skip
        assert line in card, line
    hostile = {**ABOUT["saved"], "source": "a|b\n# <script>", "licence": "[x](javascript:y)"}  # type: ignore[dict-item]
    shown = Card.of("x.pkl", {"saved": hostile}, weights_of()).markdown()
    assert "<script" not in shown.replace("\\<script", "") and "\n# <" not in shown and "\\[x\\](javascript" in shown
    with pytest.raises(UsageError, match=r"there is no file or folder .*nothing.pkl; `vmz zoo list`"):
        card_of(str(tmp_path / "nothing.pkl"))
    with pytest.raises(UsageError, match="did you mean"):
        card_of("r2plus1d_d18_l9")


@pytest.mark.parametrize(
    ("network", "lines", "absent"),
    [
        (
            {"model_name": "a_resnet", "input_type": 2, "num_channels": 1},
            ["| clip | log-mels of the sound, 100 rows of 40 filters |", "| input | sound |", "- Sound: one channel"],
            "Frames are resized",
        ),
        (
            {"model_name": "av_resnet-r3d", "input_type": 3},
            [
                "of 112x112 pixels; log-mels of the sound",
                "| input | RGB and sound |",
                "- Sound: one",
                "- Frames are resized",
            ],
            "Optical flow",
        ),
    ],
)
def test_the_card_of_a_network_that_hears(network: dict[str, Any], lines: list[str], absent: str) -> None:
    saved = {**ABOUT["saved"], "settings": {**SETTINGS, **network, "model_depth": 18}}  # type: ignore[dict-item]
    card = Card.of("x.pkl", {"saved": saved}, weights_of()).markdown()
    assert [line for line in lines if line not in card] == [] and absent not in card


def test_published_cards() -> None:
    from vmz import zoo

    for row in zoo.rows()[::6]:
        card = Card.of_row(row).markdown()
        assert f'vmz.load_model("{row.name}")' in card and "None" not in card
        assert all(heading in card for heading in ("## Network", "## Figures", "## Clips", "## Classes", "## Origin"))


def test_nothing_is_left_where_it_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("vmz.checkpoints.folders.write_json", full)
    with pytest.raises(VmzError, match=r"cannot write .*net: No space left on device"):
        save_folder(tmp_path / "net", weights_of(), ABOUT, "# a card\n")
    assert not os.listdir(tmp_path)
