"""What the numbers of a checkpoint must be: finite, a variance not negative. Every way to load weights passes here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Union

import numpy as np

from vmz.errors import VmzError
from vmz.text import counted, cut, printable

VARIANCE = "_riv"  # Caffe2's name of a batch norm's running variance ends so
LARGEST = float(np.finfo(np.float32).max)  # networks compute in float32
AT_A_TIME = 1 << 22  # values
NAMED_AT_MOST = 4


def check_values(path: Union[str, Path], blobs: Mapping[str, np.ndarray]) -> None:
    """Refuse NaN, infinities, values beyond float32 and negative running variances. blobs: {name: array}.

    Raises VmzError that names the file, the blobs and how many values of each are wrong: a network with one of them
    scores all videos alike, or as not-a-number.
    """
    wrong = [f"{cut(printable(name))} {said}" for name, array in blobs.items() if (said := _wrong(name, array))]
    if wrong:
        more = f" and {len(wrong) - NAMED_AT_MOST} more blobs" if len(wrong) > NAMED_AT_MOST else ""
        raise VmzError(
            f"{path} contains weights that no network can use: {', '.join(wrong[:NAMED_AT_MOST])}{more}; the training "
            "that wrote it has diverged, or the file is damaged: use an earlier checkpoint, or copy it again"
        )


def _wrong(name: str, array: np.ndarray) -> str:
    """What is wrong with a blob, in words; "" where nothing is."""
    nan = infinite = negative = 0
    values = array.reshape(-1)
    for start in range(0, values.size, AT_A_TIME):
        part = values[start : start + AT_A_TIME]
        if part.dtype.kind == "f":
            nan += int(np.isnan(part).sum())
            with np.errstate(invalid="ignore"):
                beyond = np.abs(part) > LARGEST if part.dtype.itemsize > 4 else np.isinf(part)
            infinite += int(beyond.sum())
        if name.endswith(VARIANCE) and part.dtype.kind in "if":
            with np.errstate(invalid="ignore"):
                negative += int((part < 0).sum())
    counts = {"NaN": nan, "infinite or beyond float32": infinite, "negative, as a variance": negative}
    found = [f"{count} {what}" for what, count in counts.items() if count]
    return f"({', '.join(found)}, of {counted(values.size, 'value')})" if found else ""
