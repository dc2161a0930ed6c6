"""Where an extraction gathers its rows until the file is written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmz.evaluation.recorded_settings import claim
from vmz.features.rows import discard_empty
from vmz.files import OutputKind
from vmz.processes import group, identity


class Work:
    """A folder of rows of each process: beside the output, where a later run finds them.

    is_temporary: the output is a device or a pipe, which has nothing beside it. All processes make it together.
    """

    def __init__(self, output: str) -> None:
        self.is_temporary = OutputKind(output).through
        self._folder = work_folder(output)
        if self.is_temporary:
            self._folder = group.share(None if identity.rank() else Path(tempfile.mkdtemp(prefix="vmz_"), "parts"))

    def claim(self, recorded: Mapping[str, Any], resume: bool) -> None:
        """Take it for a run of these settings; all processes wait for the first to do so."""
        if not identity.rank():
            discard_empty(self._folder)
            claim(self._folder, {**recorded, "processes": identity.world_size()}, resume and not self.is_temporary)
        group.share(None)

    def own_folder(self) -> Path:
        """Of this process."""
        return self._folder / str(identity.rank())

    def folders(self) -> list[Path]:
        """Of all processes, by rank."""
        return [self._folder / str(rank) for rank in range(identity.world_size())]

    def discard_if_empty(self) -> None:
        """After a failure: nothing is left that a later run could go on with."""
        if not identity.rank():
            discard_empty(self._folder)

    def remove(self) -> None:
        """After success."""
        shutil.rmtree(self._folder.parent if self.is_temporary else self._folder)


def work_folder(output: str) -> Path:
    """Where the rows are gathered, beside the file to be: on the same disk."""
    return Path(f"{output}.parts")
