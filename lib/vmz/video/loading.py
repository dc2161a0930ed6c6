"""All frames of a video, as arrays, at their own size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Optional, Union

import numpy as np

from vmz.errors import UsageError, VideoError
from vmz.video.frames.decoding import DecodingError, Video
from vmz.video.views import named


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
