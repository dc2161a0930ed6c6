"""What a folder of outputs holds, so that two runs can be compared: all but times and versions."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from vmz.checkpoints.loading import load
from vmz.video.database.lmdb_database import VideoDatabase

PARTIAL = re.compile(r"\.parts$")  # rows that a later run goes on with
HIDDEN = re.compile(r"\.(.+)\.(?:[0-9a-f]{8}|lock)")
UNLIKE = {"clips_per_second", "environment", "files", "published"}  # differ from run to run


class Half(Exception):
    """A file that is not whole."""


def contents(folder: Path) -> dict[str, str]:
    """{path below the folder: a hash of what it holds}; of a database, one of all its records. Raises Half."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if any(PARTIAL.search(part) or part.startswith(".") for part in Path(name).parts):
            continue
        if path.is_dir() and not (path / "data.mdb").exists():
            continue
        if path.is_file() and (path.parent / "data.mdb").exists():
            continue
        try:
            found[name] = hashlib.sha256(repr(_value(path)).encode()).hexdigest()[:16]
        except Exception as error:
            raise Half(f"{name} is not whole: {type(error).__name__}: {str(error)[:200]}") from error
    return found


def hidden(folder: Path) -> list[str]:
    """Temporary files, folders and locks, wherever they are below the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*") if HIDDEN.fullmatch(path.name))


def _value(path: Path) -> Any:
    if path.is_dir():
        with VideoDatabase(path) as database:
            return [vars(record) for record in database], (path / "names.csv").read_bytes()
    if path.suffix in (".mdl", ".pkl") and path.name != "out.pkl":
        found = load(path)
        return _arrays(found.blobs), plain(found.about)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return _arrays({name: archive[name] for name in archive.files})
    if path.suffix == ".h5":
        import h5py

        with h5py.File(path, "r") as file:
            return _arrays({name: file[name][()] for name in file})
    if path.suffix == ".json":
        return plain(json.loads(path.read_text()))
    if path.suffix == ".html":
        text = path.read_text()
        if not text.rstrip().endswith("</html>"):
            raise ValueError("it does not end in </html>")
        return re.sub(r"[\d.]+", "#", text) if "<svg" not in text else "a page of curves, with its times"
    return path.read_bytes()


def _arrays(arrays: dict[str, np.ndarray]) -> list[Any]:
    return [
        (name, array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).hexdigest())
        for name, array in sorted(arrays.items())
    ]


def plain(value: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(value, dict):
        kept = [name for name in sorted(value) if name not in UNLIKE and not str(name).endswith("seconds")]
        return {name: plain(value[name]) for name in kept}
    return [plain(entry) for entry in value] if isinstance(value, list) else value
