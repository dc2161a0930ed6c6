"""The weights that the goldens were recorded with: made from the blobs' names, see golden/README.md, e2e."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from vmz.checkpoints.seeded import seeded_weights as generated_weights

__all__ = ["generated_weights", "weights_sha256"]


def weights_sha256(weights: Mapping[str, np.ndarray]) -> str:
    """The hash that the goldens give."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + str(tuple(weights[name].shape)).encode() + weights[name].tobytes())
    return digest.hexdigest()
