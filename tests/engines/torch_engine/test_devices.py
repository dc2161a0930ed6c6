from __future__ import annotations

import pytest
import torch

from vmz.engines.torch_engine.devices import checked_device, device_name
from vmz.errors import UsageError


@pytest.fixture(autouse=True)
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 0)


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_auto_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_device("auto") == torch.device("cpu")
    gpus(monkeypatch, 2)
    assert checked_device("auto") == checked_device("cuda") == torch.device("cuda")
    assert checked_device("cuda:1") == torch.device("cuda", 1)
    assert checked_device("cpu") == torch.device("cpu")


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert device_name("auto", each_its_own=True) == "cpu"
    gpus(monkeypatch, 2)
    assert [device_name(name, each_its_own=True) for name in ("auto", "cuda", "cuda:0", "cpu")] == [
        *("cuda:1", "cuda:1", "cuda:0", "cpu")
    ]
    gpus(monkeypatch, 1)
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(UsageError, match="device cuda:3 is not available: PyTorch sees 1 CUDA devices"):
        checked_device("cuda", each_its_own=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda", "device cuda is not available: PyTorch sees 0 CUDA devices; use --device=cpu"),
        ("cuda:7", "device cuda:7 is not available"),
        ("gpu", "unknown device 'gpu'; the devices are auto, cpu, cuda and cuda:N"),
        ("meta", "unknown device 'meta'"),
        ("", "unknown device ''"),
    ],
)
def test_what_is_no_device(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        checked_device(name)
