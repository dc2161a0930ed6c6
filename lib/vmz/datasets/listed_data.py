"""--test_data and --train_data that are no LMDB: a list of videos, or a folder of class folders.

Both engines read LMDBs. So a run makes one of the paths, with the records that create_video_db.py --use_list=1 writes,
in a temporary folder that lives as long as the run. Messages and results name what the user gave.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Optional, TypeVar

from vmz.datasets.class_folders import read_videos
from vmz.datasets.class_numbers import first_and_last
from vmz.datasets.create_database import DatabaseOptions, classes_file, records_of
from vmz.datasets.named_videos import LIST_SUFFIXES
from vmz.datasets.video_lists import VideoList, check_files
from vmz.errors import UsageError
from vmz.file_formats.class_names import read_class_order
from vmz.files import UTF16_MARKS, disk_trouble, open_regular
from vmz.processes import group, identity
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import Listed, ReaderSettings
from vmz.settings.resolution import DATA, DEFAULT, ZOO, Resolution
from vmz.temporary import temporary_folder
from vmz.text import counted, quoted
from vmz.video.arguments import FROM_START_FRAME
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.lmdb_file import begins_as_lmdb
from vmz.video.database.names import LISTED
from vmz.video.faults import Origin
from vmz.zoo.labels import labels_of

FLAGS = ("train_data", "test_data")
LOOKED_AT_BYTES = 4096
Reading = TypeVar("Reading", bound=ReaderSettings)


class _Classes(NamedTuple):
    """Names of the network's classes in the order of its labels, and where they are from."""

    names: tuple[str, ...]
    whence: str


@dataclass
class _Found:
    """What the first process reads. num_labels: of the classes, None where the settings have it."""

    lists: dict[str, VideoList] = field(default_factory=dict)
    num_labels: Optional[int] = None
    notes: list[str] = field(default_factory=list)


def is_listed(data: str) -> bool:
    """Whether data is a list or a folder of class folders, by what is there. What is not there is none."""
    try:
        kind = os.stat(data).st_mode
        if stat.S_ISDIR(kind):
            return not os.path.lexists(os.path.join(data, "data.mdb"))
        if not stat.S_ISREG(kind):
            return stat.S_ISFIFO(kind)  # as <(command) is
        with open_regular(data) as stream:
            start = stream.read(LOOKED_AT_BYTES)
    except (OSError, ValueError):
        return False
    if begins_as_lmdb(start) or data.lower().endswith(".mdb"):
        return False
    if data.lower().endswith(LIST_SUFFIXES):
        return True
    return bool(start) and (b"\0" not in start or start.startswith(UTF16_MARKS))


@contextmanager
def listed_data(
    config: Reading, own_classes: bool = False, asks: Optional[Mapping[str, Any]] = None
) -> Iterator[Reading]:
    """The configuration with an LMDB of paths for each list and each folder among its data, as long as the block lasts.

    All processes of a run must enter it; the first one reads the lists for all. Where the data names its classes they
    get the numbers that the network has for them, and --num_labels where nothing else says it; what was found is
    printed. own_classes: they may be others than the network's. asks: of VideoInput, what decides which columns a list
    must have; by default the settings of the configuration. Raises UsageError for lists, folders and classes that are
    not as they must be, and for videos that are missing, unless by --on_bad_video=skip.
    """
    given = {flag: str(data) for flag in FLAGS if (data := getattr(config, flag, None)) and data not in config.listed}
    if not given:
        yield config
        return
    found: _Found = group.share(_Found() if identity.rank() else _Reader(config, own_classes, asks).read(given))
    if not found.lists:
        yield config
        return
    with temporary_folder("vmz_list") as folder:
        listed = {
            data: Listed(_write(videos, folder / str(number)), videos.classes)
            for number, (data, videos) in enumerate(found.lists.items())
        }
        for line in [] if identity.rank() else found.notes:
            print(line, flush=True)
        yield replace(config, listed={**config.listed, **listed}, **_changes(config, found))


def _changes(config: ReaderSettings, found: _Found) -> dict[str, Any]:
    if found.num_labels is None:
        return {}
    resolution: Optional[Resolution] = getattr(config, "resolution", None)
    changed = {} if resolution is None else {"resolution": resolution.changed("num_labels", found.num_labels, DATA)}
    return {"num_labels": found.num_labels, **changed}


def _write(videos: VideoList, path: Path) -> str:
    """The LMDB of a list: the records that create_video_db.py makes of it by default, with paths."""
    options = DatabaseOptions(use_list=True, use_start_frame=True, use_video_id=True)
    with DatabaseWriter(path) as writer:
        for video, record in records_of(videos.rows, options):
            writer.write(record, Origin(video.video, video.line, videos.path))
    with disk_trouble(path):
        (path / LISTED).write_bytes(os.fsencode(videos.path))
    return str(path)


