"""From a CSV list of videos to an LMDB of them, as the original create_video_db.py makes it, with checks before."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np

from vmz.errors import UsageError, VmzError
from vmz.progress import progress
from vmz.video.database import DatabaseWriter
from vmz.video.faults import Origin
from vmz.video.records import Record

MAX_RECORD_BYTES = (1 << 31) - (1 << 16)  # protobuf messages end at 2 GB
_INT32, _INT64 = 31, 63  # value bits


@dataclass(frozen=True)
class ListedVideo:
    """A row of the list. `line` is its line in the file."""

    video: str
    labels: tuple[int, ...]
    start_frame: Optional[int]
    video_id: Optional[int]
    line: int


@dataclass(frozen=True)
class DatabaseOptions:
    """What is written. With use_list the records hold the videos' paths, else their bytes."""

    use_list: bool = False
    use_video_id: bool = False
    use_start_frame: bool = False
    num_epochs: int = 1
    shuffle: bool = True
    seed: int = 0

    def check(self) -> None:
        """UsageError for combinations that the original refuses too."""
        if self.num_epochs < 1:
            raise UsageError(f"--num_epochs={self.num_epochs} must be at least 1")
        if self.seed < 0 or self.seed >= 1 << 32:
            raise UsageError(f"--seed={self.seed} must be from 0 to {(1 << 32) - 1}")
        if self.num_epochs > 1 and not self.use_list:
            raise UsageError(
                f"--num_epochs={self.num_epochs} would store every video {self.num_epochs} times; it needs --use_list=1"
            )
        if self.use_start_frame and not self.use_list:
            raise UsageError("--use_start_frame=1 would store a video once per start frame; it needs --use_list=1")


def read_list(path: Union[str, Path], options: DatabaseOptions) -> list[ListedVideo]:
    """Rows of a CSV, as read_rows, of videos that all exist. Raises UsageError for one that does not too."""
    videos = read_rows(path, options)
    _check_files(path, videos)
    return videos


def read_rows(path: Union[str, Path], options: DatabaseOptions) -> list[ListedVideo]:
    """Rows of a CSV with the columns org_video and label, and start_frm and video_id where the options use them.

    Several labels stand in one field, parted by spaces or semicolons. Paths are relative to the working directory.
    Raises UsageError for a missing column, video or value, naming the line.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            _check_columns(path, [name.strip() for name in reader.fieldnames or []], options)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            videos = [_row(path, reader.line_num, row, options) for row in reader]
    except OSError as error:
        raise UsageError(f"cannot read the list {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the list {path} is not a CSV text file: {error}") from error
    if not videos:
        raise UsageError(f"the list {path} has no rows; give one row a video below the column names")
    return videos


def _check_columns(path: Union[str, Path], columns: Sequence[str], options: DatabaseOptions) -> None:
    wanted = {
        "org_video": "",
        "label": "",
        **({"start_frm": " (for --use_start_frame=1)"} if options.use_start_frame else {}),
        **({"video_id": " (for --use_video_id=1)"} if options.use_video_id else {}),
    }
    missing = [name + why for name, why in wanted.items() if name not in columns]
    if missing:
        raise UsageError(
            f"the list {path} has no column {', '.join(missing)}; its first line names {', '.join(columns)}"
        )


def _row(path: Union[str, Path], line: int, row: dict[str, str], options: DatabaseOptions) -> ListedVideo:
    where = f"line {line} of {path}"
    video = (row["org_video"] or "").strip()
    if not video:
        raise UsageError(f"{where} names no video in column org_video")
    labels = (row["label"] or "").replace(";", " ").replace(",", " ").split()
    if not labels:
        raise UsageError(f"{where} has no label; give an integer, or several parted by ';'")
    return ListedVideo(
        video=video,
        labels=tuple(_integer(where, "label", label, _INT32) for label in labels),
        start_frame=_integer(where, "start_frm", row["start_frm"], _INT32) if options.use_start_frame else None,
        video_id=_integer(where, "video_id", row["video_id"], _INT64) if options.use_video_id else None,
        line=line,
    )


def _integer(where: str, column: str, text: Optional[str], bits: int) -> int:
    try:
        value = int(text or "")
    except ValueError as error:
        raise UsageError(f"{where} has {column} {text or ''!r}, which must be an integer") from error
    if not -(1 << bits) <= value < 1 << bits:
        raise UsageError(f"{where} has {column} {value}, which does not fit in {bits + 1} bits")
    return value


def _check_files(path: Union[str, Path], videos: Sequence[ListedVideo]) -> None:
    missing = [video for video in videos if not os.path.isfile(video.video)]
    if missing:
        raise UsageError(
            f"{len(missing)} of the {len(videos)} videos of {path} cannot be found: first {missing[0].video} "
            f"(line {missing[0].line}); paths are relative to the working directory {os.getcwd()}"
        )


def write_database(
    videos: Sequence[ListedVideo],
    output: Union[str, Path],
    options: DatabaseOptions,
    list_file: Union[str, Path, None] = None,
) -> tuple[int, int]:
    """Write the records, numbered from 0 in the order drawn; returns (records, bytes of their values).

    list_file: the list that the videos are from, kept with their lines beside the records (see vmz.video.names).
    The same seed gives the order that the original gives after numpy.random.seed(seed). UsageError when `output`
    exists; nothing is left there when writing fails or is interrupted.
    """
    options.check()
    with DatabaseWriter(output) as writer:
        order = progress(
            list(_order(len(videos), options)), len(videos) * options.num_epochs, "videos", f"writing {output}"
        )
        for number, index in enumerate(order):
            video = videos[index]
            origin = Origin(video.video, video.line, str(list_file)) if list_file else None
            writer.write(_record(number, video, options), origin)
    return writer.records, writer.bytes


def _order(count: int, options: DatabaseOptions) -> Iterator[int]:
    random = np.random.RandomState(options.seed)  # the old generator, for the original's order
    order = np.arange(count)
    for _ in range(options.num_epochs):
        if options.shuffle:
            random.shuffle(order)  # from where the last epoch left it, as the original
        yield from order.tolist()


def _record(number: int, video: ListedVideo, options: DatabaseOptions) -> Record:
    return Record(
        key=str(number).encode(),
        video=os.fsencode(video.video) if options.use_list else _read(video.video),
        labels=video.labels,
        start_frame=video.start_frame if options.use_start_frame else None,
        video_id=video.video_id if options.use_video_id else None,
    )


def _read(path: str) -> bytes:
    try:
        if os.path.getsize(path) > MAX_RECORD_BYTES:
            raise VmzError(f"{path} is larger than 2 GB, too large for a record; store paths with --use_list=1")
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise VmzError(f"cannot read {path}: {error.strerror}") from error
