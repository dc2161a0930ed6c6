"""A writer on an engine: what an undisturbed run of it leaves, and what is wrong with what a disturbed one does."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from tests.campaign.disturbed.contents import Half, contents, hidden
from tests.campaign.disturbed.forked import Ended, Moment, Run, run
from tests.campaign.disturbed.writers import Writer
from tests.campaign.isolated import UNCLEAN

# Files of somebody else, with names like those of ours.
OTHERS = (".out.npz.old.1234abcd", ".run_1.mdl.0123456", ".db.notes", "run_1.mdl.bak", ".vmz", "notes.parts.txt")
NOT_OURS = b"not yours"


class Case:
    """Its runs all write to the same folder, `out`, for files tell of their paths."""

    def __init__(self, writer: Writer, engine: str, inputs: Mapping[str, Path], folder: Path) -> None:
        self.writer, self.engine = writer, engine
        self.out, self.logs = folder / "out", folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.argv = writer.argv(inputs, self.out, engine)
        self.reference: dict[str, str] = {}
        self.undisturbed = self.first_runs()

    def first_runs(self) -> Ended:
        """Two undisturbed runs, which give the same; the modules that they load are then loaded here, once for all."""
        loaded = self.logs / "modules"
        for _ in range(2):
            self.empty()
            ended = run(self.writer.tool, self.argv, self.out, self.logs, modules=loaded)
            if ended.status:
                what = f"an undisturbed run fails with status {ended.status}"
                raise RuntimeError(f"{self.writer.name}: {what}: {ended.errors}")
            found = contents(self.out)
            wrong = self.wrong_contents(found) if self.reference else ""
            if wrong or self.lacking(ended):
                raise RuntimeError(f"{self.writer.name}: two undisturbed runs differ: {wrong or ended.output}")
            self.reference = found
            for name in loaded.read_text().split("\n"):
                try:
                    importlib.import_module(name)
                except Exception:  # made in a run, or of an optional package
                    continue
        return ended

    def empty(self) -> None:
        """Only other people's files are there."""
        if self.out.exists():
            for path in self.out.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.out.mkdir(exist_ok=True)
        for name in OTHERS:
            (self.out / name).write_bytes(NOT_OURS)

    def run(self, moment: Optional[Moment] = None) -> Ended:
        for old in self.logs.glob("run_*"):
            shutil.rmtree(old)
        return run(self.writer.tool, self.argv, self.out, self.logs, moment=moment)

    def start(self, moment: Optional[Moment] = None) -> Run:
        return Run(self.writer.tool, self.argv, self.out, self.logs, moment)

    def found(self) -> dict[str, str]:
        """What is there of ours. Raises Half."""
        return {name: one for name, one in contents(self.out).items() if name not in OTHERS}

    def lacking(self, ended: Ended) -> str:
        """Of a run's printed figures."""
        return "" if self.writer.figures in ended.output else f"it has not printed its figures: {ended.errors[-300:]}"

    def wrong_contents(self, found: Mapping[str, str]) -> str:
        """How they differ from those of an undisturbed run."""
        names = {*found, *self.reference} - set(OTHERS)
        different = sorted(name for name in names if found.get(name) != self.reference.get(name))
        return f"not as an undisturbed run leaves it: {', '.join(different)}" if different else ""

    def wrong_on_the_way(self) -> str:
        """Of the files after a run that did not come to its end: one that is half, or of other content."""
        try:
            found = self.found()
        except Half as error:
            return str(error)
        for name, one in found.items():
            if name not in self.writer.changes and one != self.reference.get(name):
                return f"{name} is neither absent nor as it should be"
        return self.touched()

    def touched(self) -> str:
        for name in OTHERS:
            path = self.out / name
            if not path.exists() or path.read_bytes() != NOT_OURS:
                return f"{name}, a file of somebody else, was touched"
        return ""

    def hidden(self) -> list[str]:
        return [name for name in hidden(self.out) if name not in OTHERS]

    def wrong_end(self, ended: Ended) -> str:
        """Of a run that nobody disturbs: its status, its files, what is left."""
        refused = bool(self.writer.again) and ended.status == 2 and self.writer.again in ended.errors
        if ended.status and not refused:
            return f"the run after it ends with status {ended.status}: {ended.errors[-400:]}"
        try:
            wrong = self.wrong_contents(self.found())
        except Half as error:
            return str(error)
        left = self.hidden()
        return wrong or (f"left behind: {', '.join(left)}" if left else "") or self.touched()


def unclean(ended: Ended, statuses: tuple[int, ...] = (1, 2)) -> str:
    """What is wrong with how a run says that it failed: it should in one sentence, and a line for each output."""
    if ended.status not in statuses:
        return f"status {ended.status}: {ended.errors[-300:]}"
    if UNCLEAN.search(ended.errors) or UNCLEAN.search(ended.output):
        return f"an unclean end: {ended.errors[-400:]}"
    if not any(line.startswith("error: ") for line in ended.errors.splitlines()):
        return f"no sentence: {ended.errors[-300:]}"
    return ""
