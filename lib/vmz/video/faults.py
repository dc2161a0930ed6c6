"""What readers report about single videos: which gave no clips, which ended early, and how a video is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, TypeVar, Union

from vmz.text import counted, printable

PATH_BYTES_SHOWN = 300
# What to do where a video without sound is an error
SOUND_REMEDY = "have it give zeros with --on_missing_audio=zeros, or leave such videos out with --on_missing_audio=skip"
NAMED_AT_MOST = 5  # videos in a line of text; files and pages list them all


class DecodingError(Exception):
    """A video that cannot be opened, or that its decoder does not come to an end with; the message is the reason."""


@dataclass(frozen=True)
class Origin:
    """Where a record comes from: the video's path as the list has it, and the line of that list (from 1).

    Of a folder of videos, which has no lines, `line` is None and `list_file` that folder.
    """

    path: str
    line: Optional[int]
    list_file: str


class _Named:
    """A record as messages name it. `path`: of the video, None where it is not known."""

    key: str
    path: Optional[str]
    line: Optional[int]
    list_file: Optional[str]

    def name(self, database: str = "") -> str:
        """ "record 29 of val_lmdb (abseiling/x7f.mp4, line 12 of val.csv)", as much of it as is known."""
        return record_name(self.key, database, self.path, self.line, self.list_file)


@dataclass(frozen=True)
class BadVideo(_Named):
    """A record that gave no clips."""

    key: str
    path: Optional[str]
    reason: str
    line: Optional[int] = None
    list_file: Optional[str] = None

    def sentence(self, database: str = "") -> str:
        """Which record it is, of which database where that is not plain, and what is wrong with it."""
        return f"{self.name(database)}: {self.reason}"

    def __str__(self) -> str:
        return self.sentence()


@dataclass(frozen=True)
class EndedEarly(_Named):
    """A video whose reading stopped before its end. frames: read before that, None where they were not counted."""

    key: str
    path: Optional[str]
    frames: Optional[int]
    reason: str
    line: Optional[int] = None
    list_file: Optional[str] = None

    def __str__(self) -> str:
        after = "" if self.frames is None else f" after {counted(self.frames, 'frame')}"
        return f"{self.name()}{after}: {self.reason}"


@dataclass(frozen=True)
class WithoutSound(_Named):
    """A video whose log-mels are zeros, because it has no sound, or none that can be decoded."""

    key: str
    path: Optional[str]
    reason: str
    line: Optional[int] = None
    list_file: Optional[str] = None

    def __str__(self) -> str:
        return f"{self.name()}: {self.reason}"


Fault = TypeVar("Fault", BadVideo, EndedEarly, WithoutSound)

# Forms (see vmz.file_formats.json_files) of what `vars` gives of them, as files keep it; those of before lack the list.
BAD_VIDEO = {"key": str, "path": (str, None), "reason": str, "line?": (int, None), "list_file?": (str, None)}
ENDED_EARLY = {**BAD_VIDEO, "frames": (int, None)}
WITHOUT_SOUND = BAD_VIDEO


def record_name(
    key: str,
    database: str = "",
    path: Optional[str] = None,
    line: Optional[int] = None,
    list_file: Optional[str] = None,
) -> str:
    """A record with the database, the file and the line of the list that it comes from, where they are known."""
    of = f" of {database}" if database else ""
    parts = [path] if path else []
    parts += [] if line is None else [f"line {line}"] if list_file == database else [f"line {line} of {list_file}"]
    return f"record {key}{of}" + (f" ({', '.join(parts)})" if parts else "")


def record_place(named: Mapping[str, Any]) -> str:
    """The path of a record and the line of the list, "" where they are not known. named: see VideoDatabase.name."""
    line = named.get("line")
    of_list = [f"line {line} of {named['list_file']}"] if line is not None else []
    return ", ".join([*([named["path"]] if named["path"] else []), *of_list])


def closing_line(ended: Sequence[EndedEarly], consequence: str, more: str = "") -> str:
    """One line on the videos that ended early; "" where none did.

    consequence: what that means for the result. more: where all of them are listed.
    """
    if not ended:
        return ""
    return bounded(f"{counted(len(ended), 'video')} ended early ({consequence})", ended, more)


def silent_line(silent: Sequence[WithoutSound], more: str = "") -> str:
    """One line on the videos that got zeros for their sound; "" where none did. more: where all of them are listed."""
    if not silent:
        return ""
    their = "its" if len(silent) == 1 else "their"
    return bounded(f"{counted(len(silent), 'video')} without sound ({their} log-mels are zeros)", silent, more)


def bounded(what: str, faults: Sequence[object], more: str = "") -> str:
    """One line: `what`, then the first few videos, and how many more there are."""
    named = "; ".join(map(str, faults[:NAMED_AT_MOST]))
    rest = len(faults) - NAMED_AT_MOST
    if rest > 0:
        named += f"; and {rest} more" + (f" ({more})" if more else "")
    return f"{what}: {named}"


def once(faults: Sequence[Fault]) -> list[Fault]:
    """The first report of each record."""
    found: dict[str, Fault] = {}
    for fault in faults:
        found.setdefault(fault.key, fault)
    return list(found.values())


def shown_path(path: Union[str, bytes]) -> str:
    """A path as text that can be shown, its first bytes where it is endless."""
    raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
    return printable(raw[:PATH_BYTES_SHOWN]) + ("..." if len(raw) > PATH_BYTES_SHOWN else "")
