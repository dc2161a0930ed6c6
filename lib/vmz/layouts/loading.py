"""Checkpoints of any format and layout, by blob name: what every tool and `vmz.load_checkpoint` read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional, Union

from vmz.checkpoints import loading
from vmz.checkpoints.loading import Checkpoint
from vmz.layouts.conversion import convert_from
from vmz.layouts.recognition import is_foreign, plain_keys


def load(path: Union[str, Path], db_type: Optional[str] = None, eps: Optional[float] = None) -> Checkpoint:
    """Read a checkpoint: `vmz.checkpoints.loading.load`, with the names that VMZ has for another library's tensors.

    eps: of its batch norms, where neither the file nor the layout says it (see `convert_from`). Raises what both do.
    """
    found = loading.load(path, db_type)
    names = plain_keys(found.blobs)
    if not is_foreign(names):  # also of VideoModel's own state dict in a wrapper
        return replace(found, blobs=names)
    ours = convert_from(found, eps=eps)
    return replace(found, blobs=ours.tensors, about=ours.about)
