"""Lists of videos and their labels, as people write them, whoever reads them here.

A CSV with column names (org_video and label, as the original's), or rows `path label` without names, parted by spaces,
tabs, commas or semicolons, as other projects write them. Labels are numbers, or names of classes, which are numbered.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

from vmz.datasets.class_numbers import Labels, number_classes
from vmz.errors import UsageError
from vmz.file_formats.tables import check_columns, named_fields, split_rows, text_lines
from vmz.files import NOT_REGULAR, read_text
from vmz.text import counted, cut, quoted
from vmz.video.frames.suffixes import is_video_name

VIDEO_COLUMNS = ("org_video", "path", "video_path", "filepath", "file_path", "file", "filename", "file_name", "video")
LABEL_COLUMNS = ("label", "labels", "class", "class_id", "label_id", "class_name", "label_name", "category", "action")
_DELIMITERS = (",", "\t", ";", " ")
_SPOKEN = {",": "a comma", "\t": "a tab", ";": "a semicolon", " ": "a space"}
_INT32, _INT64 = 31, 63  # value bits
_NUMBER = re.compile(r"[+-]?[0-9]+")
_NUMBERS = re.compile(r"[+-]?[0-9]+([\s;,]+[+-]?[0-9]+)*")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True)
class ListedVideo:
    """A row of a list. `line` is its line in the file, None of a video that was found in a folder."""

    video: str
    labels: tuple[int, ...]
    start_frame: Optional[int]
    video_id: Optional[int]
    line: Optional[int]


@dataclass(frozen=True)
class VideoList(Sequence[ListedVideo]):
    """The rows of a list. classes: the names of the labels in their order, () where the list and the caller have none.

    numbering: how the names became numbers, as "in alphabetical order"; "" where the list holds numbers.
    """

    path: str
    rows: list[ListedVideo]
    classes: tuple[str, ...] = ()
    numbering: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]


ASKED_BY = {"start_frm": "--use_start_frame=1", "video_id": "--use_video_id=1"}  # why a list must have these columns


@dataclass(frozen=True)
class _Row:
    """A row before its labels are numbers. labels: as written, None where the row has none."""

    line: int
    video: str
    labels: Optional[str]
    start_frame: Optional[str] = None
    video_id: Optional[str] = None


def read_video_list(
    path: Union[str, Path],
    *,
    start_frames: bool = False,
    video_ids: bool = False,
    classes: Sequence[str] = (),
    classes_from: str = "--classes",
    asked_by: Mapping[str, str] = ASKED_BY,
) -> VideoList:
    """Rows of a list; paths are as they stand there, whether such a file exists or not.

    start_frames, video_ids: also the columns start_frm and video_id, which flags ask for as `asked_by` has it. classes:
    names of the labels in their order, from `classes_from`; without them, names are numbered in alphabetical order.

    Raises UsageError, naming file and line, for a row or a column that is missing, doubled, too much or not understood.
    """
    wanted = {
        column: f" (for {asked_by[column]})"
        for column, asked in (("start_frm", start_frames), ("video_id", video_ids))
        if asked
    }
    rows = list(_rows(str(path), wanted))
    labels = [_labels(f"line {row.line} of {path}", row) for row in rows]
    numbered = number_classes(str(path), labels, classes, classes_from)
    listed = [
        ListedVideo(
            video=row.video,
            labels=numbers,
            start_frame=_integer(path, row.line, "start_frm", row.start_frame, _INT32) if start_frames else None,
            video_id=_integer(path, row.line, "video_id", row.video_id, _INT64) if video_ids else None,
            line=row.line,
        )
        for row, numbers in zip(rows, numbered.labels)
    ]
    return VideoList(str(path), listed, numbered.classes, numbered.numbering)


def read_paths(path: Union[str, Path]) -> list[str]:
    """The videos of a list, in its order; labels may be there or not. Raises UsageError as read_video_list."""
    return [row.video for row in _rows(str(path), {}, labels=False)]


def check_files(videos: VideoList) -> None:
    """Raise UsageError, with a count and the first of them, where videos of the list do not exist."""
    missing = [video for video in videos.rows if not os.path.isfile(video.video)]
    if not missing:
        return
    first = missing[0]
    where = f" (line {first.line})" if first.line is not None else ""
    if os.path.isdir(first.video):
        why = "which is a folder; a list names video files, folders of frames are not supported"
    elif os.path.exists(first.video):
        why = NOT_REGULAR
    else:
        beside = os.path.join(os.path.dirname(os.path.abspath(videos.path)), first.video)
        why = f"paths are relative to the working directory {os.getcwd()}"
        if os.path.isfile(beside):
            why += f", and it is at {beside}: run this in {os.path.dirname(os.path.abspath(videos.path))}"
    raise UsageError(
        f"{len(missing)} of the {counted(len(videos.rows), 'video')} of {videos.path} cannot be found: first "
        f"{first.video}{where}"
        f"; {why}"
    )


def _rows(path: str, wanted: dict[str, str], labels: bool = True) -> Iterator[_Row]:
    lines = [_without_comment(line) for line in text_lines(read_text(Path(path), f"the list {path}"))]
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise UsageError(f"the list {path} is empty; give one row a video: its path and its label")
    header = _header(path, first + 1, lines[first])
    if header is not None:
        delimiter, columns = header
        rows = _named_rows(path, lines[first + 1 :], first + 2, delimiter, columns, wanted, labels)
    else:
        if wanted:
            raise UsageError(
                f"the list {path} has no column {', '.join(name + why for name, why in wanted.items())}: its first "
                "line has no column names, such as org_video,label,start_frm,video_id"
            )
        rows = _plain_rows(path, lines, labels)
    found = list(rows)
    if not found:
        raise UsageError(f"the list {path} has no rows; give one row a video below the column names")
    yield from found


def _without_comment(line: str) -> str:
    """A line that begins with # is a comment, unless that is the name of a video."""
    if line.lstrip().startswith("#"):
        text = line.strip()
        if not any(os.path.isfile(text[:end]) for end in _ends(text)):
            return ""
    return line


