"""The videos that names on a command line mean: files, folders, patterns and lists."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence

from vmz.datasets.video_lists import read_paths
from vmz.errors import UsageError
from vmz.files import NOT_REGULAR
from vmz.processes import identity
from vmz.text import counted
from vmz.video.frames.suffixes import is_video_name

LIST_SUFFIXES = (".csv", ".tsv", ".txt", ".lst", ".list")


def find_videos(names: Sequence[str], flag: str = "--videos", one_of_a_name: bool = True) -> list[str]:
    """The files that the values of `flag` mean, each once, those of a folder or a pattern in alphabetical order.

    A name is that of a file or a folder, if there is one, else a pattern. Of a folder all videos count, those of its
    folders too, told by their suffix; how many were found and left out is printed. A .csv or .txt file is a list.
    Raises UsageError for a name that means nothing, and with one_of_a_name for two videos of one file name.
    """
    paths = list(dict.fromkeys(path for name in names for path in _meant(name, flag)))
    seen: dict[str, str] = {}
    for path in paths if one_of_a_name else []:
        other = seen.setdefault(os.path.basename(path), path)
        if other != path:
            raise UsageError(
                f"{flag} has {other} and {path}, which have the same name; extract them into different folders"
            )
    return paths


def _meant(name: str, flag: str) -> list[str]:
    for literal in (name, os.path.expanduser(name)):
        if os.path.isfile(literal):
            return _listed(literal) if literal.lower().endswith(LIST_SUFFIXES) else [literal]
        if os.path.isdir(literal):
            return _in_folder(literal, flag)
        if os.path.exists(literal):
            raise UsageError(f"cannot read {flag}={name}: {NOT_REGULAR}")
    pattern = os.path.expanduser(name)
    paths = _matching(_existing_part_literal(pattern)) or _matching(pattern.replace("[", "[[]"))
    if not paths:
        what = f"matches no file; {_why(pattern)}" if glob.has_magic(pattern) else f"does not exist; {_why(pattern)}"
        raise UsageError(f"{flag}={name} {what}")
    return paths


def _why(path: str) -> str:
    """The first folder of a path that does not exist, or what to give."""
    folder = os.path.dirname(path)
    while folder and not glob.has_magic(folder) and not os.path.isdir(folder):
        parent = os.path.dirname(folder)
        if not parent or os.path.isdir(parent) or parent == folder:
            return f"there is no folder {os.path.abspath(folder)}"
        folder = parent
    return (
        f"looked in {os.path.abspath(os.curdir)}; give files, a folder, or a pattern in quotes, such as 'folder/*.mp4'"
    )


def _matching(pattern: str) -> list[str]:
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))


def _existing_part_literal(pattern: str) -> str:
    """The pattern, its leading folders taken literally as far as they exist: '[set 1]/*.mp4'."""
    folder, rest = pattern, ""
    while folder and not os.path.isdir(folder):
        folder, _, last = folder.rpartition("/")
        rest = f"/{last}{rest}"
    return f"{glob.escape(folder)}{rest}" if folder else pattern


def _in_folder(folder: str, flag: str) -> list[str]:
    videos, others = [], 0
    seen: set[str] = set()  # folders by their real paths: a link may lead back up
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for file in files:
            if is_video_name(file) and not file.startswith("."):
                videos.append(os.path.join(parent, file))
            else:
                others += 1
    if not videos:
        raise UsageError(
            f"{flag}={folder} is a folder without videos: {counted(others, 'file')}, none with the extension of a video"
        )
    left_out = f"; {counted(others, 'file')} without the extension of a video left out" if others else ""
    if not identity.rank():
        print(f"{folder}: {counted(len(videos), 'video')}{left_out}", file=sys.stderr)
    return sorted(videos)


def _listed(path: str) -> list[str]:
    found = read_paths(path)
    missing = [video for video in found if not os.path.isfile(video)]
    if missing:
        there = os.path.exists(missing[0])
        why = NOT_REGULAR if there else f"paths are relative to the working directory {os.getcwd()}"
        raise UsageError(
            f"{len(missing)} of the {counted(len(found), 'video')} of the list {path} cannot be found: first "
            f"{missing[0]}; {why}"
        )
    return found
