"""Files by name, each made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any


class MadeFiles(Mapping[str, Path]):
    """`makers`: {name: what makes the file or folder at a path, given these files too}, below `folder`."""

    def __init__(self, folder: Path, makers: Mapping[str, Callable[[Any, Path], None]]) -> None:
        self.folder, self._makers = folder, makers
        folder.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, name: str) -> Path:
        path = self.folder / self.file_name(name)
        if not path.exists():
            self._makers[name](self, path)
        return path

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def file_name(self, name: str) -> str:
        """What the file is called in the folder."""
        return name
