"""A video as a small clip for a page: some of its frames side by side in one JPEG, which the page plays.

Made with the FFmpeg that decodes the videos: no other package. A strip plays in every browser, also without script, and
stops where a person stops it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Optional

import av
import numpy as np

from vmz.video.frames.decoding import DecodingError, SeekError, Source, Video
from vmz.video.frames.watch import Watch, watched

FRAMES = 10  # of a strip, from the middles of as many equal parts of the video
SIDE = 176  # pixels of a frame's longer side
MOST_BYTES = 16 << 10  # of a strip: hundreds of them are a few MB
QUALITIES = (6, 9, 13, 19, 31)  # FFmpeg's quantiser, 2 is best and 31 worst: the first that is small enough
QUALITY = 7
READ_ON = 64  # frames that are decoded to get to the next one wanted, rather than sought
MAX_DECODED = 1500  # frames from the start of a video in which they cannot be sought


@dataclass(frozen=True)
class Strip:
    """jpeg: `frames` pictures of width x height pixels each, from left to right in time."""

    jpeg: bytes
    frames: int
    width: int
    height: int


def strip(source: Source) -> Optional[Strip]:
    """The strip of a video; None where no frame can be read. A video of fewer frames than FRAMES gives them all."""
    try:
        frames = watched(lambda watch: _frames(source, watch))
    except DecodingError:
        return None
    if not frames:
        return None
    return _side_by_side(frames)


def strip_of(frames: Iterable[np.ndarray]) -> Strip:
    """Of uint8 frames (height, width, 3), R, G, B, all of one size."""
    return _side_by_side([av.VideoFrame.from_ndarray(np.ascontiguousarray(one), format="rgb24") for one in frames])


def _side_by_side(frames: Sequence[Any]) -> Strip:
    shrink = min(1.0, SIDE / max(frames[0].width, frames[0].height))
    width, height = (max(2, round(shrink * side) // 2 * 2) for side in (frames[0].width, frames[0].height))
    sheet = np.concatenate(
        [frame.reformat(width=width, height=height, format="rgb24").to_ndarray() for frame in frames], axis=1
    )
    pictures = (jpeg(sheet, quality) for quality in QUALITIES)
    found = next(picture for quality, picture in zip(QUALITIES, pictures) if _is_small(picture, quality))
    return Strip(found, len(frames), width, height)


def _is_small(picture: bytes, quality: int) -> bool:
    return len(picture) <= MOST_BYTES or quality == QUALITIES[-1]


def _frames(source: Source, watch: Optional[Watch] = None) -> list[Any]:
    """Frames from the middles of FRAMES equal parts of the video, or as many as there are."""
    with Video(source, watch) as video:
        timeline = video.timeline()
        last = max(timeline.frames, 1)
        wanted = _middles(last)
        try:
            found = list(_sought(video, timeline, wanted))
        except SeekError:
            found = []
    if found:
        return found
    last = min(last, MAX_DECODED)
    early = set(_middles(last))
    with Video(source, watch) as video:
        return [frame for number, (frame, _) in zip(range(last), video.read()) if number in early]


def _middles(frames: int) -> list[int]:
    return sorted({frames * (2 * part + 1) // (2 * FRAMES) for part in range(FRAMES)})


def _sought(video: Video, timeline: Any, wanted: list[int]) -> Iterator[Any]:
    """Those of the wanted frames that can be read. Near ones are read on to, far ones are sought."""
    reading: Iterator[Any] = iter(())
    following: Optional[int] = None  # the number of the frame that `reading` gives next
    for number in wanted:
        if following is None or number - following > READ_ON:
            reading, following = video.read_from(timeline, number), number
        frame = None
        while following <= number:
            frame, following = next(reading, None), following + 1
        if frame is None:
            return
        yield frame


def jpeg(pixels: np.ndarray, quality: int = QUALITY) -> bytes:
    """uint8 (height, width, 3), R, G, B, as a JPEG; a last odd row or column is left out."""
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
    codec: Any = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuvj420p", Fraction(1, 25)
    codec.options = {"qmin": str(quality), "qmax": str(quality)}
    packets = [*codec.encode(frame.reformat(format="yuvj420p")), *codec.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