def _header(path: str, line: int, text: str) -> Optional[tuple[str, list[str]]]:
    """(delimiter, columns in lower case) of a first line that names columns, None where it is a row already."""
    for delimiter in _DELIMITERS:
        columns = [column.lower() for column in _split(text, delimiter)]
        if any(column in VIDEO_COLUMNS or column in LABEL_COLUMNS for column in columns):
            if any(is_video_name(column) for column in columns):
                continue  # a video of a class of that name
            check_columns(path, line, columns)
            return delimiter, columns
    if _delimiter(text) is not None or _looks_like_video(text) or _NUMBER.fullmatch(text.split()[-1]):
        return None
    names = ", ".join(_split(text, ","))
    raise UsageError(
        f"the list {path} has no column org_video, label; its first line names {names}. Without column names, a row is "
        "a video file and its label"
    )


def _split(text: str, delimiter: str) -> list[str]:
    """The fields of a line, even of one that is no such CSV."""
    try:
        fields = (
            text.split() if delimiter == " " else next(csv.reader([text], delimiter=delimiter, skipinitialspace=True))
        )
    except csv.Error:  # of zero bytes, on Python before 3.11
        fields = text.split(delimiter)
    return [field.strip() for field in fields]


def _named_rows(
    path: str,
    lines: Sequence[str],
    first: int,
    delimiter: str,
    columns: list[str],
    wanted: dict[str, str],
    labels: bool,
) -> Iterator[_Row]:
    if "frame_id" in columns:
        raise UsageError(
            f"{path} is a list of single frames (column frame_id), which are not supported; list video files"
        )
    video = next((name for name in VIDEO_COLUMNS if name in columns), None)
    given = [name for name in LABEL_COLUMNS if name in columns]
    missing = [name for name, there in (("org_video", video), ("label", given or not labels)) if not there]
    missing += [name + why for name, why in wanted.items() if name not in columns]
    if missing or video is None:
        raise UsageError(
            f"the list {path} has no column {', '.join(missing)}; its first line names {', '.join(columns)}"
        )
    spaced = delimiter == " "
    rows = _spaced_rows(path, lines, first, columns) if spaced else split_rows(path, lines, delimiter, first)
    label = None
    for line, row in named_fields(path, columns, rows, delimiter):
        if label is None and given:  # names of classes may stand beside their numbers
            label = next((name for name in given if _NUMBERS.fullmatch(row[name] or "")), given[0])
        if not row[video]:
            raise UsageError(f"line {line} of {path} names no video in column {video}")
        yield _Row(line, str(row[video]), row[label] if label else None, row.get("start_frm"), row.get("video_id"))


