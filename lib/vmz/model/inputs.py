"""Whether what a VideoModel is called with is what its network takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vmz.errors import UsageError
from vmz.model.nets import PARTS, shape_text

_AUTOCAST_BY_DEVICE = hasattr(getattr(torch, "amp", None), "is_autocast_available")  # PyTorch 2.4


def check_inputs(given: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> None:
    """UsageError for {blob: tensor} that are not those of one or more clips. wanted: {blob: shape of one clip}.

    dtype: of the model's weights.
    """
    for blob, shape in wanted.items():
        part, tensor = PARTS[blob], given.get(blob)
        takes = f"this model takes a tensor {shape_text(blob, shape)}"
        if tensor is None:
            raise UsageError(f"the {part} of the clips are not given; {takes}: call it with (clips, {part})")
        if not isinstance(tensor, Tensor):
            an_array = isinstance(tensor, np.ndarray)
            kind = "a NumPy array; torch.from_numpy makes a tensor of it" if an_array else "no tensor"
            raise UsageError(f"the {part} are {kind}; {takes}")
        if tuple(tensor.shape[1:]) != shape or not tensor.dim() or tensor.shape[0] == 0:
            raise UsageError(f"the {part} are {tuple(tensor.shape)}, but {takes}")
        if not tensor.is_floating_point():
            raise UsageError(
                f"the {part} are {tensor.dtype}, but this model takes normalised floating point; use model.transform"
            )
        if tensor.dtype != dtype and not _is_autocast(tensor.device.type):
            raise UsageError(
                f"the {part} are {tensor.dtype}, but the model's weights are {dtype}; use {part}.to({dtype})"
            )
    other = next((blob for blob in given if blob not in wanted), None)
    if other is not None:
        raise UsageError(f"{PARTS[other]} are given, but this model takes none")
    for blob in wanted:
        if blob != "data" and given[blob].shape[0] != given["data"].shape[0]:
            raise UsageError(f"there are {len(given['data'])} clips and {len(given[blob])} {PARTS[blob]} of clips")


def _is_autocast(device: str) -> bool:
    if _AUTOCAST_BY_DEVICE:
        return torch.is_autocast_enabled(device)
    return torch.is_autocast_cpu_enabled() if device == "cpu" else torch.is_autocast_enabled()
