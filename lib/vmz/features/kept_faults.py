"""What is reported of single videos, kept in a file, so that a run that continues an earlier one reports it too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Generic

from vmz.evaluation.recorded_settings import read_account
from vmz.file_formats.json_files import instance
from vmz.files import write_json
from vmz.video.faults import BAD_VIDEO, ENDED_EARLY, EndedEarly, Fault


def _faults(path: Path, kind: type[Fault]) -> list[Fault]:
    entries = read_account(path, [ENDED_EARLY if kind is EndedEarly else BAD_VIDEO])
    return [instance(kind, entry) for entry in entries]


class Kept(Generic[Fault]):
    """What is reported of single videos, kept in a file for a run that goes on after this one."""

    def __init__(self, path: Path, kind: type[Fault]) -> None:
        self._path = path
        self._earlier: list[Fault] = _faults(path, kind) if path.exists() else []
        self._written = len(self._earlier)

    def update(self, new: Sequence[Fault]) -> list[Fault]:
        """All of them; videos after the last batch of an earlier run have been met again."""
        met: set[str] = {fault.key for fault in new}
        every: list[Fault] = [fault for fault in self._earlier if fault.key not in met]
        every.extend(new)
        if len(every) != self._written:
            write_json(self._path, [vars(fault) for fault in every])
            self._written = len(every)
        return every
