"""Which data is an LMDB, and which a list or a folder of class folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.listed_videos import same_videos
from vmz.datasets.listed_data import is_listed


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("list.csv", b"", True),
        ("list", b"a.mp4 1\n", True),
        ("list", "a.mp4 1\n".encode("utf-16"), True),
        ("list", b"", False),
        ("data.mdb", b"a.mp4 1\n", False),
        ("film.mp4", b"\0\0\0\x18ftyp", False),
        ("lmdb", b"\0" * 16 + b"\xde\xc0\xef\xbe", False),
        ("no.csv", None, False),
    ],
)
def test_a_list_is_known_by_what_is_there(name: str, content: Any, wanted: bool, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert is_listed(str(tmp_path / name)) is wanted


def test_a_folder_is_one_unless_it_is_an_lmdb(tmp_path: Path) -> None:
    videos = same_videos(tmp_path, 1)
    assert is_listed(str(videos.folder)) and not is_listed(str(videos.lmdb))
    assert not is_listed(str(videos.lmdb / "data.mdb"))
