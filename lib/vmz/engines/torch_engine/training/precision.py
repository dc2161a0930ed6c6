"""How numbers are computed in training: full float32, or half precision by autocast; deterministic, if asked for."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from vmz.engines.trainer import PRECISIONS
from vmz.errors import UsageError, VmzError

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(precision: str, device: torch.device) -> None:
    """UsageError for a precision that there is not, or not on this device."""
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}; the precisions are {', '.join(PRECISIONS)}")
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("precision fp16 is for GPUs: on the CPU use bf16 or fp32")
    if precision == "bf16" and device.type == "cuda" and not _has_bf16(device):
        raise UsageError(f"{torch.cuda.get_device_name(device)} has no bf16; use precision fp16 or fp32")


def _has_bf16(device: torch.device) -> bool:
    """Whether the GPU computes in bf16. torch.cuda.is_bf16_supported() is true where PyTorch emulates it, too."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)


@contextmanager
def autocast_context(precision: str, device: torch.device) -> Iterator[None]:
    """For a forward pass, within `full_precision`, which its backward pass needs too.

    Parameters, batch-norm statistics and gradients are float32 in every precision.
    """
    if precision == "fp32":
        yield
    else:
        with torch.autocast(device_type=device.type, dtype=HALF[precision]):
            yield


@contextmanager
def differentiating(precision: str, device: torch.device) -> Iterator[None]:
    """For a backward pass.

    With AMX oneDNN's bf16 gradient of a convolution's weights is not finite, or wrong, where the channels are no
    multiple of 16 (PyTorch 2.13: 64 channels to 17 at 56 x 56). PyTorch's own kernel is slower, and right.
    """
    if precision == "fp32" or device.type != "cpu" or not _has_amx():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of Intel's GPUs
        with torch.backends.mkldnn.flags(enabled=False):
            yield


def _has_amx() -> bool:
    """Whether PyTorch knows this CPU's AMX: versions that do not know it do not use it."""
    known = getattr(getattr(torch, "cpu", None), "_is_amx_tile_supported", None)
    return bool(known is not None and known())


@contextmanager
def reproducible(deterministic: bool, device: torch.device) -> Iterator[None]:
    """Same inputs, same bits, if `deterministic`; else cuDNN tries its algorithms out and keeps the fastest.

    On a GPU as far as PyTorch can: it warns of operators, such as 3-D pools, that it has no such gradient for.
    """
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark
    if deterministic and device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    if deterministic and not before[0]:
        _use_deterministic_algorithms("warn" if device.type == "cuda" else "error")
    cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        if deterministic and not before[0]:
            _use_deterministic_algorithms("default")
        cudnn.benchmark = before[1]


def _use_deterministic_algorithms(mode: str) -> None:
    if hasattr(torch, "set_deterministic_debug_mode"):  # the same switch, without PyTorch's import of its compiler
        torch.set_deterministic_debug_mode(mode)
    else:
        torch.use_deterministic_algorithms(mode == "error")


class LossScale:
    """fp16's factor on the loss, which keeps small gradients from becoming 0: PyTorch's GradScaler, with an end.

    A power of two, halved when a gradient overflows, doubled after 2000 iterations without. Always 1 in other
    precisions, where `scaler` does nothing.
    """

    FIRST, LEAST, GOOD = 65536.0, 1.0, 2000

    def __init__(self, precision: str, device: torch.device) -> None:
        self.is_used = precision == "fp16"
        self.scaler = _grad_scaler(device, init_scale=self.FIRST, growth_interval=self.GOOD, enabled=self.is_used)

    @property
    def factor(self) -> float:
        """Of the loss, and so of the gradients until the scaler divides them by it."""
        return float(self.scaler.get_scale())

    def refuse_overflow(self) -> None:
        """To be called where a gradient is not finite. VmzError at the factor LEAST: a smaller one would not help."""
        if self.factor <= self.LEAST:
            raise VmzError(
                f"the gradient is not finite in fp16 at the smallest loss scale, {self.LEAST:g}; lower the learning "
                "rate, or use --precision=bf16 or fp32"
            )

    def state(self) -> np.ndarray:
        """float32 (2,): the factor, and iterations since the last overflow."""
        state = self.scaler.state_dict()
        return np.array([state["scale"], state["_growth_tracker"]], np.float32)

    def set_state(self, state: np.ndarray) -> None:
        """Continue from a state(). VmzError for what is none."""
        if np.size(state) != 2:
            raise VmzError(f"the state has a loss scale of {np.size(state)} values, not 2; the file may be damaged")
        factor, good = (float(value) for value in np.asarray(state, np.float32).reshape(-1))
        if not (np.isfinite(factor) and factor >= self.LEAST and good >= 0):
            raise VmzError(
                f"the state has the loss scale {factor:g} ({good:g} good iterations); the file may be damaged"
            )
        self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": factor, "_growth_tracker": int(good)})


def _grad_scaler(device: torch.device, **arguments: Any) -> Any:
    amp: Any = getattr(torch, "amp", None)
    if hasattr(amp, "GradScaler"):  # PyTorch 2.3
        return amp.GradScaler(device.type, **arguments)
    return torch.cuda.amp.GradScaler(**arguments)
