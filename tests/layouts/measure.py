"""Measure the table of docs/guide/other_libraries.md: `python -m tests.layouts.measure [CASE ...]`.

Of each case of test_conversion, with clips of 8 frames: the largest difference of a logit in float32 and in float64, as
a share of the logits' scale (the largest logit), and what it is where the module's batch norms keep eps 1e-5.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

import vmz
from tests.layouts.modules import randomised
from tests.layouts.test_conversion import CASES, LONG_FRAMES, as_arrays, clip
from vmz.layouts.recognition import config_of
from vmz.model.module import VideoModel
from vmz.models.config import ModelConfig


def measure(case: str) -> str:
    _, _, count, make = CASES[case]
    module = randomised(make(), eps=1e-3)
    blobs = vmz.convert_from(as_arrays(module), eps=1e-3).tensors
    told = config_of(blobs)
    assert told is not None
    ours = VideoModel(ModelConfig(told.model_name, told.model_depth, told.num_labels, clip_length=LONG_FRAMES), blobs)
    single = _difference(ours.float(), module.float(), torch.float32)
    double = _difference(ours.double(), module.double(), torch.float64)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm3d):
            part.eps = 1e-5
    forgotten = _difference(ours, module, torch.float64)
    return f"{case:<28} {count:>4} {single:9.1e} {double:9.1e} {forgotten:9.1e}"


def _difference(ours: nn.Module, theirs: nn.Module, dtype: torch.dtype) -> float:
    clips = clip(LONG_FRAMES).to(dtype)
    with torch.no_grad():
        expected = theirs(clips)
        return float((ours(clips) - expected).abs().max() / expected.abs().max())


if __name__ == "__main__":
    print(f"{'case':<28} {'tensors':>4} {'float32':>7} {'float64':>9} {'eps 1e-5':>9}")
    for name in sys.argv[1:] or CASES:
        print(measure(name), flush=True)
