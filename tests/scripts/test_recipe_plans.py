"""docs/reference/recipe_plans.md is current, and its rates are those of a few lines of arithmetic."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Optional

import pytest

from tests.scripts.test_recipes import load, recipe

# The script imports its neighbour by name. scripts/ itself must not get onto the path: it holds a folder caffe2.
sys.modules.setdefault("recipe", recipe)
plans = load(Path(__file__).resolve().parents[2] / "scripts" / "recipe_plans.py")

# By hand, from the scripts and papers: (GPUs, clips a GPU, rate a GPU, clips an epoch, epochs, warm-up, then).
# `then`: epochs from one tenth to the next, or None for half a cosine down to 0.
FACTS: dict[tuple[str, str], tuple[int, int, float, int, int, int, Optional[int]]] = {
    ("train_kinetics400", "published"): (2, 32, 0.01, 1_000_000, 35, 0, 10),
    ("train_kinetics400", "paper"): (8, 32, 0.01, 1_000_000, 45, 10, 10),
    ("train_kinetics400_r2plus1d_34", "paper"): (64, 4, 0.01 / 8, 1_000_000, 45, 10, 10),
    ("train_kinetics400_r2plus1d_152", "paper"): (64, 4, 0.01 / 8, 1_000_000, 45, 10, 10),
    ("train_kinetics400_ir_csn_152", "paper"): (64, 8, 0.01, 1_000_000, 45, 10, None),
    ("train_kinetics400_ip_csn_152", "paper"): (64, 8, 0.01, 1_000_000, 45, 10, None),
    ("finetune_hmdb51", "published"): (8, 4, 0.0002, 40_000, 8, 0, 2),
    ("finetune_ucf101", "published"): (8, 4, 0.0001, 100_000, 8, 0, 2),
    ("finetune_kinetics400_ig65m_ir_csn_152", "paper"): (32, 3, 0.0005 / 32, 240_000, 58, 16, 16),
    ("finetune_kinetics400_ig65m_r2plus1d_34", "paper"): (32, 3, 0.0005 / 32, 240_000, 58, 16, 16),
}


def rate_by_hand(epoch: int, one: float, many: float, epochs: int, warmup: int, then: Optional[int]) -> float:
    """At the first iteration of an epoch counted from 1."""
    done = epoch - 1
    if done < warmup:
        return one + (many - one) * done / warmup
    done -= warmup
    if then is None:
        return many * (1 + math.cos(math.pi * done / (epochs - warmup))) / 2
    return many * 0.1 ** (done // then)


def test_every_plan_against_arithmetic() -> None:
    rows = list(plans.rows())
    assert [(row.recipe, row.settings) for row in rows[:: len(plans.GPUS)]] == list(FACTS)
    for row in rows:
        devices, clips, rate, epoch_size, epochs, warmup, then = FACTS[row.recipe, row.settings]
        total = max(devices, row.gpus)  # fewer GPUs accumulate, more raise batch and rate
        assert row.accumulation * row.gpus == total and row.made_for == devices
        assert row.plan.clips_per_iteration == clips * total
        assert row.plan.iterations_per_epoch == epoch_size // (clips * total)
        assert row.plan.epochs == epochs
        wanted = [
            rate_by_hand(epoch, rate, rate * total, epochs, warmup, then)
            for epoch in (1, 10, 11, 20, 45)
            if epoch <= epochs
        ]
        assert row.rates() == pytest.approx(wanted, rel=1e-5), row


def test_the_page_is_current_and_names_every_script() -> None:
    assert plans.PAGE.read_text() == plans.page()
    assert len(plans.SCRIPTS) == 16
    for script, name in plans.SCRIPTS.items():
        assert script in plans.recipes.find(name)["source"]
    for name in plans.recipes.recipes():
        assert (
            name.startswith(("dense_", "test_", "train_", "finetune_", "create_sports1m"))
            or name in plans.SCRIPTS.values()
        )


def test_printing_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert plans.main([]) == 0
    assert capsys.readouterr().out == plans.PAGE.read_text()
