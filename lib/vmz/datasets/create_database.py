"""From a list of videos to an LMDB of them, as the original create_video_db.py makes it, with checks before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np

from vmz.datasets.class_folders import read_videos
from vmz.datasets.video_lists import ListedVideo, VideoList, check_files
from vmz.errors import UsageError, VmzError
from vmz.file_formats.class_names import read_class_order, read_names
from vmz.files import atomic_write, open_regular
from vmz.progress import progress
from vmz.text import counted
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.faults import Origin

CLASSES_BESIDE = (".classes.txt",)  # what a database's name is followed by
MAX_RECORD_BYTES = (1 << 31) - (1 << 16)  # protobuf messages end at 2 GB


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
                f"--num_epochs={self.num_epochs} would store every video {counted(self.num_epochs, 'time')}; it "
                f"needs --use_list=1"
            )
        if self.use_start_frame and not self.use_list:
            raise UsageError("--use_start_frame=1 would store a video once per start frame; it needs --use_list=1")


def classes_file(database: Union[str, Path]) -> Path:
    """Where the names of a database's labels are kept, one a line in their order, if they are known."""
    return Path(f"{os.path.normpath(database)}{CLASSES_BESIDE[0]}")


def check_classes_file(videos: VideoList, database: Union[str, Path]) -> None:
    """UsageError where the file that `classes_beside` makes is there already with other names."""
    path = classes_file(database)
    if videos.classes and path.exists() and tuple(read_names(path, "the file")) != videos.classes:
        raise UsageError(f"{path} exists already, with other names; remove it or choose another --output_file")


@contextmanager
def classes_beside(videos: VideoList, database: Union[str, Path]) -> Iterator[Optional[Path]]:
    """Keep the names of the labels, where there are any, beside the database that the block writes; gives where.

    They are there before it is: a run that is killed in between leaves no database without them. Where the block fails
    they go, unless they were there.
    """
    if not videos.classes:
        yield None
        return
    path = classes_file(database)
    was_there = path.exists()
    try:
        with atomic_write(path, "w") as stream:
            stream.writelines(f"{name}\n" for name in videos.classes)
        yield path
    except BaseException:
        if not was_there and not os.path.lexists(database):
            path.unlink(missing_ok=True)
        raise


def read_list(path: Union[str, Path], options: DatabaseOptions, classes: Optional[Path] = None) -> VideoList:
    """The list for a database, or a folder of class folders, of videos that all exist. classes: a file with the names
    of the labels in their order.

    Paths are relative to the working directory. Raises UsageError as read_videos, read_names and check_files.
    """
    found = read_videos(
        path,
        start_frames=options.use_start_frame,
        video_ids=options.use_video_id,
        classes=read_class_order(classes, "--classes") if classes is not None else (),
        classes_from=f"--classes={classes}",
    )
    check_files(found)
    return found


def write_database(
    videos: Sequence[ListedVideo],
    output: Union[str, Path],
    options: DatabaseOptions,
    list_file: Union[str, Path, None] = None,
) -> tuple[int, int]:
    """Write the records, numbered from 0 in the order drawn; returns (records, bytes of their values).

    list_file: the list that the videos are from, kept with their lines beside the records (see
    vmz.video.database.names). The same seed gives the order that the original gives after numpy.random.seed(seed).
    UsageError when `output` exists; nothing is left there when writing fails or is interrupted.
    """
    options.check()
    with DatabaseWriter(output) as writer:
        total = len(videos) * options.num_epochs
        for video, record in progress(records_of(videos, options), total, "videos", f"writing {output}"):
            writer.write(record, Origin(video.video, video.line, str(list_file)) if list_file else None)
    return writer.records, writer.bytes


def records_of(videos: Sequence[ListedVideo], options: DatabaseOptions) -> Iterator[tuple[ListedVideo, Record]]:
    """The records that `write_database` writes, in the order drawn, each with its row of the list."""
    for number, index in enumerate(_order(len(videos), options)):
        yield videos[index], _record(number, videos[index], options)


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
        with open_regular(path) as stream:
            return stream.read()
    except OSError as error:
        raise VmzError(f"cannot read {path}: {error.strerror}") from error
