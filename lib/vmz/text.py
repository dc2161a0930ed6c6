"""Text of unknown origin in messages, on terminals and in pages: what cannot be seen is named, what is long is cut."""

from __future__ import annotations

import os
import re
import reprlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Optional, TextIO, Union

QUOTED_AT_MOST = 200  # characters of a file's own data in a message
_LATIN1 = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
# C1, soft hyphen, bidirectional marks, embeddings and isolates, line and paragraph separators, invisible operators,
# byte order mark, annotations, halves of surrogate pairs, tags, what is no character. ZWJ and ZWNJ stay: words and
# emoji need them.
_NO_CHARACTERS = "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
_INVISIBLE = re.compile(
    "[\x80-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    f"\U000e0000-\U000e0fff\ufdd0-\ufdef{_NO_CHARACTERS}]"
)


def visible(text: str) -> str:
    """Text in which every character is seen: controls as \\x1b, bidirectional and other invisible ones as [U+202E].

    Line ends and tabs stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _LATIN1.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return _INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def printable(text: Union[str, bytes]) -> str:
    """One line of text that can be shown anywhere: as `visible`, and what is no UTF-8 as \\xNN, line ends as \\x0a."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) and _escapable(text) else text
    shown = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    if shown.isascii() and shown.isprintable():
        return shown
    return visible(shown).replace("\n", "\\x0a").replace("\t", "\\x09")


def _escapable(text: str) -> bool:
    """Whether all halves of surrogate pairs stand for bytes, as those of file names do."""
    return not re.search("[\ud800-\udc7f\udd00-\udfff]", text)


def cut(text: str, most: int = QUOTED_AT_MOST) -> str:
    """`text`, or the first `most` characters of it and how many there are."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


_PLURALS = {"entry": "entries", "copy": "copies", "axis": "axes", "epoch": "epochs"}


def counted(number: int, what: str) -> str:
    """ "1 video", "3 videos", "2 classes"; large numbers as they are. what: in the singular, its last word counted."""
    return f"{number} {plural(number, what)}"


def plural(number: float, what: str) -> str:
    """`what`, in the singular, as it stands after a number: "video" after 1, else "videos"."""
    if number == 1:
        return what
    head, space, last = what.rpartition(" ")
    return f"{head}{space}{_PLURALS.get(last) or last + ('es' if last.endswith(('s', 'x', 'ch', 'sh')) else 's')}"


class _Quoted(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = 4
        self.maxstring = self.maxother = self.maxlong = 100

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= 256 else f"an integer of {x.bit_length()} bits"

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= self.maxother else f"{x[: self.maxother]!r}..."


_quoted = _Quoted()


def quoted(value: object) -> str:
    """A value out of a file as a message quotes it: its repr, of bounded length however large or nested it is."""
    return cut(printable(_quoted.repr(value)))


class VisibleStream:
    """A text stream that shows what is written to it as `visible` does, also where its encoding lacks a letter.

    Where nothing more can be written, as on a full disk, or nobody reads it any more, the rest is dropped and the
    program goes on: its work is worth more than its words. `failed` says why.
    """

    def __init__(self, stream: TextIO) -> None:
        self.terminal = stream  # for a progress bar, which moves the cursor
        self.failed: Optional[OSError] = None

    def write(self, text: str) -> int:
        with self._going_on():
            try:
                self.terminal.write(visible(text))
            except UnicodeEncodeError:
                encoding = self.terminal.encoding
                self.terminal.write(visible(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        with self._going_on():
            self.terminal.flush()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failed = self.failed or error
            with suppress(OSError, ValueError):  # what is in its buffer goes nowhere
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.terminal.fileno())
                os.close(nowhere)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)


@contextmanager
def visible_output() -> Iterator[VisibleStream]:
    """Let all that is printed, to stdout and to stderr, be seen as `visible` shows it; gives the first of them."""
    before = sys.stdout, sys.stderr
    streams = [VisibleStream(stream) for stream in before]
    sys.stdout, sys.stderr = streams  # type: ignore[assignment]
    try:
        yield streams[0]
    finally:
        sys.stdout, sys.stderr = before
