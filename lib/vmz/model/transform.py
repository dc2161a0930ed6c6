"""From the frames of a video to a clip, for those who decode videos themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Optional, Union

import numpy as np

from vmz.errors import UsageError, VideoError
from vmz.model.settings import ModelSettings
from vmz.model.views import HowMany, named, read_views
from vmz.video.arguments import VideoInputArgs
from vmz.video.frames.decoding import DecodingError, Video


@dataclass(frozen=True)
class Transform:
    """Frames, uint8 (T, H, W, 3), to normalised clips, a float32 tensor (clips x crops, 3, length, crop, crop).

    A file gives other last bits than its decoded frames: the original scales from the codec's own pixels, and so do
    `predict` and `clips` with a path.
    """

    settings: ModelSettings
    views: HowMany = 1

    def __call__(self, frames: np.ndarray) -> Any:
        """Raises UsageError for what is no frames, VmzError for fewer than a clip takes."""
        import torch

        arguments = VideoInputArgs.from_mapping(self.settings.reader_arguments())
        return torch.from_numpy(read_views(np.asarray(frames), arguments, self.views).clips)


def load_video(video: Union[str, bytes], start: int = 0, frames: Optional[int] = None) -> np.ndarray:
    """The frames of a video, uint8 (T, H, W, 3), RGB, at their own size.

    start: number of the first frame; frames: how many at most, by default all. Raises VideoError, naming it, for
    one that cannot be read or has none from there on.
    """
    if start < 0 or (frames is not None and frames < 1):
        raise UsageError(f"start={start} must not be negative, and frames={frames} must be at least 1")
    try:
        with Video(video) as found:
            stop = None if frames is None else start + frames
            taken = list(_arrays(islice(found.read(), start, stop)))
    except DecodingError as error:
        raise VideoError(f"{named(video)}: {error}") from error
    if not taken:
        raise VideoError(f"{named(video)} has no frame from number {start} on")
    return np.stack(taken)


def _arrays(frames: Iterator[tuple[Any, Optional[int]]]) -> Iterator[np.ndarray]:
    for frame, _ in frames:
        yield frame.to_ndarray(format="rgb24")
