"""hubconf.py through torch.hub: the original's names and values, and every published name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import vmz
from tests.zoo.server import serving, whole
from vmz import zoo
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError
from vmz.model.hub import HUB
from vmz.models.registry import build

ROOT = str(Path(__file__).resolve().parents[2])


def hub(entry: str, *given: Any, **arguments: Any) -> Any:
    return torch.hub.load(ROOT, entry, *given, source="local", **arguments)


def test_the_names() -> None:
    for rows in HUB.values():
        for row in rows.values():
            assert zoo.find(row).name == row and zoo.find(row).file is not None


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
