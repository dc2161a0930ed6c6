"""Labels that a loss takes as class numbers: they are checked on the host, before a GPU sees them.

A GPU would report a wrong one late, as a fault of some other operator, and then work no more in that process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vmz.errors import LabelError


def label_classes(net: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """{label blob: how many classes there are} of the net's SoftmaxWithLoss operators behind an FC.

    shapes: of the net's parameters, by full name.
    """
    found: dict[str, int] = {}
    writers: dict[str, Any] = {}
    for op in net.op:
        if op.type == "SoftmaxWithLoss" and len(op.input) > 1:
            writer = writers.get(op.input[0])
            if writer is not None and writer.type == "FC" and writer.input[1] in shapes:
                found[op.input[1]] = int(shapes[writer.input[1]][0])
        writers.update(dict.fromkeys(op.output, op))
    return found


def losses(net: Any) -> set[str]:
    """The blobs that such a loss goes into: all others, the scores too, are the same whatever the labels are."""
    found: set[str] = set()
    for op in net.op:
        if op.type == "SoftmaxWithLoss":
            found.update(op.output[1:])
        elif found.intersection(op.input):
            found.update(op.output)
    return found


def check_labels(labels: np.ndarray, classes: int) -> None:
    """Raise LabelError for a label that is none of the classes. classes: 0 for any."""
    numbers = np.asarray(labels)
    wrong = numbers[(numbers < 0) | (numbers >= classes)] if classes else numbers[:0]
    if wrong.size:
        raise LabelError(
            f"label {int(wrong.flat[0])} is not one of the {classes} classes, 0 to {classes - 1}; "
            "check that the labels belong to this data set"
        )
