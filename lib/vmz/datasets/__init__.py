"""Data sets: lists of videos, class names, the databases made of them, and checks of what a database holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmz.datasets.video_dataset import VideoDataset

__all__ = ["VideoDataset"]


def __getattr__(name: str) -> Any:
    if name != "VideoDataset":
        raise AttributeError(f"module 'vmz.datasets' has no attribute {name!r}")
    from vmz.datasets.video_dataset import VideoDataset  # it imports PyTorch, which most tools here do without

    return VideoDataset
