"""Cases in the PyTorch engine, and how far its numbers are from real Caffe2's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from tests.operators.caffe2_runs import Numbers
from tests.operators.case import Case
from vmz.engines.torch_engine.graph.importer import import_net, input_blobs


def run_in_torch(case: Case, expected: Numbers) -> Numbers:
    """The outputs that Caffe2 wrote, and the gradients that it has."""
    feeds = case.feeds()
    module = import_net(case.net(), outputs=[f"{blob}@0" for blob in expected.outputs])
    tensors = {blob: torch.from_numpy(np.array(feeds[blob])) for blob in input_blobs(module)}
    for blob in expected.gradients:
        tensors[blob].requires_grad_(True)
    found = {name.partition("@")[0]: value for name, value in module(*tensors.values()).items()}
    outputs = {blob: value.detach().numpy() for blob, value in found.items()}
    wanted = [blob for blob in case.differentiated if blob in found and found[blob].requires_grad]
    if not expected.gradients or not wanted:
        return Numbers(outputs, {})
    behind = [torch.from_numpy(np.array(case.weight(blob, tuple(found[blob].shape)))) for blob in wanted]
    leaves = [tensors[blob] for blob in expected.gradients]
    gradients = torch.autograd.grad([found[blob] for blob in wanted], leaves, behind, allow_unused=True)
    zeros = [torch.zeros_like(leaf) if value is None else value for leaf, value in zip(leaves, gradients)]
    return Numbers(outputs, {blob: value.numpy() for blob, value in zip(expected.gradients, zeros)})


def difference(expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> float:
    """The largest difference over the largest value, of all blobs; infinite where a shape, type or NaN differs."""
    worst = 0.0
    for blob, array in expected.items():
        other = found.get(blob)
        if other is None or other.shape != array.shape or other.dtype != array.dtype:
            return float("inf")
        wide, narrow = array.astype(np.float64), other.astype(np.float64)
        if not np.array_equal(np.isfinite(wide), np.isfinite(narrow)):
            return float("inf")
        finite = np.isfinite(wide)
        if not np.array_equal(wide[~finite], narrow[~finite], equal_nan=True):
            return float("inf")
        if finite.any():
            largest = max(float(np.abs(wide[finite]).max()), 1e-12)
            worst = max(worst, float(np.abs(wide[finite] - narrow[finite]).max()) / largest)
    return worst
