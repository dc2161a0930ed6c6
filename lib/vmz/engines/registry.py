"""The engines by name. Each is imported when it is asked for: neither needs the other's packages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Optional

from vmz.engines.caffe2_engine.here import check_caffe2
from vmz.engines.engine import Engine
from vmz.engines.precisions import FP32, check_inference
from vmz.engines.trainer import Trainer
from vmz.errors import UsageError
from vmz.extras import find
from vmz.stopping import held_back

ENGINES = ("pytorch", "caffe2", "openvino")
VARIABLE = "VMZ_ENGINE"


def chosen_engine() -> Optional[str]:
    """The engine that the environment variable VMZ_ENGINE names, None where it is not set. UsageError for another."""
    name = os.environ.get(VARIABLE, "").strip()
    if name and name not in ENGINES:
        raise UsageError(
            f"the environment variable {VARIABLE} is {name!r}; choose from: {', '.join(ENGINES)}, or unset it"
        )
    return name or None


def default_engine() -> str:
    """What tools take without --engine: VMZ_ENGINE's, or else PyTorch. Raises UsageError as `chosen_engine`."""
    return chosen_engine() or ENGINES[0]


def check_engine(name: str) -> None:
    """Raise UsageError where this Python cannot have the engine: told before the work, and before a slow import."""
    if name == "caffe2":
        check_caffe2()
    if name == "openvino":
        find("openvino", "openvino", "--engine=openvino")


def check_trains(name: str) -> None:
    """Raise UsageError for an engine that only tests."""
    if name == "openvino":
        raise UsageError("--engine=openvino only tests networks; train with --engine=pytorch or --engine=caffe2")


def open_engine(
    name: str = "pytorch",
    device: str = "cpu",
    precision: str = FP32,
    channels_last: Optional[int] = None,
    kernels: int = 0,
) -> Engine:
    """An engine by name, one of ENGINES, on "cpu", "cuda" or "cuda:N". UsageError for what is not there.

    precision: one of precisions.INFERENCE. channels_last: 0 or 1, None for what is faster there.
    kernels: 1 runs our Triton kernels on a GPU.
    """
    check_inference(name, precision, channels_last, kernels)
    if name == "pytorch":
        with held_back():
            from vmz.engines.torch_engine.engine import TorchEngine

        wanted = None if channels_last is None else bool(channels_last)
        return TorchEngine(device, precision=precision, channels_last=wanted, kernels=bool(kernels))
    if name == "caffe2":
        with held_back():
            from vmz.engines.caffe2_engine.engine import Caffe2Engine

        return Caffe2Engine(device)
    if name == "openvino":
        with held_back():
            from vmz.engines.openvino_engine.engine import OpenVinoEngine

        return OpenVinoEngine(device, precision)
    raise UsageError(f"unknown engine {name!r}; the engines are {', '.join(ENGINES)}")


def used_device(name: str, device: str) -> str:
    """What the engine called `name` takes for a device: "cpu" or "cuda:N", of "auto" and "cuda" too."""
    if device == "cpu" or device.startswith("cuda:"):
        return device
    if name == "openvino":
        return "cpu"
    if name == "caffe2":
        from vmz.engines.caffe2_engine.workspace import device_text, parse_device

        return device_text(parse_device(device))
    from vmz.engines.torch_engine.devices import device_name

    found = device_name(device)
    return "cuda:0" if found == "cuda" else found


def open_trainer(name: str = "pytorch", devices: Sequence[str] = ("cpu",)) -> Trainer:
    """A trainer by engine name, on "cpu", "cuda" or "cuda:N". UsageError for what is not there.

    PyTorch takes one device a process, and torch.distributed's environment (torchrun) for more; Caffe2 takes several.
    """
    check_trains(name)
    if name == "pytorch":
        with held_back():
            from vmz.engines.torch_engine.training.trainer import TorchTrainer

        return TorchTrainer(devices)
    if name == "caffe2":
        with held_back():
            from vmz.engines.caffe2_engine.trainer import Caffe2Trainer

        return Caffe2Trainer(devices)
    raise UsageError(f"unknown engine {name!r}; the engines are {', '.join(ENGINES)}")
