"""What training asks of numbers beside their precision: gradients that are right, the same bits again, a loss scale."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from vmz.engines.torch_engine.precision import has_amx
from vmz.errors import VmzError


@contextmanager
def differentiating(precision: str, device: torch.device) -> Iterator[None]:
    """For a backward pass.

    With AMX oneDNN's bf16 gradient of a convolution's weights is not finite, or wrong, where the channels are no
    multiple of 16 (PyTorch 2.13: 64 channels to 17 at 56 x 56). PyTorch's own kernel is slower, and right.
    """
    if precision == "fp32" or device.type != "cpu" or not has_amx():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of Intel's GPUs
        with torch.backends.mkldnn.flags(enabled=False):
            yield


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