def _spaced_rows(path: str, lines: Sequence[str], first: int, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Of columns parted by spaces, the first is the video, whose name may hold spaces too."""
    if columns[0] not in VIDEO_COLUMNS:
        raise UsageError(
            f"the columns of {path} are separated by spaces, and then the first must be the video, not {columns[0]}; "
            "separate them with commas"
        )
    for line, text in enumerate(lines, first):
        if not text.strip():
            continue
        video, rest = _video_and_rest(text.strip(), len(columns) - 1)
        fields = [rest] if len(columns) == 2 else rest.split()
        yield line, [video, *fields]


def _plain_rows(path: str, lines: Sequence[str], labels: bool) -> Iterator[_Row]:
    """Rows `path label`, all with the delimiter of the first."""
    first = next(line for line in lines if line.strip())
    delimiter = " " if not labels and _looks_like_video(first.strip()) else _delimiter(first) or " "
    if delimiter in (" ", "\t"):
        for number, text in enumerate(lines, 1):
            if text.strip():
                yield _spaced_row(path, number, text.strip(), delimiter, labels)
        return
    for number, fields in split_rows(path, lines, delimiter):
        if len(fields) > 2 and any(fields[2:]):
            _refuse_frames(path, number, fields[0], fields[1:])
            raise UsageError(
                f"line {number} of {path} has {len(fields)} fields, but a row without column names is a path and a "
                'label; put several labels, or a path that contains commas, in double quotes ("1,2"), or name the '
                "columns in a first line, such as org_video,label"
            )
        if len(fields) < 2 and labels and not _looks_like_video(fields[0]):
            raise UsageError(
                f"line {number} of {path} is not a path and a label separated by {_SPOKEN[delimiter]}, like the "
                "lines before"
            )
        yield _Row(number, fields[0], fields[1] if len(fields) > 1 else None)


def _spaced_row(path: str, line: int, text: str, delimiter: str, labels: bool) -> _Row:
    if delimiter == "\t" and "\t" in text:
        video, _, rest = text.partition("\t")
        rest = rest.replace("\t", " ").strip()
    elif not labels and _looks_like_video(text):
        video, rest = text, ""
    else:
        video, rest = _video_and_rest(text)
    _refuse_frames(path, line, video, rest.split())
    return _Row(line, video.strip().strip('"'), rest or None)


def _video_and_rest(text: str, columns: int = 0) -> tuple[str, str]:
    """A row parted by spaces, in its path and what follows: names of files may hold spaces, and so may classes.

    The path is quoted, or ends where a file of that name exists or it has a video's suffix, or before the numbers at
    the end; else before the last word (or the last `columns`).
    """
    if text.startswith('"'):
        video, _, rest = text[1:].partition('"')
        return video.strip(), rest.strip()
    ends = list(_ends(text))[::-1]  # the longest first: "a.mp4 b.mp4 3"
    if len(ends) == 2 and not is_video_name(text):  # nothing to choose from: no look at the disk for each row
        return text[: ends[1]], text[ends[1] :].strip()
    for good in (os.path.isfile, is_video_name):
        for end in ends:
            if good(text[:end]):
                return text[:end], text[end:].strip()
    words = text.split()
    kept = max(columns, 1)
    if not columns:
        kept = 0
        while kept < len(words) - 1 and _NUMBER.fullmatch(words[-1 - kept]):
            kept += 1
    parts = text.rsplit(None, max(kept, 1))
    return parts[0], " ".join(parts[1:])


def _ends(text: str) -> Iterator[int]:
    """Where a path may end: before each gap, and at the end."""
    yield from (gap.start() for gap in re.finditer(r"\s+", text))
    yield len(text)


def _looks_like_video(text: str) -> bool:
    return is_video_name(text) or os.path.isfile(text)


def _delimiter(text: str) -> Optional[str]:
    """What parts a row's path from its label: where the part before it is a video, and the part behind it is none."""
    text = text.strip()
    if text.startswith('"'):
        rest = text[1:].partition('"')[2].lstrip(" ")
        return rest[0] if rest[:1] in _DELIMITERS else " "
    if "\t" in text:
        return "\t"
    for delimiter in (",", ";"):
        video, found, label = text.partition(delimiter)
        if found and _looks_like_video(video.strip()) and not _looks_like_video(label.strip()):
            return delimiter
    if any(_looks_like_video(text[:end]) for end in list(_ends(text))[:-1]):
        return " "
    for delimiter in (",", ";", " "):
        if delimiter in text and _NUMBER.fullmatch(text.rpartition(delimiter)[2].strip()):
            return delimiter
    return None


def _refuse_frames(path: str, line: int, video: str, numbers: Sequence[str]) -> None:
    """UsageError for a row of another project's list of frame folders: `folder frames label`."""
    if len(numbers) < 2 or not all(_NUMBER.fullmatch(number) for number in numbers):
        return
    if _looks_like_video(video) and not os.path.isdir(video):
        return
    raise UsageError(
        f"line {line} of {path}, {video} {' '.join(numbers)}, comes from a list of folders of frames (folder, frames, "
        "label), which are not supported; list the video files themselves, as path and label"
    )


def _labels(where: str, row: _Row) -> Labels:
    """The labels of a row as numbers or as names, not both."""
    text = (row.labels or "").strip().strip('"').strip()
    words = text.replace(";", " ").replace(",", " ").split()
    if not words:
        raise UsageError(f"{where} has no label; give a number or a class, or several separated by ';'")
    if all(_NUMBER.fullmatch(word) for word in words):
        return Labels(row.line, tuple(_fits(where, "label", word, _INT32) for word in words), ())
    if all(_NUMBER.fullmatch(word) or _DECIMAL.fullmatch(word) for word in words):
        raise UsageError(f"{where} has label {quoted(text)}, which must be an integer or the name of a class")
    parts = [part.strip() for part in re.split("[;,]", text)]
    if any(_NUMBER.fullmatch(part) for part in parts):
        raise UsageError(f"{where} has labels {quoted(text)}, numbers as well as names; write all as one or the other")
    return Labels(row.line, (), tuple(name.strip() for name in text.split(";") if name.strip()))


def _integer(path: Union[str, Path], line: int, column: str, text: Optional[str], bits: int) -> int:
    where = f"line {line} of {path}"
    if not _NUMBER.fullmatch((text or "").strip()):
        raise UsageError(f"{where} has {column} {quoted(text or '')}, which must be an integer")
    return _fits(where, column, text or "", bits)


def _fits(where: str, column: str, text: str, bits: int) -> int:
    value = int(text) if len(text.strip().lstrip("+-0")) < 20 else 1 << 64  # Python refuses thousands of digits
    if not -(1 << bits) <= value < 1 << bits:
        raise UsageError(f"{where} has {column} {cut(text.strip())}, which does not fit in {bits + 1} bits")
    return value
