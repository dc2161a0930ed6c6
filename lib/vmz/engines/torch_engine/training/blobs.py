"""A network's blobs as tensors of the device, and as numpy arrays again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vmz.errors import VmzError


def laid_out(
    values: Mapping[str, Tensor], computed: Sequence[str], layout: torch.memory_format, device: torch.device
) -> tuple[dict[str, Tensor], Tensor]:
    """The values on the device, 5-D ones in `layout`; and one tensor of all `computed` ones, the running statistics.

    These are parts of it: one copy of it is enough to undo an iteration.
    """
    placed = {
        blob: value.to(device).contiguous(memory_format=layout if value.dim() == 5 else torch.contiguous_format)
        for blob, value in values.items()
    }
    sizes = [placed[blob].numel() for blob in computed]
    statistics = torch.cat([torch.empty(0, device=device), *(placed[blob].reshape(-1) for blob in computed)])
    for blob, part in zip(computed, statistics.split(sizes)):
        placed[blob] = part.view(placed[blob].shape)
    return placed, statistics


def check_shape(target: Tensor, name: str, array: np.ndarray) -> None:
    """VmzError where the array has not the shape of the network's blob `name`, the target."""
    if tuple(target.shape) != tuple(np.shape(array)):
        raise VmzError(f"blob {name} has shape {tuple(target.shape)} in the network, not {tuple(np.shape(array))}")


def put(target: Tensor, name: str, array: np.ndarray) -> None:
    """Set the network's blob `name` to the array's values, in place. VmzError for another shape."""
    check_shape(target, name, array)
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def array_of(tensor: Tensor) -> np.ndarray:
    """A copy of its values."""
    return tensor.detach().cpu().contiguous().numpy().copy()
