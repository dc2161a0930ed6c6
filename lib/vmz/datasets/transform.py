"""From the frames of a video to a clip, for those who decode videos themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vmz.errors import UsageError
from vmz.settings.model import ModelSettings
from vmz.video.views import HowMany, read_views


@dataclass(frozen=True)
class Transform:
    """Frames, uint8 (T, H, W, 3), to normalised clips, a float32 tensor (clips x crops, 3, length, crop, crop).

    A file gives other last bits than its decoded frames: the original scales from the codec's own pixels, and so do
    `predict` and `clips` with a path.
    """

    settings: ModelSettings
    views: HowMany = 1

    def __post_init__(self) -> None:
        if self.settings.hears:
            raise UsageError("frames have no sound, which this network takes; model.clips(video) reads both of a file")

    def __call__(self, frames: np.ndarray) -> Any:
        """Raises UsageError for what is no frames, VmzError for fewer than a clip takes."""
        import torch

        arguments = self.settings.reader_args()
        return torch.from_numpy(read_views(np.asarray(frames), arguments, self.views).clips)
