"""hubconf.py through torch.hub: the original's names and values, and every published name."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vmz
from tests.model.test_zoo_rows import published_file
from tests.zoo.server import serving, whole
from vmz import zoo
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError
from vmz.model.hub import HUB
from vmz.models.registry import build
from vmz.zoo.cache import file_name

ROOT = str(Path(__file__).resolve().parents[2])


def hub(entry: str, *given: Any, **arguments: Any) -> Any:
    return torch.hub.load(ROOT, entry, *given, source="local", **arguments)


def test_the_names() -> None:
    for rows in HUB.values():
        for row in rows.values():
            assert zoo.find(row).name == row and zoo.find(row).file is not None


def test_the_entries_are_what_hub_lists() -> None:
    """torch.hub.list, which takes no local folder, lists every callable without an underscore."""
    spec = importlib.util.spec_from_file_location("hubconf", f"{ROOT}/hubconf.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    listed = [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]
    assert set(listed) == {*HUB, "load"}
    for name in HUB:
        assert f"HUB['{name}']" in getattr(module, name).__doc__


@pytest.mark.parametrize(("name", "pretraining"), [(name, key) for name, rows in HUB.items() for key in rows])
def test_each_pretraining_is_a_published_file(
    name: str, pretraining: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = zoo.find(HUB[name][pretraining])
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path))
    monkeypatch.setenv("VMZ_OFFLINE", "1")
    with pytest.raises(UsageError, match=rf"^{re.escape(file_name(row))} is not in .*, and VMZ_OFFLINE forbids"):
        hub(name, pretraining=pretraining)
    config = vmz.weights(row.name).config
    assert f"{config.model_name.replace('-', '_')}_{config.model_depth}" == name
    assert f"{config.clip_length}frms" == pretraining.rpartition("_")[2]
    assert ("kinetics" in pretraining) == (row.train_data == "Kinetics-400" and config.num_labels == 400)
    assert ("sports1m" in pretraining) == ("Sports1M" in (row.train_data, row.pretrain_data))


@pytest.mark.slow
def test_a_network_of_152_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = zoo.find(HUB["ir_csn_152"]["ig_ft_kinetics_32frms"])
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path))
    monkeypatch.setenv("VMZ_OFFLINE", "1")
    blobs = published_file(row, tmp_path)
    model = hub("ir_csn_152", pretraining="ig_ft_kinetics_32frms", device="cpu", head="plain")
    loaded = model.weights()
    assert len(blobs) == len(loaded) == 777
    assert all(np.array_equal(loaded[blob.rpartition("/")[2]], array) for blob, array in blobs.items())
    assert model.clip_shape == (3, 32, 224, 224) and len(model.labels) == 400


def test_untrained() -> None:
    model = hub("r2plus1d_34", num_classes=7)
    assert model.config.num_labels == 7 and model.clip_shape == (3, 8, 112, 112) and not model.training
    model.train()
    assert model(torch.zeros(2, 3, 8, 112, 112)).shape == (2, 7)
    with pytest.raises(UsageError, match="an untrained ir_csn_152 takes num_classes alone"):
        hub("ir_csn_152", crop_size=112)


def test_a_published_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = zoo.find(HUB["r2plus1d_34"]["kinetics_8frms"])
    net = build(vmz.weights(row.name).config)
    save_pickle(tmp_path / "made.pkl", seeded_weights([*net.params, *net.computed_params]))
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path / "cache"))
    with serving({f"/{row.file}": whole((tmp_path / "made.pkl").read_bytes())}) as (address, _):
        monkeypatch.setenv("VMZ_MIRROR", address)
        model = hub("r2plus1d_34", pretraining="kinetics_8frms", device="cpu")
        again = hub("load", row.name, device="cpu", num_classes=3)
    assert model.labels[399] == "zumba" and again.config.num_labels == 3
    with pytest.raises(UsageError, match="unknown pretraining 'kinetics' of r2plus1d_34; choose from: kinetics_8frms"):
        hub("r2plus1d_34", pretraining="kinetics")
