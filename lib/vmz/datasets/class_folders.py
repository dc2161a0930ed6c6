"""A folder of class folders as a list of videos: root/<class>/<video>, as many data sets are kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Union

from vmz.datasets.class_numbers import Labels, number_classes
from vmz.datasets.video_lists import ASKED_BY, ListedVideo, VideoList, read_video_list
from vmz.errors import UsageError
from vmz.processes import identity
from vmz.text import counted, quoted
from vmz.video.frames.suffixes import is_image_name, is_video_name


def read_videos(path: Union[str, Path], *, images: bool = False, **options: Any) -> VideoList:
    """The videos of a list, or of a folder of class folders; `options` are those of `read_video_list`.

    images: pictures instead, of a folder. Raises what `read_video_list` and `read_class_folders` raise.
    """
    if os.path.isdir(path):
        return read_class_folders(str(path), images=images, **options)
    return read_video_list(path, **options)


class _Folder(NamedTuple):
    """Of the visible entries of a folder, in alphabetical order: names of folders, of videos, and how many others."""

    folders: list[str]
    videos: list[str]
    others: int


def read_class_folders(
    root: str,
    *,
    start_frames: bool = False,
    video_ids: bool = False,
    classes: Sequence[str] = (),
    classes_from: str = "--classes",
    asked_by: Mapping[str, str] = ASKED_BY,
    images: bool = False,
) -> VideoList:
    """The videos of the folders in `root`, whose names are the classes, in alphabetical order; the rest as
    `read_video_list`. How many were found and left out is printed on stderr.

    images: pictures instead of videos. Raises UsageError for a class folder without videos and for videos elsewhere.
    """
    root = os.path.normpath(root)
    for column, asked in (("start_frm", start_frames), ("video_id", video_ids)):
        if asked:
            raise UsageError(
                f"{root} is a folder of class folders, whose videos have no {column} (for {asked_by[column]}); give a "
                f"list with that column, or leave {asked_by[column]} out"
            )
    what = "images" if images else "videos"
    top = _entries(root, images)
    _refuse_others(root, top, what)
    found = {name: _entries(os.path.join(root, name), images) for name in top.folders}
    for name, inside in found.items():
        _refuse_nested(root, name, inside, images, what)
        _check_name(root, name)
    labels = [Labels(None, (), (name,)) for name in found]
    numbered = number_classes(root, labels, classes, classes_from)
    rows = [
        ListedVideo(os.path.join(root, name, video), number, None, None, None)
        for (name, inside), number in zip(found.items(), numbered.labels)
        for video in inside.videos
    ]
    if not identity.rank():
        others = top.others + sum(inside.others for inside in found.values())
        extension = f"the extension of {'an image' if images else 'a video'}"
        left_out = f"; {counted(others, 'file')} without {extension} left out" if others else ""
        print(f"{root}: {len(rows)} {what} of {counted(len(found), 'class')}{left_out}", file=sys.stderr)
    return VideoList(root, rows, numbered.classes, numbered.numbering)


def _entries(folder: str, images: bool) -> _Folder:
    folders: list[str] = []
    files: list[str] = []
    is_wanted = is_image_name if images else is_video_name
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if entry.is_dir() else files).append(entry.name)
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {error.strerror}") from error
    videos = sorted(name for name in files if is_wanted(name))
    return _Folder(sorted(folders), videos, len(files) - len(videos))


def _refuse_others(root: str, top: _Folder, what: str) -> None:
    """UsageError for a root with videos of no class, or without classes."""
    if top.videos:
        raise UsageError(
            f"{root} contains {counted(len(top.videos), what[:-1])} outside class folders (first {top.videos[0]}); put "
            f"each into "
            f"the folder of its class, {root}/<class>/<video>, or give a list of videos and labels (.csv)"
        )
    if not top.folders:
        raise UsageError(
            f"{root} is no data: it contains no data.mdb, as an LMDB does, and no folders of classes; give the folder "
            f"that create_video_db.py wrote, a list of videos (.csv), or a folder with {what} as <class>/<video>"
        )


def _refuse_nested(root: str, name: str, inside: _Folder, images: bool, what: str) -> None:
    """UsageError for a class without videos, and for one that has some in folders of its own: they would be lost."""
    path = os.path.join(root, name)
    deeper = next((one for one in inside.folders if any(_videos_below(os.path.join(path, one), images))), None)
    if deeper is not None:
        advice = "move them up" if inside.videos else f"give {path} if its folders are the classes"
        raise UsageError(
            f"the class folder {path} contains {what} in folders of its own (first in {os.path.join(path, deeper)}), "
            f"but they must lie directly in it; {advice}"
        )
    if not inside.videos and os.path.isfile(os.path.join(path, "data.mdb")):
        raise UsageError(f"{root} is no data itself, but it contains an LMDB, {path}; give that one")
    if not inside.videos:
        raise UsageError(
            f"the class folder {path} contains no {what} ({inside.others} other files); put its {what} there, or "
            "remove the folder"
        )


def _videos_below(folder: str, images: bool) -> Iterator[str]:
    is_wanted = is_image_name if images else is_video_name
    for parent, _, files in os.walk(folder):
        yield from (os.path.join(parent, file) for file in files if is_wanted(file) and not file.startswith("."))


def _check_name(root: str, name: str) -> None:
    """UsageError for the name of a class that no file of names can hold."""
    if not name.isprintable() or name != name.strip():
        raise UsageError(
            f"the class folder {quoted(name)} of {root} has characters in its name that the name of a class cannot "
            "have; rename it"
        )