class _Reader:
    """Reads what is no LMDB, once, in the first process."""

    def __init__(self, config: ReaderSettings, own_classes: bool, asks: Optional[Mapping[str, Any]]) -> None:
        assert isinstance(config, NetworkSettings)
        self._config, self._num_labels, self._own_classes = config, config.num_labels, own_classes
        self._asks = dict(vars(config)) if asks is None else asks
        self._trains = hasattr(config, "train_data")
        self._named_by_user: Optional[str] = getattr(config, "label_names", None)
        self._found = _Found()

    def read(self, given: Mapping[str, str]) -> _Found:
        known = self._known()
        from_list = False
        for flag, data in given.items():
            if not is_listed(data):
                beside = classes_file(data)
                if beside.is_file() and os.path.exists(data):
                    known = self._beside(beside, known if from_list else None) if self._trains else known
                continue
            if data in self._found.lists:
                continue
            videos = self._videos(flag, data, known)
            self._found.lists[data] = videos
            self._count(flag, videos, known)
            self._note(flag, data, videos)
            if flag == "train_data" and videos.classes and known is None:
                known, from_list = _Classes(videos.classes, f"--train_data={data}"), True
        return self._found

    def _known(self) -> Optional[_Classes]:
        """The classes of the network, where they are known before any list is read."""
        if self._named_by_user:
            names = read_class_order(self._named_by_user, "--label_names")
            return _Classes(tuple(names), f"--label_names={self._named_by_user}")
        resolution: Optional[Resolution] = getattr(self._config, "resolution", None)
        if self._trains or resolution is None:
            return None
        if resolution.labels is not None and resolution.checkpoint is not None:
            return _Classes(resolution.labels, f"the checkpoint {resolution.checkpoint.path}")
        row = resolution.row
        found = labels_of(row, self._num_labels) if row is not None else None
        return None if row is None or found is None else _Classes(tuple(found.names), f"the published {row.name}")

    def _beside(self, path: Path, trained: Optional[_Classes]) -> _Classes:
        """The names that create_video_db.py kept beside an LMDB; UsageError where the training has others."""
        names = tuple(read_class_order(path, "the file"))
        if trained is not None and names != trained.names:
            raise UsageError(
                f"{path} names other classes than {trained.whence} has ({first_and_last(names)}; "
                f"{first_and_last(trained.names)}); give data of the same classes, created with the same --classes"
            )
        return trained or _Classes(names, str(path))

    def _videos(self, flag: str, data: str, known: Optional[_Classes]) -> VideoList:
        numbered = {} if known is None or self._own_classes else {"classes": known.names, "classes_from": known.whence}
        videos = read_videos(data, images=bool(self._config.image_as_input), **self._columns(flag), **numbered)
        if self._own_classes and known is not None and set(videos.classes) <= set(known.names):
            videos = _renumbered(videos, known)
        if self._config.on_bad_video == "stop":
            check_files(videos)
        return videos

    def _columns(self, flag: str) -> dict[str, Any]:
        """Which columns a list must have. An evaluation between epochs asks for none."""
        if self._trains and flag == "test_data":
            return {}
        starts = next(
            (f"--{name}={value}" for name, value in (("decode_type", FROM_START_FRAME), ("get_start_frame", 1))
             if self._asks.get(name) == value), ""
        )  # fmt: skip
        ids = bool(self._asks.get("get_video_id"))
        asked_by = {"start_frm": starts, "video_id": "--get_video_id=1"}
        return {"start_frames": bool(starts), "video_ids": ids, "asked_by": asked_by}

    def _count(self, flag: str, videos: VideoList, known: Optional[_Classes]) -> None:
        """Whether the network has as many classes as the list names; where nothing says how many, it gets them."""
        classes = len(videos.classes)
        if not videos.numbering or classes == self._num_labels:
            return
        resolution: Optional[Resolution] = getattr(self._config, "resolution", None)
        setting = resolution.settings.get("num_labels") if resolution is not None else None
        decides = flag == "train_data" or not self._trains or known is not None
        free = (DEFAULT, ZOO) if flag == "train_data" else (DEFAULT,)
        if decides and setting is not None and setting.source in free:
            self._found.num_labels = self._num_labels = classes
            self._found.notes.append(f"note: --num_labels={classes}, the classes of --{flag}={videos.path}")
        elif not self._own_classes and not self._named_by_user:
            names = ", or name the classes of the network in their order with --label_names"
            raise UsageError(
                f"--num_labels={self._num_labels}, but --{flag}={videos.path} has {counted(classes, 'class')} "
                f"({first_and_last(videos.classes)}); give --num_labels={classes}"
                f"{names if hasattr(self._config, 'label_names') else ''}"
            )

    def _note(self, flag: str, data: str, videos: VideoList) -> None:
        classes = ""
        if videos.numbering:
            count = counted(len(videos.classes), "class")
            classes = f"; {count}, numbered {videos.numbering}: {first_and_last(videos.classes)}"
        kind = "folder" if os.path.isdir(data) else "list"
        self._found.notes.append(
            f"note: --{flag}={data} is a {kind}: {counted(len(videos), 'video')}, read from their paths{classes}"
        )
        if videos.numbering and _are_out_of_order(videos.classes):
            self._found.notes.append(
                f"note: the classes of {data} are named by numbers, and numbered in alphabetical order: label 1 is "
                f"{quoted(videos.classes[1])}"
            )


def _renumbered(videos: VideoList, known: _Classes) -> VideoList:
    """A list whose names were numbered in alphabetical order, with the network's own numbers."""
    if not videos.numbering:
        return videos
    numbers = {name: number for number, name in enumerate(known.names)}
    rows = [replace(row, labels=tuple(numbers[videos.classes[label]] for label in row.labels)) for row in videos.rows]
    return VideoList(videos.path, rows, known.names, f"in the order of {known.whence}")


def _are_out_of_order(classes: Sequence[str]) -> bool:
    """Whether all names are numbers, in another order than that of numbers."""
    return all(name.isdecimal() for name in classes) and [int(name) for name in classes] != sorted(map(int, classes))
