"""What the network would see: clips as the reader gives them, to an .npz file and to a sheet a person can look at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import numpy as np

from vmz.engines.net_reader import NetReader, open_reader
from vmz.extras import require
from vmz.file_formats.json_files import parse_json
from vmz.files import atomic_write
from vmz.netdef.video_outputs import VIDEO_OUTPUTS
from vmz.progress import Progress
from vmz.video.arguments import VideoInputArgs
from vmz.video.database import VideoDatabase
from vmz.video.faults import BadVideo, EndedEarly
from vmz.video.fingerprint import fingerprint, refuse_remade
from vmz.video.frames import flow
from vmz.video.frames.scaling import to_pixels
from vmz.video.names import given_name
from vmz.video.reader import Batch, ClipReader, EndOfData

PAGE_ROWS, PAGES = 25, 40  # clips of a picture, and pictures of a sheet: --output has all clips
SHEET_FRAMES, SHEET_PIXELS = 16, 112  # at most so many frames a clip, and pixels a frame's side
_CAPTION_PIXELS, _CAPTION_LETTERS, _GAP = 150, 24, 2


@dataclass
class Dump:
    """Batches put together. arrays: data float32 (N, 3, T, H, W), flow, label, key and path, as asked for and known.

    key, path: of each row's video. `rows` of them belong to each video.
    """

    rows: int = 1
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    skipped: list[BadVideo] = field(default_factory=list)
    ended_early: list[EndedEarly] = field(default_factory=list)


def override(arguments: dict[str, Any], text: str) -> dict[str, Any]:
    """`arguments` with those of a JSON object set on top. Raises UsageError when the text is no JSON object."""
    chosen = parse_json(text, "--args", dict, remedy="give a {argument of VideoInput: value}")
    return {**arguments, **chosen}


def read_clips(
    database: str, arguments: dict[str, Any], num_batches: int, engine: str = "pytorch", device: str = "cpu"
) -> Dump:
    """Read `num_batches` batches, starting over at the end of the database, or with 0 each video once.

    `arguments` are VideoInput's by their operator names. Raises what VideoInputArgs and ClipReader raise.
    """
    args = VideoInputArgs.from_mapping({**arguments, "wrap_around": int(num_batches > 0)})
    dump, found = Dump(args.rows), fingerprint(database)
    batches: list[Batch] = []
    with (
        open_reader(database, args, engine, device) as reader,
        Progress(_videos(database, args, num_batches), "videos", f"reading {given_name(database)}") as shown,
    ):
        for batch in _batches(reader, num_batches):
            batches.append(batch)
            shown.update(len(batch.keys))
        dump.skipped, dump.ended_early = reader.skipped, reader.ended_early
    for name in (output.name for output in VIDEO_OUTPUTS if not output.each_video):
        parts = [part for part in (getattr(batch, name) for batch in batches) if part is not None]
        if parts:
            dump.arrays[name] = np.concatenate(parts)
    keys = [key for batch in batches for key in batch.keys]
    dump.arrays["key"] = np.repeat(keys, args.rows)
    with VideoDatabase(database) as records:
        paths = records.paths(keys, bool(args.use_local_file))
    refuse_remade(database, found)
    if any(paths):
        dump.arrays["path"] = np.repeat(paths, args.rows)
    return dump


def _videos(database: str, args: VideoInputArgs, num_batches: int) -> int:
    """How many videos will be read, those that are bad included."""
    if num_batches:
        return num_batches * args.batch_size
    with VideoDatabase(database) as records:
        return len(records)


def _batches(reader: Union[ClipReader, NetReader], num_batches: int) -> Iterator[Batch]:
    number = 0
    while not num_batches or number < num_batches:
        try:
            yield reader.next_batch()
        except EndOfData:
            return
        number += 1


def write_npz(dump: Dump, path: Union[str, Path]) -> None:
    """All arrays, uncompressed; the file is whole or not there."""
    with atomic_write(path, "wb") as stream:
        np.savez(stream, **dump.arrays)  # type: ignore[arg-type]


def sheet_paths(path: Union[str, Path], clips: int) -> list[Path]:
    """The files of a sheet of so many clips: `path` itself, then clips_2.png, clips_3.png after a clips.png."""
    first = Path(path)
    pages = min(PAGES, max(1, -(-clips // PAGE_ROWS)))
    return [first, *(first.with_name(f"{first.stem}_{page}{first.suffix}") for page in range(2, pages + 1))]


def write_contact_sheet(dump: Dump, path: Union[str, Path]) -> list[Path]:
    """PNGs with a row a clip: what it is, then its frames in time, in the colours of the video, or its flow.

    The files that were written: PAGE_ROWS clips are in each. Raises UsageError without Pillow.
    """
    require("PIL", "annotate", "--contact_sheet")
    clips = len(dump.arrays["data" if "data" in dump.arrays else "flow"])
    paths = sheet_paths(path, clips)
    for page, target in enumerate(paths):
        _write_page(dump, range(page * PAGE_ROWS, min(clips, (page + 1) * PAGE_ROWS)), target)
    return paths


def _write_page(dump: Dump, rows: range, path: Path) -> None:
    from PIL import Image, ImageDraw

    is_rgb = "data" in dump.arrays
    data = dump.arrays["data" if is_rgb else "flow"][rows.start : rows.stop]
    length, height, width = data.shape[2:]
    shown = np.unique(np.linspace(0, length - 1, min(length, SHEET_FRAMES)).round().astype(int))
    shrink = min(1.0, SHEET_PIXELS / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    row_height = max(size[1], 48) + _GAP
    sheet = Image.new("RGB", (_CAPTION_PIXELS + len(shown) * (size[0] + _GAP), len(data) * row_height), "white")
    draw = ImageDraw.Draw(sheet)
    for place_of_row, (row, clip) in enumerate(zip(rows, data)):
        top = place_of_row * row_height
        draw.multiline_text((4, top + 2), _caption(dump, row, shown), fill="black")
        pixels = to_pixels(clip[:, shown]) if is_rgb else flow_to_pixels(clip[:, shown])
        for place, frame in enumerate(pixels.transpose(1, 2, 3, 0)):
            picture = Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.BILINEAR)
            sheet.paste(picture, (_CAPTION_PIXELS + place * (size[0] + _GAP), top))
    with atomic_write(path, "wb") as stream:
        sheet.save(stream, format="PNG")


def flow_to_pixels(clip: np.ndarray) -> np.ndarray:
    """uint8 R, G, B that show normalised flow (2 or more, ...): more red to the right, more green downwards.

    A pixel of motion is 12 levels, none is gray.
    """
    shape = (2,) + (1,) * (clip.ndim - 1)
    motion = clip[:2] * flow.STD[:2].reshape(shape) + flow.MEAN[:2].reshape(shape)
    levels = np.clip(np.rint(128 + 12 * motion), 0, 255)
    return np.concatenate([levels, np.full_like(levels[:1], 128)]).astype(np.uint8)


def _caption(dump: Dump, row: int, shown: np.ndarray) -> str:
    arrays = dump.arrays
    label = arrays["label"][row]
    labels = label if label.ndim == 0 else ", ".join(map(str, np.flatnonzero(label)))
    lines = [f"record {arrays['key'][row]}, clip {row % dump.rows}", f"label {labels}"]
    if "path" in arrays:
        lines.insert(1, os.path.basename(arrays["path"][row])[:_CAPTION_LETTERS])
    if "video_id" in arrays:
        lines.append(f"id {arrays['video_id'][row]}")
    if "start_frame" in arrays:
        lines.append(f"start frame {arrays['start_frame'][row]}")
    length = arrays["data" if "data" in arrays else "flow"].shape[2]
    if len(shown) < length:
        lines.append(f"{len(shown)} of {length} {'frames' if 'data' in arrays else 'flows'}")
    return "\n".join(lines)
