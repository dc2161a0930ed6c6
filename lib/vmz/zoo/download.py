"""A file from the network, from one of several addresses: resumed after a cut, and there only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Callable, Optional, Union
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from vmz import __version__
from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import read_json
from vmz.files import REFUSED, hidden_name
from vmz.outputs import Output, in_progress
from vmz.text import counted, cut, printable

CHUNK_BYTES = 1 << 18
WEB_PAGE = re.compile(
    rb"\s*(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)", re.IGNORECASE | re.DOTALL
)
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others in a moment


@dataclass(frozen=True)
class Patience:
    """attempts: of one address, counted anew when bytes came. seconds: without a byte. slowest: bytes a second over
    `seconds`, below which it counts as standing still. pause: before the second attempt, doubled for each later one.
    """

    attempts: int = 5
    seconds: float = 30.0
    slowest: float = 1024.0
    pause: float = 1.0


@dataclass(frozen=True)
class Received:
    """What came. source: the address it came from."""

    bytes: int
    sha256: str
    source: str


PATIENT = Patience()


def measured(stream: IO[bytes], source: str, read: Optional[Callable[[int], Any]] = None) -> Received:
    """The size and hash of a file from here on. read: called with the number of bytes of each piece."""
    digest, size = hashlib.sha256(), 0
    for chunk in iter(lambda: stream.read(1 << 20), b""):
        digest.update(chunk)
        size += len(chunk)
        if read is not None:
            read(len(chunk))
    return Received(size, digest.hexdigest(), source)


class _Refused(Exception):
    """An address does not give the file, and will not if it is asked again."""


class AbsentError(VmzError):
    """No address has the file: each answers 404."""


class _Absent(_Refused):
    """An address says that there is no such file."""


class _GaveUp(_Refused):
    """An address was asked often enough; what came of its file may be of use later."""


class _Interrupted(Exception):
    """An address may give the rest of the file if it is asked again."""


def download(
    sources: Sequence[str],
    target: Union[str, Path],
    sha256: Optional[str] = None,
    patience: Patience = PATIENT,
    started: Callable[[Optional[int], int], Callable[[int], Any]] = lambda total, before: lambda count: None,
    bytes: Optional[int] = None,
) -> Received:
    """Fetch a file into the folder of `target`, which is there, from the first of the addresses that gives it.

    What comes is kept in a hidden file beside `target` until it is whole, and a later call goes on from there.
    started: called with (bytes of the file or None, bytes that were here already) when an address begins to give it;
    what it returns is called with the number of bytes of each piece. sha256, bytes: of the file, where they are known.
    Raises UsageError for an address that is none of http or https, AbsentError where every address says that there is
    no such file, VmzError naming each address and why it did not give the file, and where the disk is full.
    """
    target = Path(target)
    for source in sources:
        if urlsplit(source).scheme not in ("http", "https"):
            raise UsageError(f"{printable(source)} is not an http or https address")
    reasons, absent = [], True
    with in_progress(Output("the download", target)):
        part = _Part(target, sha256)
        for source in map(direct, sources):
            try:
                _fetch(source, part, patience, started)
                return part.finish(source, bytes)
            except _Refused as error:
                absent = absent and isinstance(error, _Absent)
                if not isinstance(error, _GaveUp) or not part.begun(source)[0]:
                    part.remove()  # of no use later
                reasons.append(f"{printable(source)}: {error}")
            except OSError as error:
                if error.errno not in REFUSED:
                    raise
                part.remove()  # a full disk is no place for half a file
                raise VmzError(f"cannot write {target}: {error.strerror}; nothing of it is left") from error
    kept = "; the downloaded part is kept, and the same command resumes from there" if part.path.exists() else ""
    kind = AbsentError if absent else VmzError
    raise kind(f"cannot fetch {target.name}: {'; '.join(reasons)}{kept}")


def direct(source: str) -> str:
    """The address of the file itself: Dropbox's links with dl=0 lead to a web page about it, those with dl=1 to it."""
    parts = urlsplit(source)
    if parts.hostname is None or not (parts.hostname == "dropbox.com" or parts.hostname.endswith(".dropbox.com")):
        return source
    query = {**dict(parse_qsl(parts.query, keep_blank_values=True)), "dl": "1"}
    return urlunsplit(parts._replace(query=urlencode(query)))


class _Part:
    """The hidden file that bytes are gathered in, and beside it where they came from. sha256: what it should have."""

    def __init__(self, target: Path, sha256: Optional[str]) -> None:
        self.target, self.sha256 = target, sha256
        self.path = target.with_name(hidden_name(target.name, ".part"))
        self._about = target.with_name(hidden_name(target.name, ".part.json"))

    def begun(self, source: str) -> tuple[int, Optional[str]]:
        """(bytes that are here of this address's file, what tells whether it is still that file)."""
        try:
            about = read_json(self._about, str(self._about), {"source": str, "validator": str})
            if about["source"] == source and about["validator"].isascii() and about["validator"].isprintable():
                return self.path.stat().st_size, about["validator"]
        except (OSError, VmzError):  # it is not there, or of no use
            pass
        return 0, None

    def begin(self, source: str, validator: Optional[str]) -> None:
        """Nothing is here yet."""
        self.remove()
        if validator is not None:
            self._about.write_text(json.dumps({"source": source, "validator": validator}), "utf-8")

    def finish(self, source: str, bytes: Optional[int]) -> Received:
        """Check what came and give it its name."""
        with open(self.path, "rb") as stream:
            received = measured(stream, source)
            os.fsync(stream.fileno())
        if bytes is not None and received.bytes != bytes:
            self.remove()
            raise _Refused(f"gives another file: it has {counted(received.bytes, 'byte')}, not {bytes}")
        if self.sha256 is not None and received.sha256 != self.sha256.lower():
            self.remove()
            raise _Refused(f"gives another file: its SHA-256 is {received.sha256}, not {self.sha256.lower()}")
        os.replace(self.path, self.target)
        self.remove()
        return received

    def remove(self) -> None:
        for path in (self.path, self._about):
            with suppress(OSError):
                path.unlink()


