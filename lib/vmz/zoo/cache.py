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
from typing import Any, Callable, Optional, TypeVar, Union
from urllib.parse import quote, unquote, urlsplit

from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import Each, instance, read_json
from vmz.files import write_json
from vmz.outputs import HeldError, Output, in_progress
from vmz.progress import Progress
from vmz.text import cut, printable, quoted
from vmz.zoo.download import PATIENT, Patience, Received, download, measured
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


def local_file(row: ZooRow) -> Optional[Path]:
    """The file of a private zoo's row whose url is a path, beside the manifest or file:///; None for an address."""
    url = str(row.url)
    if row.manifest is None or row.url is None:
        return None
    if url.startswith("file://"):
        return Path(unquote(urlsplit(url).path))
    return None if "://" in url else Path(row.manifest).parent / url


def place(row: ZooRow) -> Path:
    """Where the file of a row is in the cache, or would be; that of a private zoo in a folder of its manifest."""
    if row.manifest is None:
        return folder() / file_name(row)
    return folder() / f"zoo-{hashlib.sha256(row.manifest.encode()).hexdigest()[:12]}" / file_name(row)


def cached(row: ZooRow) -> Optional[Path]:
    """The file of a row where it is here, whole: in the cache, or where a private zoo has it."""
    own = local_file(row)
    return next((path for path in (own, place(row)) if path is not None and path.is_file()), None)


def sources(row: ZooRow) -> list[str]:
    """The addresses to ask, in order: $VMZ_MIRROR/FILE where that is set, the published link, the row's mirrors.

    The mirror has no files of private zoos. Of those the first may be a path.
    """
    file_name(row)
    mirror = os.environ.get(MIRROR, "") if row.manifest is None else ""
    own = local_file(row)
    return [
        *([f"{mirror.rstrip('/')}/{quote(unquote(str(row.file)))}"] if mirror else []),
        str(own or row.url),
        *row.mirrors,
    ]


def fetch(row: ZooRow, again: bool = False, patience: Patience = PATIENT, quiet: bool = False) -> Path:
    """The file of a row, fetched if it is not in the cache.

    again: fetch it although it is there, and take what comes for the right one. While another process fetches the same
    file this one waits for it. Raises UsageError for a model without a file and for a cache that cannot be written,
    VmzError where no address gives the file, and where one gives another file than the one that came first.
    """
    found = cached(row)
    own = local_file(row)
    if found is not None and found == own:
        if row.sha256 is not None or row.bytes is not None:
            _compare_with_manifest(row, found, _read(found))
        return found
    key = _key(place(row))
    known = record().get(key)
    if found is not None and not again:
        if known is not None:
            _compare_with_manifest(row, found, known)
        return found
    if own is not None and not row.mirrors:
        raise UsageError(f"{row.name}: there is no file {own}, which {row.manifest} names; correct its url")
    refuse_offline(file_name(row), folder())
    make_folder(place(row).parent)
    addresses = sources(row) if own is None else list(row.mirrors)
    wanted = row.sha256 or (known.sha256 if known is not None and not again else None)

    def get() -> Optional[Received]:
        if cached(row) is not None and not again:  # another process has fetched it meanwhile
            return None
        return download(addresses, place(row), wanted, patience, shown(row.name, quiet), row.bytes)

    received = in_turn(get, f"note: another process fetches {file_name(row)}; waiting for it")
    if received is not None:
        note(key, received)
    return place(row)


def refuse_offline(name: str, where: Path) -> None:
    """Raise UsageError where the network is forbidden."""
    if os.environ.get(OFFLINE, "0") not in ("", "0"):
        raise UsageError(
            f"{name} is not in {where}, and {OFFLINE} forbids downloading it; put the file there, or unset {OFFLINE}"
        )


def verify(row: ZooRow) -> Fetched:
    """Read a file that is here and hold it against what came, and what the manifest says.

    Raises UsageError where it is not there, VmzError where it is another one.
    """
    path = cached(row)
    if path is None:
        raise UsageError(f"{file_name(row)} is not in {folder()}; run tools/zoo.py fetch {row.name} to download it")
    found = _read(path)
    known = Fetched(found.bytes, found.sha256, str(path), "") if path == local_file(row) else verified(path, found)
    _compare_with_manifest(row, path, found)
    return known


def verified(path: Path, found: Optional[Received] = None) -> Fetched:
    """Hold a file of the cache against what came, as `verify` does."""
    found = found or _read(path)
    known = record().get(_key(path))
    if known is None:  # somebody put it there
        known = note(_key(path), found)
    if found.sha256 != known.sha256:
        raise VmzError(
            f"{path} is not the file downloaded from {known.source} on {known.fetched}: its SHA-256 is "
            f"{found.sha256}, not {known.sha256}; remove it and fetch it again"
        )
    return known


def _compare_with_manifest(row: ZooRow, path: Path, found: Union[Received, Fetched]) -> None:
    """Raise VmzError where a file is not the one that the manifest describes."""
    for what, wanted, have in (("size in bytes", row.bytes, found.bytes), ("SHA-256", row.sha256, found.sha256)):
        if wanted is not None and str(wanted).lower() != str(have):
            raise VmzError(
                f"{path} is not the file of {row.name} in the manifest: its {what} is {have}, not "
                f"{str(wanted).lower()}; remove it, or correct the manifest"
            )


def _read(path: Path) -> Received:
    """The size and hash of a file."""
    with open(path, "rb") as stream, Progress(path.stat().st_size, "B", f"reading {path.name}") as shown:
        return measured(stream, str(path), shown.update)


def _key(path: Path) -> str:
    """The name of a file of the cache in its record."""
    return path.relative_to(folder()).as_posix()


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


def note(name: str, received: Received) -> Fetched:
    """Write down what came."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    noted = Fetched(received.bytes, received.sha256, received.source, now)
    path = folder() / RECORD

    def write() -> None:
        with in_progress(Output("the record of the cache", path)):
            entries: dict[str, Any] = {key: asdict(entry) for key, entry in record().items()}
            write_json(path, {**entries, name: asdict(noted)})

    in_turn(write)
    return noted


def in_turn(work: Callable[[], T], says: str = "") -> T:
    """What `work` gives, once no other process writes what it writes. says: on stderr, where that takes waiting."""
    while True:
        try:
            return work()
        except HeldError:
            if says:
                print(says, file=sys.stderr, flush=True)
            says = ""
            time.sleep(WAIT_SECONDS)


def make_folder(path: Path) -> None:
    """Make a folder of the cache. Raises UsageError where that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot create the cache {folder()}: {error.strerror}; set {CACHE} to another folder"
        ) from error


def shown(name: str, quiet: bool) -> Callable[[Optional[int], int], Callable[[int], Any]]:
    """What `download` calls, to show how far it is."""

    def started(total: Optional[int], before: int) -> Callable[[int], Any]:
        bar = Progress(total, "B", f"fetching {name}", done=before, quiet=quiet)
        came = before

        def update(count: int) -> None:
            nonlocal came
            came += count
            bar.update(count)
            if came == total:
                bar.close()

        return update

    return started
