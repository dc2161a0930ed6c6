"""What is shown of text that nobody vouches for."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from vmz.progress import Progress
from vmz.text import VisibleStream, counted, cut, printable, quoted, visible, visible_output

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    "letter", [*BIDIRECTIONAL, *"\u200b\u2028\u2029\u2060\ufeff\xad\x9b\ud800\U000e0041\ufdd0\uffff\U0001fffe"]
)
def test_what_cannot_be_seen_is_shown_by_its_code_point(letter: str) -> None:
    assert visible(f"a{letter}b") == f"a[U+{ord(letter):04X}]b"
    assert printable(f"a{letter}b") == f"a[U+{ord(letter):04X}]b"


def test_what_can_be_seen_stays() -> None:
    for text in ("größer 車 הליכה", "👩\u200d🚀", "\u0645\u06cc\u200c\u062e\u0648", "12\u202f345", "a\tb\nc"):
        assert visible(text) == text
    assert visible("\x1b[2J\x07\r\x7f") == "\\x1b[2J\\x07\\x0d\\x7f"
    assert printable("a\nb\tc") == "a\\x0ab\\x09c"
    assert printable(b"\xff\xfeclip") == printable("\udcff\udcfeclip") == "\\xff\\xfeclip"


def test_messages_are_bounded() -> None:
    doubled: tuple[object, ...] = ()
    for _ in range(60):
        doubled = (doubled, doubled)  # its repr would have 2 ** 60 letters
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (doubled, deep, "x" * 10**7, b"x" * 10**7, 7**200_000, {i: "y" * 999 for i in range(999)}):
        assert len(quoted(value)) < 300
    assert quoted("left") == "'left'" and quoted(12) == "12" and quoted([1, None]) == "[1, None]"
    assert cut("a" * 10, 4) == "aaaa... (10 characters)"


def test_all_that_is_printed_is_visible(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with visible_output():
        print("name: \u202egnp.exe\x1b[31m")
        print("note \u2066", file=sys.stderr)
        with Progress(1, "videos", "read\u202e") as shown:
            shown.update()
    assert sys.stdout is before
    out, err = capsys.readouterr()
    assert out == "name: [U+202E]gnp.exe\\x1b[31m\n"
    assert err.startswith("note [U+2066]\nread[U+202E]: 1/1 videos")


def test_letters_that_the_terminal_lacks() -> None:
    raw = io.BytesIO()
    stream = VisibleStream(io.TextIOWrapper(raw, encoding="ascii"))
    print("größer", file=stream)  # type: ignore[arg-type]
    stream.flush()
    assert raw.getvalue() == b"gr\\xf6\\xdfer\n"


@pytest.mark.parametrize("place", ["/dev/full", "pipe"])
def test_a_program_goes_on_where_nothing_more_can_be_printed(place: str) -> None:
    """A full disk, or a reader that has gone: as a process, for its buffers are written once more at its end."""
    program = """
import sys
from vmz.text import visible_output
with visible_output() as shown:
    print("x" * 99999, flush=True)
    print(2)
    print(shown.failed, file=sys.stderr)
"""
    with open(os.devnull if place == "pipe" else place, "w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE if place == "pipe" else output, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if place == "pipe":
            assert process.stdout is not None
            process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait() == 0
    assert errors.strip() == ("[Errno 32] Broken pipe" if place == "pipe" else "[Errno 28] No space left on device")


@pytest.mark.parametrize(
    ("number", "what", "text"),
    [(0, "clip", "0 clips"), (1, "clip", "1 clip"), (2, "class", "2 classes"), (1, "class", "1 class"),
     (3, "batch", "3 batches"), (2, "training video", "2 training videos"), (2, "entry", "2 entries"),
     (2, "epoch", "2 epochs")],
)  # fmt: skip
def test_one_is_singular(number: int, what: str, text: str) -> None:
    assert counted(number, what) == text
