"""docs/reference/operators.md: every operator of the PyTorch engine, and how far its numbers are from real Caffe2's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from tests.operators.caffe2_runs import Numbers
from tests.operators.table import CASES, WITHOUT
from tests.operators.torch_runs import difference, run_in_torch
from vmz.engines.torch_engine.graph.op import REGISTRY
from vmz.engines.torch_engine.graph.operators.windows import KERNEL, PADS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "operators.md"
HEAD = """# Operators of the PyTorch engine

Written by `.venv-caffe2/bin/python -m tests.operators`, which runs every case in real Caffe2 and in the PyTorch
engine, in one process. `tests/operators` holds both environments against what it recorded.
[old_nets.md](../guide/old_nets.md) says how to import an old program's network.

An operator or argument that is not here is refused with its name and its place. Every operator takes, without effect,
`cudnn_exhaustive_search`, `exhaustive_search`, `use_cudnn`, `ws_nbytes_limit`, `shared_buffer`, `no_bias`, any engine
and any device; and `order`, which is NCHW or NHWC, but for those that say *NCHW only*. *window*: `kernel`, `kernels`,
`kernel_h` with `kernel_w`, and so for stride and dilation. *pads*: `pad`, `pads`, or `pad_t`, `pad_l`, `pad_b` and
`pad_r` together.

Differences are the largest one over the largest value, of all cases and blobs; the limit is 1e-5. *none*: Caffe2 has no
gradient of it.

| operator | arguments | cases | forward | gradient | |
|---|---|---:|---:|---:|---|
"""


def rows(numbers: Mapping[str, Numbers]) -> list[list[str]]:
    """A row for each operator: name, arguments, cases, both differences, notes."""
    found = []
    for operator in sorted(REGISTRY):
        names = [name for name, case in CASES.items() if case.type == operator]
        notes = [WITHOUT[operator]] if operator in WITHOUT else []
        notes += ["NCHW only"] if REGISTRY[operator].channels_last is None else []
        forward, gradient, has_gradient = 0.0, 0.0, False
        for name in names:
            case, expected = CASES[name], numbers[name]
            ours = run_in_torch(case, expected)
            forward = max(forward, difference(expected.outputs, ours.outputs))
            if expected.gradients and not case.differs:
                gradient = max(gradient, difference(expected.gradients, ours.gradients))
                has_gradient = True
            if case.stand_in:
                notes.append(f"against Caffe2's {case.stand_in}, which does the same")
            if case.differs:
                about = ", ".join(f"{key}={value}" for key, value in case.arguments.items() if key != "order")
                notes.append(f"gradient not compared with {about}: {case.differs}")
        arguments = " ".join(_arguments(REGISTRY[operator].arguments))
        figures = [figure(forward), figure(gradient) if has_gradient else "none"] if names else ["-", "-"]
        found.append([f"`{operator}`", arguments, str(len(names)), *figures, "; ".join(dict.fromkeys(notes))])
    return found


def _arguments(names: frozenset[str]) -> list[str]:
    """In order; those that place a window or its padding by one word, which the page explains."""
    groups = {"window": set(KERNEL.split()), "pads": set(PADS.split())}
    found = []
    for word, group in groups.items():
        if group <= names:
            found.append(f"*{word}*")
            names = names - group
    return found + [f"`{name}`" for name in sorted(names)]


def figure(value: float) -> str:
    """A difference, rounded up to one digit: 0, 3e-07."""
    if value == 0:
        return "0"
    power = math.floor(math.log10(value))
    return f"{math.ceil(value / 10**power):d}e{power:03d}" if math.isfinite(value) else "inf"


def page(numbers: Mapping[str, Numbers]) -> str:
    """The page as Markdown."""
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows(numbers))
