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

This page lists every operator that the PyTorch engine supports, with its arguments and its difference from real
Caffe2. To import an old program's network see [old_nets.md](../guide/old_nets.md).

`.venv-caffe2/bin/python -m tests.operators` writes the page. It runs every case in real Caffe2 and in the PyTorch
engine, in one process. `tests/operators` compares both environments with the recorded results.

- An operator or argument that is not listed is refused; the message gives its name and position.
- Every operator accepts `cudnn_exhaustive_search`, `exhaustive_search`, `use_cudnn`, `ws_nbytes_limit`,
  `shared_buffer`, `no_bias`, any engine and any device, and ignores them.
- Every operator accepts `order` NCHW and NHWC, except those marked *NCHW only*.
- *window* stands for `kernel`, `kernels`, `kernel_h` with `kernel_w`, and the same for stride and dilation. *pads*
  stands for `pad`, `pads`, or `pad_t`, `pad_l`, `pad_b` and `pad_r` together.
- A difference is the largest difference divided by the largest value, over all cases and blobs. The limit is 1e-5.
- *none*: Caffe2 has no gradient for the operator.

| operator | arguments | cases | forward | gradient | notes |
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
                notes.append(f"compared with Caffe2's {case.stand_in}, which is equivalent")
            if case.differs:
                about = ", ".join(f"{key}={value}" for key, value in case.arguments.items() if key != "order")
                notes.append(f"gradient not compared with {about}: {case.differs}")
        arguments = " ".join(_arguments(REGISTRY[operator].arguments))
        figures = [figure(forward), figure(gradient) if has_gradient else "none"] if names else ["-", "-"]
        found.append([f"`{operator}`", arguments, str(len(names)), *figures, "; ".join(dict.fromkeys(notes))])
    return found


def _arguments(names: frozenset[str]) -> list[str]:
    """Sorted; the arguments of a window or its padding are replaced by one word, which the page explains."""
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
