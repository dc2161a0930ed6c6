from __future__ import annotations

from pathlib import Path

import pytest

from vmz.datasets.named_videos import find_videos
from vmz.errors import UsageError

FILES = [
    "a.mp4", "b.MKV", "-x.mp4", "[1] x.mp4", "x1.mp4", "no_suffix", "notes.md", "what?.mp4", "12:30.mp4",
    "set/c.avi", "set/deep/d.webm", "set/deep/.hidden.mp4", "set/deep/notes.md",
    "[set 1]/e.mp4", "[set 1]/f.mp4", "s/g.mp4", "empty/notes.md",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a.mp4"], ["a.mp4"]),
        (["no_suffix"], ["no_suffix"]),
        (["-x.mp4"], ["-x.mp4"]),
        (["12:30.mp4"], ["12:30.mp4"]),
        (["[1] x.mp4"], ["[1] x.mp4"]),  # that file, not 1 x.mp4
        (["[1] x*"], ["[1] x.mp4"]),  # nothing matches as a pattern with brackets
        (["[x]1.mp4"], ["x1.mp4"]),
        (["[set 1]/*.mp4"], ["[set 1]/e.mp4", "[set 1]/f.mp4"]),  # not s/g.mp4
        (["[set 1]"], ["[set 1]/e.mp4", "[set 1]/f.mp4"]),
        (["what?.mp4"], ["what?.mp4"]),
        (["b.MKV", "a.mp4", "a.mp4"], ["b.MKV", "a.mp4"]),
        (["set"], ["set/c.avi", "set/deep/d.webm"]),
        (["set/"], ["set/c.avi", "set/deep/d.webm"]),
        (["**/*.webm", "a.mp4"], ["set/deep/d.webm", "a.mp4"]),
        (["x*"], ["x1.mp4"]),
    ],
)
def test_what_names_mean(names: list[str], found: list[str], folder: Path) -> None:
    assert find_videos(names) == found
    assert find_videos([str(folder / name) for name in names]) == [str(folder / file) for file in found]


def test_a_folder_says_how_many_it_has(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    find_videos(["set"])
    assert capsys.readouterr().err == "set: 2 videos; 2 files without the extension of a video left out\n"


def test_a_link_that_leads_back_up(folder: Path) -> None:
    Path("set/deep/up").symlink_to("..")
    assert find_videos(["set"]) == ["set/c.avi", "set/deep/d.webm"]


def test_a_list_of_videos(folder: Path) -> None:
    Path("list.csv").write_text("org_video,label\na.mp4,1\nset/c.avi,2\n")
    assert find_videos(["list.csv"]) == ["a.mp4", "set/c.avi"]
    Path("list.txt").write_text("# mine\n[1] x.mp4\nno_suffix\n")
    assert find_videos(["list.txt"]) == ["[1] x.mp4", "no_suffix"]
    Path("list.txt").write_text("a.mp4\nnone.mp4\n")
    with pytest.raises(UsageError, match=r"1 of the 2 videos of the list list\.txt cannot be found: first none\.mp4"):
        find_videos(["list.txt"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.mp4", "--videos=none.mp4 does not exist; looked in "),
        ("none*.mp4", "--videos=none*.mp4 matches no file; looked in "),
        ("nowhere/deep/a.mp4", "does not exist; there is no folder /"),
        ("nowhere/*.mp4", "matches no file; there is no folder /"),
        ("empty", "--videos=empty is a folder without videos: 1 file"),
    ],
)
def test_names_that_mean_nothing(name: str, message: str, folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_videos([name])
    assert message in str(caught.value)


def test_two_videos_of_one_file_name(folder: Path) -> None:
    Path("s/a.mp4").touch()
    with pytest.raises(UsageError, match=r"has a\.mp4 and s/a\.mp4, which have the same name"):
        find_videos(["a.mp4", "s"])
