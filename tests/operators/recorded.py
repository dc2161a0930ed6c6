"""What real Caffe2 computed, in one small file, so that an environment without Caffe2 is held against it too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.operators.caffe2_runs import Numbers
from tests.operators.case import Case

FILE = Path(__file__).with_name("recorded.npz")


def write(numbers: Mapping[str, Numbers], cases: Mapping[str, Case], path: Path = FILE) -> None:
    """Write the numbers of all cases, each with what the case was."""
    index, content = {}, b""
    for name, found in numbers.items():
        parts: list[dict[str, list[object]]] = []
        for arrays in found:
            parts.append({blob: [array.dtype.str, array.shape] for blob, array in arrays.items()})
            content += b"".join(array.tobytes() for array in arrays.values())
        index[name] = [said(cases[name]), *parts]
    np.savez_compressed(
        path,
        index=np.frombuffer(json.dumps(index, separators=(",", ":")).encode(), np.uint8),
        content=np.frombuffer(content, np.uint8),
    )


def read(path: Path = FILE) -> dict[str, tuple[str, Numbers]]:
    """{case: (what it was, its numbers)}"""
    with np.load(path) as archive:
        index, content = json.loads(archive["index"].tobytes()), archive["content"].tobytes()
    found, place = {}, 0
    for name, (what, *parts) in index.items():
        arrays: list[dict[str, np.ndarray]] = []
        for part in parts:
            arrays.append({})
            for blob, (dtype, shape) in part.items():
                size = int(np.prod(shape))
                array = np.frombuffer(content, dtype, size, place).reshape(shape)
                place += array.nbytes
                arrays[-1][blob] = array
        found[name] = (what, Numbers(*arrays))
    return found


def said(case: Case) -> str:
    """All of a case but its number, as text."""
    arguments = ", ".join(f"{name}={value}" for name, value in sorted(case.arguments.items()))
    blobs = " ".join(f"{blob}:{how}" for blob, how in case.inputs.items())
    engine = f" {case.engine}" if case.engine else ""
    return f"{case.stand_in or case.type}{engine}({blobs} -> {' '.join(case.outputs)}; {arguments})"
