"""Which operators lose not-a-number: one value of an input is NaN, and no value of the outputs is.

Only values that the outputs depend on count. `python -m tests.operators.not_a_number` prints those of Caffe2's wheel
alone, one a line, in a process without our library.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.operators.case import Case
from tests.operators.table import CASES

Run = Callable[[Case, dict[str, np.ndarray]], list[np.ndarray]]  # the outputs for these inputs
PLACES = 12  # tried of each input, at random


def lose_it(run: Run) -> set[str]:
    """The types of operators."""
    return {case.type for case in CASES.values() if _loses(case, run)}


def _loses(case: Case, run: Run) -> bool:
    feeds = case.feeds()
    before = run(case, feeds)
    random = np.random.RandomState(0)
    for blob, array in feeds.items():
        if array.dtype.kind != "f" or case.type == "NanCheck":  # which raises
            continue
        for place in random.permutation(array.size)[:PLACES]:

            def outputs(value: float, blob: str = blob, place: int = place) -> list[np.ndarray]:
                changed = feeds[blob].copy()
                changed.flat[place] = value
                return run(case, {**feeds, blob: changed})

            if any(_differ(before, outputs(value)) for value in (1e4, -50.0, 0.3)) and not _has_nan(outputs(np.nan)):
                return True
    return False


def _differ(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    return any(a.shape != b.shape or a.tobytes() != b.tobytes() for a, b in zip(before, after))


def _has_nan(outputs: list[np.ndarray]) -> bool:
    return not outputs or any(array.dtype.kind == "f" and bool(np.isnan(array).any()) for array in outputs)


def in_caffe2(case: Case, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """A Run of real Caffe2. Nothing for inputs that it refuses."""
    from caffe2.python import workspace

    for blob, array in feeds.items():
        workspace.FeedBlob(blob, array)
    try:
        workspace.C.run_net_once(case.net(real=True).SerializeToString())
    except RuntimeError:
        return []
    return [np.array(workspace.FetchBlob(blob)) for blob in case.outputs if workspace.HasBlob(blob)]


if __name__ == "__main__":
    print("\n".join(sorted(lose_it(in_caffe2))))