def _fetch(source: str, part: _Part, patience: Patience, started: Callable[..., Callable[[int], Any]]) -> None:
    """All of the file into the part. Raises _Refused, OSError of the disk."""
    failed = 0
    while True:
        before, _ = part.begun(source)
        try:
            return _attempt(source, part, patience, started)
        except _Interrupted as error:
            came = part.begun(source)[0] > before
            failed = 1 if came else failed + 1
            if failed >= patience.attempts:
                raise _GaveUp(f"{error}, {counted(failed, 'time')}") from error
            time.sleep(patience.pause * 2 ** (failed - 1))


def _attempt(source: str, part: _Part, patience: Patience, started: Callable[..., Callable[[int], Any]]) -> None:
    have, validator = part.begun(source)
    headers = {"User-Agent": f"vmz/{__version__}", "Accept-Encoding": "identity"}
    if have and validator is not None:
        headers.update({"Range": f"bytes={have}-", "If-Range": validator})
    try:
        with _opener().open(urllib.request.Request(source, headers=headers), timeout=patience.seconds) as answer:
            _receive(answer, source, part, have, patience, started)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the file is shorter than what is here
            part.remove()
            raise _Interrupted("gives another file than before") from error
        kind = _Interrupted if error.code in AGAIN else _Absent if error.code == 404 else _Refused
        raise kind(f"answers {error.code} {printable(str(error.reason))}".strip()) from error
    except urllib.error.URLError as error:
        raise _of_connection(error.reason) from error
    except (socket.timeout, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _of_connection(error) from error


def _of_connection(reason: Any, late: str = "does not answer") -> Exception:
    """late: what to say of one that took too long."""
    if isinstance(reason, (socket.timeout, TimeoutError)):
        return _Interrupted(late)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _Refused(f"its certificate is not trusted ({cut(printable(reason.verify_message))})")
    if isinstance(reason, socket.gaierror):
        return _Refused(f"its host is not found ({printable(reason.strerror or str(reason))})")
    if isinstance(reason, OSError) and reason.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return _Refused(f"cannot be reached ({reason.strerror})")
    if isinstance(reason, str):  # of urllib itself: no such kind of address
        return _Refused(f"cannot be reached ({cut(printable(reason))})")
    said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return _Interrupted(f"broke off ({cut(printable(said))})")


def _receive(
    answer: Any, source: str, part: _Part, have: int, patience: Patience, started: Callable[..., Callable[[int], Any]]
) -> None:
    fields: Mapping[str, str] = answer.headers
    resumed = answer.status == 206 and (fields.get("Content-Range") or "").startswith(f"bytes {have}-")
    if answer.status == 206 and not resumed:
        raise _Refused("gives another part of the file than was asked for")
    if "text/html" in (fields.get("Content-Type") or "").lower():
        raise _Refused("gives a web page, not the file")
    have = have if resumed else 0
    length = fields.get("Content-Length")
    total = have + int(length) if length is not None and length.isdigit() else None
    if total is None and not answer.chunked and part.sha256 is None:
        raise _Refused("does not say how long the file is, so that a part of it would pass for all of it")
    if not resumed:
        part.begin(source, _validator(fields))
    came = started(total, have)
    with open(part.path, "ab" if resumed else "wb") as stream:
        size = have + _copy(answer, stream, patience, came, not resumed)
    if total is not None and size != total:
        raise _Interrupted(f"broke off after {size} of {counted(total, 'byte')}")
    if size == 0:
        raise _Refused("gives an empty file")


def _validator(fields: Mapping[str, str]) -> Optional[str]:
    """A strong entity tag, or the date of the file: what If-Range takes."""
    tag = fields.get("ETag")
    return tag if tag and not tag.startswith("W/") else fields.get("Last-Modified")


def _copy(answer: Any, stream: IO[bytes], patience: Patience, came: Callable[[int], Any], first: bool) -> int:
    """Returns how many bytes came."""
    size, since, since_size = 0, time.monotonic(), 0
    while True:
        try:
            chunk = answer.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _of_connection(error, f"gave no byte for {patience.seconds:g} s") from error
        if not chunk:
            return size
        if first and size == 0 and WEB_PAGE.match(chunk):
            raise _Refused("gives a web page, not the file")
        stream.write(chunk)
        size += len(chunk)
        came(len(chunk))
        now = time.monotonic()
        if now - since >= patience.seconds:
            if (size - since_size) / (now - since) < patience.slowest:
                raise _Interrupted(f"gives less than {patience.slowest:g} bytes a second")
            since, since_size = now, size


def _opener() -> urllib.request.OpenerDirector:
    """Of http and https only, also where a redirection leads to."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
