"""Clips as pictures that a person can look at: the frames of each in time, or its flow, and its log-mels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from vmz.extras import require
from vmz.files import atomic_write
from vmz.inspection.dump_clips import Dump
from vmz.netdef.video_outputs import CLIPS, FLOW, LOGMELS
from vmz.video.frames import flow
from vmz.video.frames.scaling import to_pixels

PAGE_ROWS, PAGES = 25, 40  # clips of a picture, and pictures of a sheet: --output has all clips
SHEET_FRAMES, SHEET_PIXELS = 16, 112  # at most so many frames a clip, and pixels a frame's side
LOUD = 25.0  # log-mels of loud sound: white; 0, silence, is black
_LOGMEL_SIZE = (200, 80)
_CAPTION_PIXELS, _CAPTION_LETTERS, _GAP = 150, 24, 2


class _Layout(NamedTuple):
    """frames: which of a clip are shown, none without pictures. size: of each, (width, height). sound: log-mels too."""

    frames: np.ndarray
    size: tuple[int, int]
    sound: bool

    @property
    def row_height(self) -> int:
        heights = [48, self.size[1] if len(self.frames) else 0, _LOGMEL_SIZE[1] if self.sound else 0]
        return max(heights) + _GAP

    @property
    def width(self) -> int:
        return self.left_of(len(self.frames)) + (_LOGMEL_SIZE[0] + _GAP if self.sound else 0)

    def left_of(self, place: int) -> int:
        """Where frame number `place` begins, and after the last one the log-mels."""
        return _CAPTION_PIXELS + place * (self.size[0] + _GAP)


def sheet_paths(path: Union[str, Path], clips: int) -> list[Path]:
    """The files of a sheet of so many clips: `path` itself, then clips_2.png, clips_3.png after a clips.png."""
    first = Path(path)
    pages = min(PAGES, max(1, -(-clips // PAGE_ROWS)))
    return [first, *(first.with_name(f"{first.stem}_{page}{first.suffix}") for page in range(2, pages + 1))]


def write_contact_sheet(dump: Dump, path: Union[str, Path]) -> list[Path]:
    """PNGs with a row a clip: what it is, its frames in time in the colours of the video, or its flow, its log-mels.

    The files that were written: PAGE_ROWS clips are in each. Raises UsageError without Pillow.
    """
    require("PIL", "annotate", "--contact_sheet")
    clips = len(dump.arrays["key"])
    paths = sheet_paths(path, clips)
    for page, target in enumerate(paths):
        _write_page(dump, range(page * PAGE_ROWS, min(clips, (page + 1) * PAGE_ROWS)), target)
    return paths


def _write_page(dump: Dump, rows: range, path: Path) -> None:
    from PIL import Image, ImageDraw

    layout = _layout(dump)
    sheet = Image.new("RGB", (layout.width, len(rows) * layout.row_height), "white")
    draw = ImageDraw.Draw(sheet)
    for place_of_row, row in enumerate(rows):
        top = place_of_row * layout.row_height
        draw.multiline_text((4, top + 2), _caption(dump, row, layout.frames), fill="black")
        for place, frame in enumerate(_frames(dump, row, layout.frames)):
            picture = Image.fromarray(np.ascontiguousarray(frame)).resize(layout.size, Image.Resampling.BILINEAR)
            sheet.paste(picture, (layout.left_of(place), top))
        if layout.sound:
            heard = Image.fromarray(logmels_to_pixels(dump.arrays[LOGMELS][row, 0]))
            heard = heard.resize(_LOGMEL_SIZE, Image.Resampling.NEAREST)
            sheet.paste(heard, (layout.left_of(len(layout.frames)), top))
    with atomic_write(path, "wb") as stream:
        sheet.save(stream, format="PNG")


def _seen(dump: Dump) -> Optional[str]:
    """The array of the pictures, None where there is sound alone."""
    return next((name for name in (CLIPS, FLOW) if name in dump.arrays), None)


def _layout(dump: Dump) -> _Layout:
    seen, sound = _seen(dump), LOGMELS in dump.arrays
    if seen is None:
        return _Layout(np.empty(0, int), (0, 0), sound)
    length, height, width = dump.arrays[seen].shape[2:]
    shown = np.unique(np.linspace(0, length - 1, min(length, SHEET_FRAMES)).round().astype(int))
    shrink = min(1.0, SHEET_PIXELS / max(height, width))
    return _Layout(shown, (max(1, round(width * shrink)), max(1, round(height * shrink))), sound)


def _frames(dump: Dump, row: int, shown: np.ndarray) -> Any:
    """uint8 (frames, height, width, 3)."""
    seen = _seen(dump)
    if seen is None:
        return ()
    clip = dump.arrays[seen][row][:, shown]
    return (to_pixels(clip) if seen == CLIPS else flow_to_pixels(clip)).transpose(1, 2, 3, 0)


def flow_to_pixels(clip: np.ndarray) -> np.ndarray:
    """uint8 R, G, B that show normalised flow (2 or more, ...): more red to the right, more green downwards.

    A pixel of motion is 12 levels, none is gray.
    """
    shape = (2,) + (1,) * (clip.ndim - 1)
    motion = clip[:2] * flow.STD[:2].reshape(shape) + flow.MEAN[:2].reshape(shape)
    levels = np.clip(np.rint(128 + 12 * motion), 0, 255)
    return np.concatenate([levels, np.full_like(levels[:1], 128)]).astype(np.uint8)


def logmels_to_pixels(maps: np.ndarray) -> np.ndarray:
    """uint8 gray (filters, rows) of log-mels (rows, filters): time to the right, low tones at the bottom."""
    return np.ascontiguousarray(np.clip(np.rint(maps.T[::-1] * (255 / LOUD)), 0, 255).astype(np.uint8))


def _caption(dump: Dump, row: int, shown: np.ndarray) -> str:
    arrays, seen = dump.arrays, _seen(dump)
    label = arrays["label"][row]
    labels = label if label.ndim == 0 else ", ".join(map(str, np.flatnonzero(label)))
    lines = [f"record {arrays['key'][row]}, clip {row % dump.rows}", f"label {labels}"]
    if "path" in arrays:
        lines.insert(1, os.path.basename(arrays["path"][row])[:_CAPTION_LETTERS])
    if "video_id" in arrays:
        lines.append(f"id {arrays['video_id'][row]}")
    if "start_frame" in arrays:
        lines.append(f"start frame {arrays['start_frame'][row]}")
    if seen is not None and len(shown) < arrays[seen].shape[2]:
        lines.append(f"{len(shown)} of {arrays[seen].shape[2]} {'frames' if seen == CLIPS else 'flows'}")
    if LOGMELS in arrays and not arrays[LOGMELS][row].any():
        lines.append("silent")
    return "\n".join(lines)
