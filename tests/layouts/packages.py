"""Modules of other libraries from their own packages, which requirements-dev.txt has."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch


def torchvision_video() -> Any:
    """torchvision.models.video; the test is skipped without it."""
    _define_operators()
    return pytest.importorskip("torchvision.models.video", exc_type=ImportError)


def pytorchvideo_csn() -> Any:
    """pytorchvideo.models.csn, which imports torchvision; the test is skipped without it."""
    torchvision_video()
    return pytest.importorskip("pytorchvideo.models.csn", exc_type=ImportError)


@functools.cache
def _define_operators() -> Any:
    """torchvision's compiled operators load only with the build of PyTorch that they were compiled for.

    That of the lock is for CUDA, and `make setup TORCH=cpu` is not. The video networks use none of them, but
    torchvision describes two when it is imported, and cannot be imported where they do not exist.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return None
    try:
        for path in Path(found.origin).parent.glob("_C*.so"):
            torch.ops.load_library(path)
            return None
    except OSError:
        pass
    library = torch.library.Library("torchvision", "DEF")  # as long as it is held
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
