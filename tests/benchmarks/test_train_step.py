"""What a training step's products are counted as."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def test_layers_that_read_the_clips_have_no_gradient_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import train_step

    model = train_step.training_net(train_step.MODELS["r3d-18"])
    first, *others = [cost.macs for cost in model.costs()]
    assert first == 64 * 8 * 56 * 56 * 3 * 3 * 7 * 7
    assert train_step.step_flops(model) == 2 * (2 * first + 3 * sum(others))
