"""The official lists of the public data sets, turned into the CSV that create_video_db.py reads.

A list names videos in its own way; they are found by that name below a folder, in whatever subfolder and container they
lie, since everybody's copy is laid out differently.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from vmz.errors import UsageError
from vmz.file_formats.class_names import read_class_order
from vmz.file_formats.tables import check_columns, named_fields, split_rows, text_lines
from vmz.files import atomic_write, read_text
from vmz.text import quoted


@dataclass(frozen=True)
class Entry:
    """A video of a list: its file's name (the ending does not count), labels from 0, the class it is filed under."""

    name: str
    labels: tuple[int, ...]
    folder: str
    where: str  # file and line, for messages


@dataclass(frozen=True)
class OfficialList:
    """What a list says. `classes`: the names of the labels in their order, () where the list has none."""

    entries: list[Entry]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where a list is: `annotations` is its file, or folder for HMDB51, of which `subset` and `split` choose a part.

    classes: the names of the labels in their order, where they are to be the same as in another list.
    """

    annotations: Path
    subset: str = "train"
    split: int = 1
    classes: tuple[str, ...] = ()


def ucf101(source: Source) -> OfficialList:
    """`Class/v_Class_g01_c01.avi 1` of trainlist0N.txt, without number in testlist0N.txt; classInd.txt beside it."""
    classes = source.classes or _ucf101_classes(source.annotations.parent / "classInd.txt")
    entries = []
    for where, line in _lines(source.annotations):
        video, _, number = line.partition(" ")
        folder = video.rpartition("/")[0]
        if folder not in classes:
            raise UsageError(f"{where}: {quoted(line)} is not <class>/<video> with a class of classInd.txt")
        label = classes.index(folder)
        if number and number.strip() != str(label + 1):
            raise UsageError(f"{where}: class {folder} has number {label + 1} in classInd.txt, not {number.strip()}")
        entries.append(Entry(video.rpartition("/")[2], (label,), folder, where))
    return OfficialList(entries, classes)


def _ucf101_classes(path: Path) -> tuple[str, ...]:
    classes: list[str] = []
    for where, line in _lines(path):
        number, _, name = line.partition(" ")
        if number != str(len(classes) + 1) or not name.strip() or name.strip() in classes:
            raise UsageError(f"{where}: {quoted(line)} is not '{len(classes) + 1} <another class>'")
        classes.append(name.strip())
    return tuple(classes)


def hmdb51(source: Source) -> OfficialList:
    """`video.avi 1` of <class>_test_split<N>.txt, a file a class: 1 is for training, 2 for testing, 0 for neither.

    Labels count the class names in alphabetic order, unless `classes` gives another.
    """
    ending, code = f"_test_split{source.split}.txt", {"train": "1", "test": "2"}[source.subset]
    found = source.annotations.glob(f"*{ending}") if source.annotations.is_dir() else []
    # By class: by file name climb_stairs_test_split1.txt would come before climb_test_split1.txt.
    files = dict(sorted((file.name[: -len(ending)], file) for file in found))
    if not files:
        raise UsageError(
            f"{source.annotations} contains no files <class>{ending}; --annotations is the folder of HMDB51's lists, "
            "testTrainMulti_7030_splits, and --split 1, 2 or 3"
        )
    classes = source.classes or tuple(files)
    entries = []
    for folder, file in files.items():
        if folder not in classes:
            raise UsageError(f"{file} belongs to class {folder}, which --classes does not name")
        for where, line in _lines(file):
            video, _, use = line.rpartition(" ")
            if not video.strip() or use not in ("0", "1", "2"):
                raise UsageError(f"{where}: {quoted(line)} is not '<video> 0', 1 or 2")
            if use == code:
                entries.append(Entry(video.strip(), (classes.index(folder),), folder, where))
    return OfficialList(entries, classes)


def kinetics(source: Source) -> OfficialList:
    """CSV with label, youtube_id, time_start, time_end; files are <id>_<start, 6 digits>_<end, 6 digits>.

    Labels count the class names in alphabetic order, unless `classes` gives another.
    """
    rows = list(_kinetics_rows(source.annotations))
    classes = source.classes or tuple(sorted({row["label"] for _, row in rows}))
    numbers = {name: label for label, name in enumerate(classes)}
    entries = []
    for where, row in rows:
        if row["label"] not in numbers:
            raise UsageError(f"{where}: class {quoted(row['label'])} is not one of the {len(classes)} of --classes")
        times = [row["time_start"], row["time_end"]]
        if not all(re.fullmatch("[0-9]{1,9}", time) for time in times):
            raise UsageError(f"{where}: time_start and time_end are {quoted(times)}, not whole seconds")
        start, end = map(int, times)
        name = f"{row['youtube_id']}_{start:06d}_{end:06d}"
        entries.append(Entry(name, (numbers[row["label"]],), row["label"], where))
    return OfficialList(entries, classes)


def _kinetics_rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    wanted = ("label", "youtube_id", "time_start", "time_end")
    rows = split_rows(f"the list {path}", text_lines(read_text(path, f"the list {path}")))
    first, columns = next(rows, (1, []))
    check_columns(str(path), first, columns)
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise UsageError(
            f"{path} has no column {', '.join(missing)}; a list of Kinetics starts with {','.join(wanted)}, and only "
            "those of the training and validation videos have labels"
        )
    for line, row in named_fields(str(path), columns, rows):
        where = f"line {line} of {path}"
        if not all(row[name] for name in wanted):
            raise UsageError(f"{where}: {dict(row)} lacks a value of {', '.join(wanted)}")
        yield where, {name: str(row[name]) for name in wanted}


def sports1m(source: Source) -> OfficialList:
    """`http://www.youtube.com/watch?v=<id> 12,345` of train_partition.txt or test_partition.txt; files are <id>."""
    entries = []
    for where, line in _lines(source.annotations):
        url, _, numbers = line.partition(" ")
        found = re.search(r"[?&]v=([\w-]+)", url)
        labels = numbers.replace(" ", "").split(",")
        if not found or not all(re.fullmatch("[0-9]{1,9}", label) for label in labels):
            raise UsageError(f"{where}: {quoted(line)} is not '<url with v=...> <label>,<label>,...'")
        top = max(int(label) for label in labels)
        if source.classes and top >= len(source.classes):
            raise UsageError(f"{where}: label {top}, but --classes names {len(source.classes)}")
        entries.append(Entry(found[1], tuple(int(label) for label in labels), "", where))
    return OfficialList(entries, source.classes)


DATASETS: dict[str, Callable[[Source], OfficialList]] = {
    "hmdb51": hmdb51,
    "kinetics": kinetics,
    "sports1m": sports1m,
    "ucf101": ucf101,
}


def read_classes(path: Optional[Path]) -> tuple[str, ...]:
    """Names of labels in their order, from a file that read_names takes; () without a file. UsageError for a double."""
    return tuple(read_class_order(path, "--classes")) if path is not None else ()


def find_videos(entries: Sequence[Entry], folder: Path) -> tuple[list[tuple[Path, Entry]], list[Entry]]:
    """([(file, entry)] of the videos that are below `folder`, in the list's order; the entries that are not there).

    Raises UsageError for a folder that is not there, and for a name that several files share and neither the class's
    folder nor the ending in the list tells apart.
    """
    if not folder.is_dir():
        raise UsageError(f"--video_dir={folder} is not a folder")
    by_stem: dict[str, list[Path]] = {}
    for parent, _, names in os.walk(os.path.abspath(folder), followlinks=True):
        for name in names:
            by_stem.setdefault(os.path.splitext(name)[0], []).append(Path(parent, name))
    found, missing = [], []
    for entry in entries:
        stem = entry.name if entry.name in by_stem else os.path.splitext(entry.name)[0]
        files = by_stem.get(stem, [])
        if files:
            found.append((_the_one(entry, files), entry))
        else:
            missing.append(entry)
    return found, missing


def _the_one(entry: Entry, files: list[Path]) -> Path:
    same_class = [file for file in files if _plain(file.parent.name) == _plain(entry.folder)] or files
    chosen = [file for file in same_class if file.name == entry.name] or same_class
    if len(chosen) > 1:
        raise UsageError(f"{entry.where}: {entry.name} may be {chosen[0]} or {chosen[1]}; leave only one of them there")
    return chosen[0]


def _plain(folder: str) -> str:
    return folder.casefold().replace(" ", "_")


def write_list(path: Path, found: Sequence[tuple[Path, Entry]]) -> None:
    """The CSV for create_video_db.py: the columns org_video and label, several labels parted by ';'."""
    with atomic_write(path, "w") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["org_video", "label"])
        writer.writerows([file, ";".join(map(str, entry.labels))] for file, entry in found)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """A text file of `lines`."""
    with atomic_write(path, "w") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """("line N of PATH", text) of the lines that are not empty. UsageError for a file that cannot be read as text."""
    text = read_text(path, f"the list {path}")
    lines = [(f"line {number} of {path}", line.strip()) for number, line in enumerate(text_lines(text), 1)]
    if not any(line for _, line in lines):
        raise UsageError(f"the list {path} is empty")
    yield from ((where, line) for where, line in lines if line)
