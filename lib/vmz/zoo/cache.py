"""Where fetched checkpoints lie, and what they were when they came.

The folder is $VMZ_CACHE, else $XDG_CACHE_HOME/vmz, else ~/.cache/vmz. `fetched.json` in it has the SHA-256 of each
file: nobody published one, so the first that came is what later ones are held against.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar
from urllib.parse import quote, unquote

from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import Each, instance, read_json
from vmz.files import write_json
from vmz.outputs import HeldError, Output, in_progress
from vmz.progress import Progress
from vmz.text import cut, printable, quoted
from vmz.zoo.download import PATIENT, Patience, Received, download
from vmz.zoo.manifest import ZooRow

CACHE, OFFLINE, MIRROR = "VMZ_CACHE", "VMZ_OFFLINE", "VMZ_MIRROR"
RECORD = "fetched.json"
_SHA256 = re.compile("[0-9a-f]{64}")
LONGEST_SOURCE = 1000  # letters of an address in a message
WAIT_SECONDS = 0.2
T = TypeVar("T")
_FORM = Each({"bytes": int, "sha256": str, "source": str, "fetched": str})


@dataclass(frozen=True)
class Fetched:
    """What is known of a file that came. fetched: when, ISO 8601."""

    bytes: int
    sha256: str
    source: str
    fetched: str


def folder() -> Path:
    """The folder of the cache, which may not be there yet."""
    if os.environ.get(CACHE):
        return Path(os.environ[CACHE])
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "vmz"
    except RuntimeError as error:  # no home
        raise UsageError(f"there is no home folder for the cache; set {CACHE} to a folder") from error


def file_name(row: ZooRow) -> str:
    """The name of a row's file on disk. Raises UsageError for a model whose weights were never released."""
    if row.file is None or row.url is None:
        raise UsageError(f"{row.name} was announced, but its weights were never released; tools/zoo.py list has others")
    return unquote(row.file).replace("/", "_")


def cached(row: ZooRow) -> Optional[Path]:
    """The file of a row where it is in the cache, whole."""
    path = folder() / file_name(row)
    return path if path.is_file() else None


def sources(row: ZooRow) -> list[str]:
    """The addresses to ask, in order: $VMZ_MIRROR/FILE where that is set, then the published link."""
    file_name(row)
    mirror = os.environ.get(MIRROR, "")
    return [*([f"{mirror.rstrip('/')}/{quote(unquote(str(row.file)))}"] if mirror else []), str(row.url)]


def fetch(row: ZooRow, again: bool = False, patience: Patience = PATIENT, quiet: bool = False) -> Path:
    """The file of a row, fetched if it is not in the cache.

    again: fetch it although it is there, and take what comes for the right one. While another process fetches the same
    file this one waits for it. Raises UsageError for a model without
    a file and for a cache that cannot be written, VmzError where no address gives the file, and where one gives another
    file than the one that came first.
    """
    found = cached(row)
    if found is not None and not again:
        return found
    name = file_name(row)
    if os.environ.get(OFFLINE, "0") not in ("", "0"):
        raise UsageError(
            f"{name} is not in {folder()}, and {OFFLINE} forbids downloading it; put the file there, or unset {OFFLINE}"
        )
    _make_folder()
    known = record().get(name)
    wanted = known.sha256 if known is not None and not again else None

    def get() -> Optional[Received]:
        if cached(row) is not None and not again:  # another process has fetched it meanwhile
            return None
        return download(sources(row), folder() / name, wanted, patience, _shown(row, quiet))

    received = _in_turn(get, f"note: another process fetches {name}; waiting for it")
    if received is not None:
        _note(name, received)
    return folder() / name


def verify(row: ZooRow) -> Fetched:
    """Read a cached file and hold it against what came. Raises UsageError where it is not there, VmzError."""
    name = file_name(row)
    path = folder() / name
    if not path.is_file():
        raise UsageError(f"{name} is not in {folder()}; run tools/zoo.py fetch {row.name} to download it")
    known = record().get(name)
    size, digest = path.stat().st_size, hashlib.sha256()
    with open(path, "rb") as stream, Progress(size, "B", f"reading {name}") as shown:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
            shown.update(len(chunk))
    if known is None:  # somebody put it there
        known = _note(name, Received(size, digest.hexdigest(), str(path)))
    if digest.hexdigest() != known.sha256:
        raise VmzError(
            f"{path} is not the file downloaded from {known.source} on {known.fetched}: its SHA-256 is "
            f"{digest.hexdigest()}, not {known.sha256}; remove it and fetch it again"
        )
    return known


def record() -> Mapping[str, Fetched]:
    """{name of a file: what came}. Raises VmzError for a damaged record."""
    path = folder() / RECORD
    if not path.exists():
        return {}
    remedy = "remove it; files are then not compared with the first download"
    found = read_json(path, str(path), _FORM, VmzError, remedy)
    for name, entry in found.items():
        if not _SHA256.fullmatch(entry["sha256"]):
            raise VmzError(
                f"{path} is not as expected: the sha256 of {quoted(name)} is {quoted(entry['sha256'])}, not 64 "
                f"hexadecimal digits; {remedy}"
            )
        for field in ("source", "fetched"):  # messages have them
            entry[field] = cut(printable(entry[field]), LONGEST_SOURCE)
    return {name: instance(Fetched, entry) for name, entry in found.items()}


def _note(name: str, received: Received) -> Fetched:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    noted = Fetched(received.bytes, received.sha256, received.source, now)
    path = folder() / RECORD

    def write() -> None:
        with in_progress(Output("the record of the cache", path)):
            entries: dict[str, Any] = {key: asdict(entry) for key, entry in record().items()}
            write_json(path, {**entries, name: asdict(noted)})

    _in_turn(write)
    return noted


def _in_turn(work: Callable[[], T], says: str = "") -> T:
    """What `work` gives, once no other process writes what it writes. says: on stderr, where that takes waiting."""
    while True:
        try:
            return work()
        except HeldError:
            if says:
                print(says, file=sys.stderr, flush=True)
            says = ""
            time.sleep(WAIT_SECONDS)


def _make_folder() -> None:
    try:
        folder().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot create the cache {folder()}: {error.strerror}; set {CACHE} to another folder"
        ) from error


def _shown(row: ZooRow, quiet: bool) -> Callable[[Optional[int], int], Callable[[int], Any]]:
    def started(total: Optional[int], before: int) -> Callable[[int], Any]:
        shown = Progress(total, "B", f"fetching {row.name}", done=before, quiet=quiet)
        came = before

        def update(count: int) -> None:
            nonlocal came
            came += count
            shown.update(count)
            if came == total:
                shown.close()

        return update

    return started
