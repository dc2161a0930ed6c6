"""The engines by name. Each is imported when it is asked for: neither needs the other's packages."""

from __future__ import annotations

from collections.abc import Sequence

from vmz.engines.engine import Engine
from vmz.engines.trainer import Trainer
from vmz.errors import UsageError

ENGINES = ("pytorch", "caffe2")


def open_engine(name: str = "pytorch", device: str = "cpu") -> Engine:
    """An engine by name, "pytorch" or "caffe2", on "cpu", "cuda" or "cuda:N". UsageError for what is not there."""
    if name == "pytorch":
        from vmz.engines.torch_engine.engine import TorchEngine

        return TorchEngine(device)
    if name == "caffe2":
        from vmz.engines.caffe2_engine import Caffe2Engine

        return Caffe2Engine(device)
    raise UsageError(f"unknown engine {name!r}; the engines are {', '.join(ENGINES)}")


def open_trainer(name: str = "pytorch", devices: Sequence[str] = ("cpu",)) -> Trainer:
    """A trainer by engine name, on "cpu", "cuda" or "cuda:N". UsageError for what is not there.

    PyTorch takes one device a process, and torch.distributed's environment (torchrun) for more; Caffe2 takes several.
    """
    if name == "pytorch":
        from vmz.engines.torch_engine.trainer import TorchTrainer

        return TorchTrainer(devices)
    if name == "caffe2":
        from vmz.engines.caffe2_trainer import Caffe2Trainer

        return Caffe2Trainer(devices)
    raise UsageError(f"unknown engine {name!r}; the engines are {', '.join(ENGINES)}")
