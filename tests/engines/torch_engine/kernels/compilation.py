"""Compile the kernels for a compute capability, without a GPU; print what they take, as JSON.

    python -m tests.engines.torch_engine.kernels.compilation 90

TRITON_INTERPRET must not be 1: the interpreter has no compiler.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from vmz.engines.torch_engine.kernels import depthwise, depthwise_device, pointwise, pointwise_device

ALIGNED = ("C", "K", "M")  # multiples of 16 in the networks: what lets a thread load several values at once


def compiled(kernel: Any, pointers: Mapping[str, str], constants: Mapping[str, Any], warps: int, target: int) -> Any:
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in names}
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(names)
        if name in pointers or (name in ALIGNED and name not in constants)
    }
    values = {(names.index(name),): value for name, value in constants.items()}
    source = ASTSource(fn=kernel, signature=signature, constexprs=values, attrs=aligned)
    return triton.compile(source, target=GPUTarget("cuda", target, 32), options={"num_warps": warps})


def usage(code: Any) -> dict[str, int]:
    """Registers and bytes of stack of a thread, and the instructions that fetch ahead."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as stream:
        stream.write(code.asm["cubin"])
        stream.flush()
        text = subprocess.run([str(tool), "-res-usage", stream.name], capture_output=True, text=True, check=True)
    said = text.stdout + text.stderr
    found = {
        key: int(re.findall(rf"{word}:(\d+)", said)[0]) for key, word in (("registers", "REG"), ("stack", "STACK"))
    }
    return {**found, "fetches": code.asm["ptx"].count("cp.async.c")}


def depthwise_kernels(kind: str, steps: int) -> Iterator[tuple[str, Any, dict[str, str], dict[str, Any], int]]:
    common = {"ST": steps, "SH": steps, "SW": steps, "ACC": tl.float32}
    clips = {name: f"*{kind}" for name in ("x", "y", "dy", "dx")}
    pointers = {**clips, "weight": "*fp32", "shift": "*fp32", "parts": "*fp32"}
    for sizes, warps in depthwise.CHOICES if steps == 1 else depthwise.CHOICES[:1]:
        whole = {**common, **sizes, "HAS_SHIFT": True, "RELU": True}
        yield "depthwise forward", depthwise_device.forward, pointers, whole, warps
    for sizes, warps in depthwise.CHOICES[:1]:
        yield "depthwise input gradient", depthwise_device.input_gradient, pointers, {**common, **sizes}, warps
    fixed = {"ROWS": depthwise.PART_ROWS, "CHANNELS": depthwise.PART_CHANNELS, "STAGES": depthwise.PART_STAGES}
    yield (
        "depthwise weight gradient", depthwise_device.weight_gradient, pointers, {**common, **fixed},
        depthwise.PART_WARPS,
    )  # fmt: skip


def all_kernels() -> Iterator[tuple[str, Any, dict[str, str], dict[str, Any], int]]:
    for kind, steps in (("bf16", 1), ("bf16", 2), ("fp32", 1)):
        yield from depthwise_kernels(kind, steps)
    pointers = {name: "*bf16" for name in ("x", "weight", "residual", "y")} | {"scale": "*fp32", "shift": "*fp32"}
    flags = {"HAS_SCALE": False, "HAS_SHIFT": True, "HAS_RESIDUAL": True, "RELU": True, "UPCAST": False}
    for sizes, warps in pointwise.CHOICES:
        constants = {"ST": 1, "SH": 1, "SW": 1, **flags, **sizes}
        yield "pointwise forward", pointwise_device.forward, pointers, constants, warps


def main(capability: int) -> None:
    found = []
    for name, kernel, pointers, constants, warps in all_kernels():
        own = {key: value for key, value in pointers.items() if key in kernel.arg_names}
        code = compiled(kernel, own, constants, warps, capability)
        sizes = {key: value for key, value in constants.items() if isinstance(value, int)}
        found.append({"kernel": name, "stages": constants["STAGES"], "warps": warps, "sizes": sizes, **usage(code)})
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
