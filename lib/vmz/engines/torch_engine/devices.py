"""Which of PyTorch's devices is meant by a name."""

from __future__ import annotations

import torch

from vmz.errors import UsageError
from vmz.processes import identity


def device_name(name: str, each_its_own: bool = False) -> str:
    """The name without "auto", which is a GPU if there is one. each_its_own: "cuda" is this process's GPU, "cuda:N"."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and each_its_own:
        name = f"cuda:{identity.local_rank(torch.cuda.device_count())}"
    return name


def checked_device(name: str, each_its_own: bool = False) -> torch.device:
    """The device called "cpu", "cuda", "cuda:N" or "auto", as `device_name`. UsageError for one that is not here."""
    name = device_name(name, each_its_own)
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError):
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}; the devices are auto, cpu, cuda and cuda:N")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if not torch.cuda.is_available() or (device.index or 0) >= count:
            raise UsageError(f"device {name} is not available: PyTorch sees {count} CUDA devices; use --device=cpu")
    return device
