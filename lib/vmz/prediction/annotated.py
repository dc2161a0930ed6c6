"""--annotate: a copy of a video that shows the class and its score on its frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import av
import numpy as np

from vmz.errors import UsageError, VmzError
from vmz.extras import require
from vmz.files import atomic_write
from vmz.model.prediction import top_classes
from vmz.prediction.pictures import heated
from vmz.results.prediction import Prediction
from vmz.text import printable
from vmz.video import sampling
from vmz.video.arguments import VideoInputArgs
from vmz.video.frames.decoding import DecodingError, Video
from vmz.video.frames.shown_times import ShownTimes

LINES = 3  # classes on a frame
RATE = 25.0  # frames a second of a video that states none
SMALLEST_LETTER = 7  # pixels of its height
LETTER_SHARE = 22  # a letter's height is this part of the frame's height


def annotated_path(folder: str, video: str) -> str:
    """The file of a video in the folder of --annotate."""
    return os.path.join(folder, f"{Path(video).stem}.mp4")


def check_annotation(folder: str) -> None:
    """Make the folder. Raises UsageError where it cannot be made, and where Pillow, which draws letters, is missing."""
    require("PIL", "annotate", "--annotate")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--annotate={folder} cannot be used as a folder: {error.strerror}") from error


@dataclass(frozen=True)
class Heat:
    """Where the network looked, clip by clip: uint8 (T, H / SHRINK, W / SHRINK) of the middle crop of each.

    arguments: of the reader, which say where the crop lies in a frame.
    """

    SHRINK = 4

    maps: Sequence[np.ndarray]
    arguments: VideoInputArgs

    def on(self, pixels: np.ndarray, clip: int, place: float) -> np.ndarray:
        """A frame with the heat of a clip; place: where in the clip it lies, from 0 to 1."""
        frames = self.maps[clip]
        found = frames[min(len(frames) - 1, int(place * len(frames)))]
        height, width = pixels.shape[:2]
        size = sampling.output_size(self.arguments, width, height, self.arguments.short_edge)
        offsets = sampling.crop_offsets(*size, self.arguments.crop_size, self.arguments.crop_per_clip)
        top, left = offsets[len(offsets) // 2]
        side = self.arguments.crop_size
        rows = slice(round(top / size[1] * height), round((top + side) / size[1] * height))
        columns = slice(round(left / size[0] * width), round((left + side) / size[0] * width))
        part = pixels[rows, columns]
        down = np.arange(part.shape[0]) * found.shape[0] // part.shape[0]
        across = np.arange(part.shape[1]) * found.shape[1] // part.shape[1]
        shown = pixels.copy()
        shown[rows, columns] = heated(part, found[down][:, across].astype(np.float32) / 255)
        return shown


def annotate(
    source: str, prediction: Prediction, target: str, labels: Optional[Sequence[str]], heat: Optional[Heat] = None
) -> None:
    """Write `target`, an .mp4 (H.264, no sound): the first line of a frame is of the video, the others of its clip.

    A clip counts from its first frame until the next one begins; heat is on the frames between its first and its last.
    Raises VmzError where the video cannot be read or the file cannot be written.
    """
    try:
        with atomic_write(target) as stream, av.open(stream, "w", format="mp4") as out, Video(source) as video:
            _encode(out, video, _frames(video, prediction, labels, heat))
    except DecodingError as error:
        raise VmzError(f"{printable(source)}: {error}") from error


def _encode(out: Any, video: Video, frames: Iterator[np.ndarray]) -> None:
    rate = Fraction(video.rate or RATE).limit_denominator(1001)
    stream: Any = None
    for pixels in frames:
        height, width = (side // 2 * 2 for side in pixels.shape[:2])
        if stream is None:
            stream = out.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), "rgb24")
        out.mux(stream.encode(frame))
    if stream is not None:
        out.mux(stream.encode(None))


def _frames(
    video: Video, prediction: Prediction, labels: Optional[Sequence[str]], heat: Optional[Heat]
) -> Iterator[np.ndarray]:
    shown = ShownTimes(video.time_base, video.rate, video.times_may_restart)
    spans = [clip.span for clip in prediction.clips if clip.span is not None]
    head = f"{prediction.top[0]}  {100 * prediction.top[0].score:.0f} %"
    clip, lines = -1, [head]
    for frame, timestamp in video.read():
        try:
            time = float(shown.next(timestamp))
        except ValueError:  # no times: there are no spans either
            time = 0.0
        while clip + 1 < len(spans) and spans[clip + 1][0] <= time:
            clip += 1
            now = top_classes(prediction.clips[clip].scores, labels, LINES)
            lines = [head, *(f"{one}  {100 * one.score:.0f} %" for one in now)]
        pixels = frame.to_ndarray(format="rgb24")
        if heat is not None and clip >= 0 and time <= spans[clip][1]:
            first, last = spans[clip]
            pixels = heat.on(pixels, clip, (time - first) / max(last - first, 1e-9))
        yield _with_letters(pixels, lines)


def _with_letters(pixels: np.ndarray, lines: list[str]) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    height = max(10, pixels.shape[0] // LETTER_SHARE)
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture, "RGBA")
    font: Any = ImageFont.load_default(size=height)
    widest = max(draw.textlength(line, font=font) for line in lines)
    room = pixels.shape[1] - height
    if widest > room:  # a narrow video, or a class of a long name
        height = max(SMALLEST_LETTER, int(height * room / widest))
        font = ImageFont.load_default(size=height)
        widest = max(draw.textlength(line, font=font) for line in lines)
    margin, step = height // 2, round(1.35 * height)
    draw.rectangle((0, 0, widest + 2 * margin, step * len(lines) + margin), fill=(0, 0, 0, 150))
    for number, line in enumerate(lines):
        draw.text((margin, margin // 2 + number * step), line, font=font, fill="white" if number else "#ffd27a")
    return np.asarray(picture)
