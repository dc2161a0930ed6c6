from __future__ import annotations

import numpy as np
import pytest

from vmz.engines.torch_engine.training.random_state import RandomState
from vmz.errors import VmzError


def test_the_random_state_there_and_back() -> None:
    state = RandomState(masks=3, reader=1 << 40, threads=2)
    blob = state.to_blob()
    assert blob.dtype == np.uint8 and blob.shape == (24,) and RandomState.from_blob(blob) == state
    with pytest.raises(VmzError, match="vmz_random_state was not written by the PyTorch engine"):
        RandomState.from_blob(blob[:16])
    with pytest.raises(VmzError, match="vmz_random_state was not written by the PyTorch engine"):
        RandomState.from_blob(blob.astype(np.int64))
    for threads in (0, -1, 1 << 16):
        with pytest.raises(VmzError, match=f"is damaged: {threads} is not a number of threads"):
            RandomState.from_blob(RandomState(3, 4, threads).to_blob())
