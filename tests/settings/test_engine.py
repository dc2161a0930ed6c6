"""The device that a run names is the one that it used."""

from __future__ import annotations

import pytest

from tests.engines.real_caffe2 import needs_caffe2
from vmz.settings.engine import EngineSettings, environment


@pytest.mark.parametrize("engine", ["pytorch", pytest.param("caffe2", marks=needs_caffe2)])
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_auto_is_never_what_ran(engine: str, device: str) -> None:
    import torch

    found = environment(EngineSettings(engine=engine, device=device))
    gpu = device == "auto" and engine == "pytorch" and torch.cuda.is_available()
    assert found["device"] == ("cuda:0" if gpu else "cpu") and found["engine"] == engine


def test_no_gpu_is_the_cpu() -> None:
    assert environment(EngineSettings(num_gpus=0))["device"] == "cpu"
