"""Videos that end before their end: by an error, by a file that is cut off; and files that only state wrong figures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.goldens.recordings import SHARED
from tests.support.small_videos import broken_in_the_middle, cut_off, encoded
from vmz.video.frames.decoding import Video
from vmz.video.frames.ending import CUT_OFF, Ending, is_cut_off

KINDS = [
    ("a.mp4", "mpeg4", {"movflags": "faststart"}),
    ("a.avi", "mpeg4", {}),
    ("a.mkv", "mpeg4", {}),
    ("a.webm", "libvpx", {}),
]


def ending(content: bytes) -> Optional[Ending]:
    with Video(content) as video:
        for _ in video.read():
            assert video.ending is None  # there is more to read
        return video.ending


@pytest.mark.parametrize(("name", "codec", "options"), KINDS)
def test_a_file_that_is_cut_off(name: str, codec: str, options: dict[str, str], tmp_path: Path) -> None:
    content = encoded(tmp_path / name, 24, codec, options)
    assert ending(content) is None and not is_cut_off(io.BytesIO(content))
    half = content[: len(content) * 2 // 3]
    found = ending(half)
    assert found is not None and found.reason == CUT_OFF and found.frames is not None and 8 <= found.frames < 24
    assert is_cut_off(io.BytesIO(half))


@pytest.mark.parametrize("count", [1, 20])
def test_what_is_missing_behind_the_last_frame_is_no_loss(count: int, tmp_path: Path) -> None:
    content = encoded(tmp_path / "a.avi", 24)
    assert is_cut_off(io.BytesIO(content[:-count])) and ending(content[:-count]) is None


def test_a_decoding_error(tmp_path: Path) -> None:
    found = ending(broken_in_the_middle(tmp_path / "a.mp4"))
    assert found is not None and found.frames == 10 and found.reason and found.reason != CUT_OFF


def test_reading_only_a_part_says_nothing(tmp_path: Path) -> None:
    for content in (broken_in_the_middle(tmp_path / "a.mp4"), cut_off(tmp_path / "b.mp4")):
        with Video(content) as video:
            next(video.read())
            assert video.ending is None


def test_a_file_that_cannot_be_read_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp4"
    content = encoded(path, 200, options={"movflags": "faststart"})
    with Video(str(path)) as video:
        frames = video.read()
        next(frames)

        def broken(size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

        file: Any = video.file.file
        file.read = broken
        left = sum(1 for _ in frames)
    if left < 199:  # FFmpeg had not read all of it ahead
        assert video.ended_by is not None
    assert len(content) > 1 << 16


def test_numbers_without_meaning_are_no_structure() -> None:
    riffs = (b"RIFF", b"RIFF\0\0\0\0AVI ", b"RIFF\xff\xff\xff\xffAVI ")
    for content in (b"", *riffs, b"\x1a\x45\xdf\xa3", b"\0\0\0\1ftyp"):
        assert not is_cut_off(io.BytesIO(content + bytes(32)))
    live = b"\x1a\x45\xdf\xa3\x81\0" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7  # a stream of unknown length
    assert not is_cut_off(io.BytesIO(live))


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="no ../shared/cases")
def test_the_cases() -> None:
    found = {}
    good = ("trim_editlist.mp4", "plain.mp4", "start3.mp4", "ts_restart.ts", "pal8_raw.avi")
    for name in ("bad_packet_middle.mp4", *good):
        found[name] = ending((SHARED / "cases" / name).read_bytes())
    early = found.pop("bad_packet_middle.mp4")
    assert early is not None and early.frames == 18
    assert set(found.values()) == {None}
