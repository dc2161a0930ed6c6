"""The weights that the goldens were recorded with: made from the blobs' names, see golden/README.md, e2e."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping

import numpy as np


def generated_weights(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """{name without scope: float32 array} for [(blob, shape)]."""
    named = {blob.rpartition("/")[2]: tuple(shape) for blob, shape in shapes}
    return {name: _array(name, shape, f"{name[:-2]}_s" in named) for name, shape in named.items()}


def _array(name: str, shape: tuple[int, ...], of_batch_norm: bool) -> np.ndarray:
    random = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
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


def weights_sha256(weights: Mapping[str, np.ndarray]) -> str:
    """The hash that the goldens give."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + str(tuple(weights[name].shape)).encode() + weights[name].tobytes())
    return digest.hexdigest()
