"""The random state that a checkpoint keeps: what else but the iteration decides which numbers a run draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vmz.errors import VmzError
from vmz.netdef.training_state import RANDOM_STATE

MOST_THREADS = (1 << 16) - 1


class RandomState(NamedTuple):
    """Seeds of dropout's masks and of the reader, and the threads on which a deterministic run gives the same bits."""

    masks: int
    reader: int
    threads: int

    def to_blob(self) -> np.ndarray:
        """uint8 (24,): the three as int64."""
        return np.array(self, np.int64).view(np.uint8)

    @classmethod
    def from_blob(cls, blob: np.ndarray) -> RandomState:
        """Of a to_blob(). VmzError for what is none."""
        array = np.asarray(blob)
        if array.dtype != np.uint8 or array.shape != (24,):
            raise VmzError(
                f"the state's blob {RANDOM_STATE} was not written by the PyTorch engine; resume with the engine "
                "that wrote it"
            )
        state = cls(*(int(number) for number in array.copy().view(np.int64)))
        if not 0 < state.threads <= MOST_THREADS:
            raise VmzError(f"the state's blob {RANDOM_STATE} is damaged: {state.threads} is not a number of threads")
        return state
