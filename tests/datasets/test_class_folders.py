from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.in_process import tool
from tests.support.listed_videos import CLASSES, same_videos
from vmz.datasets.class_folders import read_class_folders, read_videos
from vmz.datasets.create_database import classes_file
from vmz.errors import UsageError
from vmz.file_formats.class_names import read_names
from vmz.video.database.lmdb_database import VideoDatabase


def fill(root: Path, *names: str) -> str:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True) if name.endswith("/") else path.write_bytes(b"content of " + os.fsencode(name))
    return str(root)


def test_folders_are_classes_in_alphabetical_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = ("b c/2.mp4", "b c/10.MKV", "b c/notes.txt", "Z/x.avi", "a/y.webm", "readme.md", ".git/x.mp4", "a/.y.mp4")
    found = read_class_folders(fill(tmp_path / "data", *names) + "/")
    assert found.classes == ("Z", "a", "b c") and found.numbering == "in alphabetical order"
    wanted = [("Z/x.avi", 0), ("a/y.webm", 1), ("b c/10.MKV", 2), ("b c/2.mp4", 2)]
    assert [(os.path.relpath(row.video, tmp_path / "data"), *row.labels) for row in found] == wanted
    assert {row.line for row in found} == {None} and found.path == str(tmp_path / "data")
    says = "4 videos of 3 classes; 2 files without the extension of a video left out"
    assert capfd.readouterr().err == f"{tmp_path / 'data'}: {says}\n"


def test_the_classes_of_the_network_give_the_numbers(tmp_path: Path) -> None:
    root = fill(tmp_path, "run/1.mp4", "yoga/2.mp4")
    found = read_class_folders(root, classes=("yoga", "ski", "run"), classes_from="--label_names=n.txt")
    assert [row.labels for row in found] == [(2,), (0,)] and found.classes == ("yoga", "ski", "run")
    says = rf"the folder {root}/run has the class 'run', not one of the 2 of --label_names=n.txt; did you mean 'ruin'\?"
    with pytest.raises(UsageError, match=says):
        read_class_folders(root, classes=("yoga", "ruin"), classes_from="--label_names=n.txt")


def test_links_to_folders_and_pictures_count(tmp_path: Path) -> None:
    fill(tmp_path, "store/1.png", "store/2.mp4", "data/b/3.JPG")
    (tmp_path / "data" / "a").symlink_to(tmp_path / "store")
    found = read_videos(tmp_path / "data", images=True)
    assert [os.path.relpath(row.video, tmp_path) for row in found] == ["data/a/1.png", "data/b/3.JPG"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a/1.mp4", "2.mp4", "3.mp4"), "contains 2 videos outside class folders (first 2.mp4)"),
        (("1.mp4",), "contains 1 video outside class folders"),
        (("a/1.mp4", "b/x.txt"), "b contains no videos (1 other files)"),
        (("a/1.mp4", "b/"), "b contains no videos (0 other files)"),
        (("a/1.mp4", "b/data.mdb"), "it contains an LMDB, "),
        (("train/run/1.mp4", "val/run/2.mp4"), "train contains videos in folders of its own (first in "),
        (("a/1.mp4", "a/more/2.mp4"), "but they must lie directly in it; move them up"),
        (("x.txt",), "contains no data.mdb, as an LMDB does, and no folders of classes"),
        (("Run/1.mp4", "run/2.mp4"), "the classes 'Run' and 'run' of"),
        (("a\n/1.mp4",), "has characters in its name that the name of a class cannot have"),
        (("a\udcff/1.mp4",), "has characters in its name that the name of a class cannot have"),
    ],
)
def test_what_is_no_folder_of_class_folders_is_refused(names: tuple[str, ...], says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        read_class_folders(fill(tmp_path / "data", *names))
    assert says in str(raised.value) and "\n" not in str(raised.value)


def test_columns_that_no_folder_has_are_refused(tmp_path: Path) -> None:
    root = fill(tmp_path, "a/1.mp4")
    with pytest.raises(UsageError, match="whose videos have no start_frm"):
        read_class_folders(root, start_frames=True)
    with pytest.raises(UsageError, match="whose videos have no video_id"):
        read_class_folders(root, video_ids=True)


def test_create_video_db_takes_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    videos = same_videos(tmp_path)
    for flags in ((), ("--use_list=1",), ("--check",)):
        output = tmp_path / f"db{len(flags)}{''.join(flags)}"
        create = tool("../data/create_video_db.py")
        assert create([f"--list_file={videos.folder}", f"--output_file={output}", *flags]) == 0
        with VideoDatabase(output) as database, VideoDatabase(videos.lmdb) as other:
            assert database.keys == other.keys
            assert [record.labels for record in database] == [record.labels for record in other]
            assert database.paths(["3"], False) == other.paths(["3"], False)
            assert database.describe("3").startswith(f"record 3 of {output} ({videos.folder}/")
        assert tuple(read_names(classes_file(output), "the file")) == CLASSES
    assert "3 classes, numbered in alphabetical order" in capfd.readouterr().out
    assert (tmp_path / "db1--check.check.csv").exists()
