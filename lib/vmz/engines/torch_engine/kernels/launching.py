"""How the kernels are launched: in Triton's interpreter on the CPU, or tuned on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from vmz.errors import UsageError

INTERPRETED = bool(triton.knobs.runtime.interpret)  # TRITON_INTERPRET=1, as it was when Triton was imported
ACCUMULATORS = {
    torch.float32: tl.float32,
    torch.bfloat16: tl.float32,
    torch.float16: tl.float32,
    torch.float64: tl.float64,
}


def check_device(name: str, *tensors: Tensor) -> None:
    """UsageError where `name` cannot run: the tensors are on different devices, or on none that Triton serves here."""
    devices = {tensor.device for tensor in tensors}
    if len(devices) > 1:
        raise UsageError(f"{name}: its tensors are on {' and '.join(sorted(map(str, devices)))}; put all on one device")
    if not INTERPRETED and devices and next(iter(devices)).type != "cuda":
        raise UsageError(
            f"{name} runs on a GPU, not on {next(iter(devices))}; for a test on the CPU set TRITON_INTERPRET=1 before "
            "Python starts"
        )


class Tuned:
    """A kernel with its block sizes: the fastest of `choices` for each new `key`, measured on the device; the first one
    in the interpreter, which has no speed to measure.

    choices: (block sizes, warps) each. key: names of arguments.
    """

    def __init__(self, kernel: Any, choices: Sequence[tuple[Mapping[str, int], int]], key: Sequence[str]) -> None:
        self._first = dict(choices[0][0])
        self._kernel = kernel
        if not INTERPRETED:
            configs = [triton.Config(dict(sizes), num_warps=warps) for sizes, warps in choices]
            self._kernel = triton.autotune(configs, key=list(key))(kernel)

    def __call__(self, grid: Any, *arguments: Any, **constants: Any) -> None:
        """grid: a function of the block sizes, {name: size}, to the number of programs."""

        def programs(sizes: Mapping[str, int]) -> tuple[int]:
            return (grid(sizes),)

        if INTERPRETED:
            constants = {**constants, **self._first}
        self._kernel[programs](*arguments, **constants)


def ceil_div(number: int, by: int) -> int:
    return -(-number // by)
