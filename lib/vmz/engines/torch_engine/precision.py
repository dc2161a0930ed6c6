"""What a precision is in PyTorch, and whether a device has it: for nets that run forward and for training."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from vmz.engines.precisions import FP32
from vmz.errors import UsageError

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
CPUINFO = Path("/proc/cpuinfo")
_FLAGS_OF_BF16 = {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"}  # the last one is Arm's


def check_precision(precision: str, device: torch.device, known: Sequence[str]) -> None:
    """UsageError for a precision that is none of `known`, or that the device does not have; a warning where it is slow.

    bf16 on a processor without instructions for it gives the same numbers, later than fp32.
    """
    if precision not in known:
        raise UsageError(f"unknown precision {precision!r}; the precisions are {', '.join(known)}")
    if precision == FP32:
        return
    if device.type == "cpu":
        _check_on_cpu(precision)
    elif precision == "bf16" and not _gpu_is_ampere(device):
        raise UsageError(f"{torch.cuda.get_device_name(device)} has no bf16; use precision fp16 or fp32")
    elif precision == "tf32" and not _gpu_is_ampere(device):
        raise UsageError(f"{torch.cuda.get_device_name(device)} has no tf32; use precision fp32")


def check_layers(precision: str, device: torch.device) -> None:
    """UsageError where this PyTorch has not all layers in this precision, as training by autocast does not ask for."""
    if precision == "bf16" and device.type == "cpu" and not layers_take_bf16():
        raise UsageError(
            f"PyTorch {torch.__version__} has not all layers in bf16 on this CPU; use precision fp32 or a newer PyTorch"
        )


def _check_on_cpu(precision: str) -> None:
    if precision in ("fp16", "tf32"):
        raise UsageError(f"precision {precision} is for GPUs: on the CPU use bf16 or fp32")
    if not cpu_has_bf16():
        warnings.warn(
            "this processor has no instructions for bf16 (AVX-512 BF16, AMX, or Arm's): precision bf16 is slower than "
            "fp32 here",
            stacklevel=2,
        )


@functools.cache
def layers_take_bf16() -> bool:
    """Whether what graph.half leaves in 16 bits is there: PyTorch 1.10 has convolutions in bf16, and no pools."""
    x, weight = torch.ones(1, 2, 2, 2, 2, dtype=torch.bfloat16), torch.ones(2, 1, 1, 1, 1, dtype=torch.bfloat16)
    statistics = torch.ones(2, dtype=torch.bfloat16)
    try:
        x = F.batch_norm(F.conv3d(x, weight, groups=2), statistics, statistics, statistics, statistics)
        F.max_pool3d(F.relu(x), 1)
    except RuntimeError:
        return False
    return True


@functools.cache
def cpu_has_bf16() -> bool:
    """Whether this processor multiplies bf16 by instructions of its own: AVX-512 BF16, AMX, or Arm's."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        asked: Any = getattr(getattr(torch, "cpu", None), name, None)
        if asked is not None and asked():
            return True
    try:
        return bool(_FLAGS_OF_BF16.intersection(CPUINFO.read_text().split()))
    except OSError:  # no Linux
        return False


def has_amx() -> bool:
    """Whether PyTorch knows this CPU's AMX: versions that do not know it do not use it."""
    known = getattr(getattr(torch, "cpu", None), "_is_amx_tile_supported", None)
    return bool(known is not None and known())


def _gpu_is_ampere(device: torch.device) -> bool:
    """Whether the GPU computes in bf16 and TF32. torch.cuda.is_bf16_supported() is true where PyTorch emulates it."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)


@contextmanager
def autocast_context(precision: str, device: torch.device) -> Iterator[None]:
    """For a forward pass, within `computing_in`, which its backward pass needs too.

    Parameters, batch-norm statistics and gradients are float32 in every precision.
    """
    if precision not in HALF:
        yield
    else:
        with torch.autocast(device_type=device.type, dtype=HALF[precision]):
            yield


def full_precision() -> Any:
    """float32 is float32: PyTorch's TF32 on recent GPUs would cost three digits."""
    return computing_in(FP32)


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """What float32 means to a GPU: TF32 where `precision` is tf32, else float32.

    The switches are the process's, not the thread's: autograd computes a GPU's gradients in a thread of its own.
    """
    switches: list[tuple[Any, str, Any]]
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    tf32 = precision == "tf32"
    if hasattr(cudnn, "conv"):  # PyTorch 2.9: one for each, which the old ones do not always override
        switches = [(part, "fp32_precision", "tf32" if tf32 else "ieee") for part in (matmul, cudnn.conv, cudnn.rnn)]
    else:
        switches = [(part, "allow_tf32", tf32) for part in (matmul, cudnn)]
    before = [getattr(part, name) for part, name, _ in switches]
    for part, name, value in switches:
        setattr(part, name, value)
    try:
        yield
    finally:
        for (part, name, _), value in zip(switches, before):
            setattr(part, name, value)
