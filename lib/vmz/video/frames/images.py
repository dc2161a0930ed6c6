"""Images in place of videos (image_as_input): decoded by FFmpeg too, so that both engines see the same pixels."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from vmz.video.frames.decoding import DecodingError, Source, Video
from vmz.video.frames.opencv import opencv
from vmz.video.frames.opened import read_bytes
from vmz.video.frames.scaling import Scaler
from vmz.video.frames.watch import Watch


def read_image(source: Source, width: int, height: int, watch: Optional[Watch] = None) -> np.ndarray:
    """uint8 RGB (height, width, 3) of an image, resized by area. Orientation tags are ignored, as they are in videos.

    Raises DecodingError with the reason for what is no image, or a damaged one.
    """
    content = read_bytes(source)
    with Video(content, watch) as image:
        if not image.format.endswith("_pipe"):  # png_pipe, jpeg_pipe and so on
            raise DecodingError("it contains a video, not an image; set image_as_input=0")
        frame = next((frame for frame, _ in image.read()), None)
        if frame is None or (image.format == "jpeg_pipe" and _is_cut_off(content)):
            raise DecodingError(f"the image cannot be decoded ({image.ended_by or 'it is truncated'})")
        cv2 = opencv()
        return np.asarray(cv2.resize(_rgb(frame), (width, height), interpolation=cv2.INTER_AREA))


def _is_cut_off(jpeg: bytes) -> bool:
    """Whether the end marker is missing behind the last scan: FFmpeg paints the rest of the picture gray."""
    return jpeg.rfind(b"\xff\xd9") < jpeg.rfind(b"\xff\xda")


def _rgb(frame: Any) -> np.ndarray:
    """uint8 RGB (height, width, 3) of an av.VideoFrame, in its own size.

    The colours of a JPEG are interpolated as libjpeg, which the original uses, does it, within a level or two;
    libswscale has no such filter. What is RGB or gray in the file stays as it is.
    """
    if not frame.format.name.startswith("yuvj"):
        return Scaler(frame.width, frame.height, "bilinear+accurate_rnd+full_chroma_int").convert(frame)
    cv2 = opencv()
    luma, blue, red = (
        np.ndarray((plane.height, plane.width), np.uint8, plane, strides=(plane.line_size, 1)) for plane in frame.planes
    )
    down, across = (-(-whole // part) for whole, part in zip(luma.shape, red.shape))
    if (down, across) != (1, 1):
        red, blue = (
            cv2.resize(plane, None, fx=across, fy=down, interpolation=cv2.INTER_LINEAR)[
                : luma.shape[0], : luma.shape[1]
            ]
            for plane in (red, blue)
        )
    return np.asarray(cv2.cvtColor(cv2.merge([luma, red, blue]), cv2.COLOR_YCrCb2RGB))
