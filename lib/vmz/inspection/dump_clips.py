"""What the network would see and hear: clips as the reader gives them, to an .npz file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import numpy as np

from vmz.engines.net_reader import NetReader, open_reader
from vmz.file_formats.json_files import parse_json
from vmz.files import atomic_write
from vmz.netdef.net_parts import AV_INPUT, VIDEO_INPUT
from vmz.netdef.video_outputs import ALL_OUTPUTS
from vmz.progress import Progress
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.fingerprint import fingerprint, refuse_remade
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.names import given_name
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound
from vmz.video.reader import Batch, ClipReader, EndOfData
from vmz.video.sound.arguments import reader_arguments


@dataclass
class Dump:
    """Batches put together. arrays: data float32 (N, 3, T, H, W), flow, logmels, label, key and path, as asked for and
    known.

    key, path: of each row's video. `rows` of them belong to each video.
    """

    rows: int = 1
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    skipped: list[BadVideo] = field(default_factory=list)
    ended_early: list[EndedEarly] = field(default_factory=list)
    without_sound: list[WithoutSound] = field(default_factory=list)


def override(arguments: dict[str, Any], text: str) -> dict[str, Any]:
    """`arguments` with those of a JSON object set on top. Raises UsageError when the text is no JSON object."""
    chosen = parse_json(text, "--args", dict, remedy="give a {argument of VideoInput: value}")
    return {**arguments, **chosen}


def read_clips(
    database: str, arguments: dict[str, Any], num_batches: int, engine: str = "pytorch", device: str = "cpu"
) -> Dump:
    """Read `num_batches` batches, starting over at the end of the database, or with 0 each video once.

    `arguments` are VideoInput's or AVInput's by their operator names. Raises what VideoInputArgs and ClipReader raise.
    """
    operator = AV_INPUT if arguments.get("get_logmels") else VIDEO_INPUT
    args = reader_arguments({**arguments, "wrap_around": int(num_batches > 0)}, operator)
    dump, found = Dump(args.rows), fingerprint(database)
    batches: list[Batch] = []
    with (
        open_reader(database, args, engine, device) as reader,
        Progress(_videos(database, args, num_batches), "videos", f"reading {given_name(database)}") as shown,
    ):
        for batch in _batches(reader, num_batches):
            batches.append(batch)
            shown.update(len(batch.keys))
        dump.skipped, dump.ended_early, dump.without_sound = reader.skipped, reader.ended_early, reader.without_sound
    for name in (output.name for output in ALL_OUTPUTS if not output.each_video):
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
