"""Weights from the blobs' names alone: the same on every engine and machine, to compare what they compute."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np

from vmz.netdef.blob_names import unscoped


def seeded_weights(shapes: Iterable[tuple[str, tuple[int, ...]]], seed: int = 0) -> dict[str, np.ndarray]:
    """{name without scope: float32 array} for [(blob, shape)], of a scale that keeps activations in range.

    Convolutions are normal with variance 2 / fan-in, batch norms have statistics away from 0 and 1, so that every term
    of them counts. Seed 0 is the rule that the golden scores were recorded with.
    """
    named = {unscoped(blob): tuple(shape) for blob, shape in shapes}
    return {name: _array(name, shape, f"{name[:-2]}_s" in named, seed) for name, shape in named.items()}


def _array(name: str, shape: tuple[int, ...], of_batch_norm: bool, seed: int) -> np.ndarray:
    random = np.random.RandomState((zlib.crc32(name.encode()) + seed) & 0x7FFFFFFF)
    if name.endswith("_rm"):
        array = 0.1 * random.randn(*shape)
    elif name.endswith("_riv"):
        array = 0.5 + random.rand(*shape)
    elif name.endswith("_s"):
        array = 0.6 * (1 + 0.1 * random.randn(*shape))
    elif name.endswith("_b"):
        array = (0.1 if of_batch_norm else 0.01) * random.randn(*shape)
    elif name.endswith("_w"):
        array = random.randn(*shape) * np.sqrt(2.0 / np.prod(shape[1:]))
    else:
        raise ValueError(f"no rule for a blob named {name}")
    return np.asarray(array).astype(np.float32)
