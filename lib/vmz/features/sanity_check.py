"""The figures of --sanity_check: how well extracted scores agree with the labels beside them."""

from __future__ import annotations

from typing import Callable, Optional

import numpy as np

from vmz import metrics
from vmz.errors import VmzError
from vmz.features.formats.table import Table
from vmz.text import counted

SANITY = {1: ("clip accuracy",), 2: ("AUC", "mAP", "mWAP")}  # figures of --sanity_check, by the original's names


def sanity_figures(
    table: Table, check: int, named: Callable[[int], str] = "row {}".format
) -> Optional[dict[str, float]]:
    """The figures of --sanity_check over the clips, by the names of SANITY; None for 0.

    named: what an error calls the clip of a row. Raises VmzError for labels that the network cannot have.
    """
    if not check:
        return None
    if check == 1:
        return dict(zip(SANITY[1], [clip_accuracy(table, named)]))
    scores, labels = (
        np.concatenate([chunk.reshape(len(chunk), -1) for chunk in table.chunks(name)]) for name in ("prob", "label")
    )
    if labels.shape != scores.shape:
        raise VmzError(
            f"label has shape {labels.shape} and prob {scores.shape}; with --sanity_check=2 both have a column a class"
        )
    found = metrics.multi_label(scores, labels)
    return dict(zip(SANITY[2], (found.mauc, found.map, found.mwap)))


def clip_accuracy(table: Table, named: Callable[[int], str] = "row {}".format) -> float:
    """Share of clips whose label has the highest softmax. Raises VmzError for a label that is no class.

    named: what an error calls the clip of a row.
    """
    right = done = 0
    labels = np.concatenate(list(table.chunks("label")))
    for chunk in table.chunks("softmax"):
        scores = chunk.reshape(len(chunk), -1)
        own = labels[done : done + len(chunk)]
        if own.min() < 0 or own.max() >= scores.shape[1]:
            row = done + int(np.argmax((own < 0) | (own >= scores.shape[1])))
            raise VmzError(
                f"{named(row)} has label {labels[row]}, which is not one of the {counted(scores.shape[1], 'class')}; "
                f"check "
                "that the database belongs to the data set of the network"
            )
        right += int(metrics.in_top_k(scores, own, 1).sum())
        done += len(chunk)
    return right / done
