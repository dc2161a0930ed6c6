"""A few frames of a video as one small JPEG, made with the FFmpeg that decodes the videos: no other package."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Optional

import av
import numpy as np

from vmz.video.frames.decoding import DecodingError, SeekError, Source, Video
from vmz.video.frames.watch import Watch, watched

WIDTH = 320  # of the picture, in pixels; frames lie 2 x 2, portrait ones 4 in a row
FRAMES, GAP = 4, 2
QUALITY = 7  # FFmpeg's quantiser: 2 is best, 31 worst
MAX_DECODED = 1500  # frames from the start of a video in which they cannot be sought


def thumbnail(source: Source) -> Optional[bytes]:
    """A JPEG of four frames, evenly spaced, from left to right and top to bottom; None where none can be read."""
    try:
        frames = watched(lambda watch: _frames(source, watch))
    except DecodingError:
        return None
    if not frames:
        return None
    frames = (frames * FRAMES)[:FRAMES] if len(frames) == 1 else frames + [frames[-1]] * (FRAMES - len(frames))
    across = 2 if frames[0].width >= frames[0].height else 4
    width = (WIDTH - GAP * (across - 1)) // across // 2 * 2
    height = max(2, round(width * frames[0].height / frames[0].width) // 2 * 2)
    down = FRAMES // across
    sheet = np.zeros((down * (height + GAP) - GAP, across * (width + GAP) - GAP, 3), np.uint8)
    for place, frame in enumerate(frames):
        top, left = place // across * (height + GAP), place % across * (width + GAP)
        pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        sheet[top : top + height, left : left + width] = pixels
    return jpeg(sheet)


def _frames(source: Source, watch: Optional[Watch] = None) -> list[Any]:
    """Frames from the middles of four equal parts of the video, or as many as there are."""
    with Video(source, watch) as video:
        timeline = video.timeline()
        last = max(timeline.frames, 1)
        wanted = [last * (2 * part + 1) // (2 * FRAMES) for part in range(FRAMES)]
        try:
            found = [next(video.read_from(timeline, number), None) for number in wanted]
        except SeekError:
            found = []
    frames = [frame for frame in found if frame is not None]
    if frames:
        return frames
    last = min(last, MAX_DECODED)
    early = {last * (2 * part + 1) // (2 * FRAMES) for part in range(FRAMES)}
    with Video(source, watch) as video:
        return [frame for number, (frame, _) in zip(range(last), video.read()) if number in early]


def jpeg(pixels: np.ndarray) -> bytes:
    """uint8 (height, width, 3), R, G, B, as a JPEG; a last odd row or column is left out."""
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
    codec: Any = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuvj420p", Fraction(1, 25)
    codec.options = {"qmin": str(QUALITY), "qmax": str(QUALITY)}
    packets = [*codec.encode(frame.reformat(format="yuvj420p")), *codec.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
