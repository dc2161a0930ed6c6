"""Lists as people write them: each form gives the same rows, and what cannot be meant is refused by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmz.datasets.video_lists import check_files, read_paths, read_video_list
from vmz.errors import UsageError

NUMBERS = {
    "as the original's": "org_video,label\na.mp4,3\nb.avi,0\n",
    "spaces after commas, other columns": "org_video, label, split\na.mp4, 3, train\nb.avi, 0, train\n",
    "an index column": ",org_video,label\n0,a.mp4,3\n1,b.avi,0\n",
    "other names of columns": "Path,Class\na.mp4,3\nb.avi,0\n",
    "columns in another order": "label,filename\n3,a.mp4\n0,b.avi\n",
    "columns separated by tabs": "org_video\tlabel\na.mp4\t3\nb.avi\t0\n",
    "columns separated by semicolons": "org_video;label\na.mp4;3\nb.avi;0\n",
    "columns separated by spaces": "path label\na.mp4 3\nb.avi 0\n",
    "spaces": "a.mp4 3\nb.avi 0\n",
    "many spaces": "  a.mp4    3  \nb.avi 0",
    "tabs": "a.mp4\t3\nb.avi\t\t0\n",
    "tabs and spaces": "a.mp4\t3\nb.avi 0\n",
    "commas": "a.mp4,3\nb.avi,0\n",
    "semicolons": "a.mp4;3\nb.avi; 0\n",
    "CRLF": "a.mp4 3\r\nb.avi 0\r\n",
    "CR": "org_video,label\ra.mp4,3\rb.avi,0\r",
    "a byte order mark": "\ufefforg_video,label\na.mp4,3\nb.avi,0\n",
    "blank lines and comments": '# videos\n\na.mp4 3\n   \n# more, "quoted\nb.avi 0\n\n',
    "comments above column names": "# made by hand\norg_video,label\n# one\na.mp4,3\nb.avi,0\n",
    "names beside numbers in other columns": "path,label,label_id\na.mp4,zumba,3\nb.avi,archery,0\n",
    "quotes": '"a.mp4","3"\n"b.avi","0"\n',
    "quotes and spaces": '"a.mp4" 3\n"b.avi" "0"\n',
    "trailing commas": "org_video,label\na.mp4,3,\nb.avi,0,,\n",
}


@pytest.mark.parametrize("form", NUMBERS)
def test_every_form_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(NUMBERS[form].encode())
    found = read_video_list(tmp_path / "list")
    assert [(row.video, row.labels) for row in found] == [("a.mp4", (3,)), ("b.avi", (0,))]
    assert (found.classes, found.numbering) == ((), "")
    if "columns" not in form:
        assert read_paths(tmp_path / "list") == ["a.mp4", "b.avi"]


def test_utf16_and_names_of_any_language(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes("видео 1.mp4\t吃饭\nb.avi\tbébé\n".encode("utf-16"))
    found = read_video_list(tmp_path / "list")
    assert [(row.video, row.labels) for row in found] == [("видео 1.mp4", (1,)), ("b.avi", (0,))]


@pytest.mark.parametrize(
    ("text", "video", "labels"),
    [
        ("my video (1).mp4 7", "my video (1).mp4", (7,)),
        ("my video.mp4,7", "my video.mp4", (7,)),
        ("a, b.mp4 7", "a, b.mp4", (7,)),
        ("a.mp4 b.mp4 7", "a.mp4 b.mp4", (7,)),
        ('"a, b.mp4",7', "a, b.mp4", (7,)),
        ('org_video,label\n"a, b.mp4","1, 2"', "a, b.mp4", (1, 2)),
        ("org_video,label\na b.mp4,1;2", "a b.mp4", (1, 2)),
        ("path label start_frm\na b.mp4 1 5", "a b.mp4", (1,)),
        ("a.mp4 1 2 3", "a.mp4", (1, 2, 3)),
        ("a.mp4\t1\t2", "a.mp4", (1, 2)),
        ("a.mp4 1,2", "a.mp4", (1, 2)),
        ("a.mp4\t1;2", "a.mp4", (1, 2)),
        ("dir.x/A.MP4 4", "dir.x/A.MP4", (4,)),
        ("no_suffix 4", "no_suffix", (4,)),
        ("name 12 4", "name 12", (4,)),  # a file of that name is there
        ("#1.mp4 4", "#1.mp4", (4,)),  # and of this one: no comment
        ("don't.mp4 4", "don't.mp4", (4,)),
    ],
)
def test_names_with_spaces_and_commas_and_several_labels(
    text: str, video: str, labels: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("name 12").touch()
    Path("#1.mp4").touch()
    Path("list").write_text(text)
    (row,) = read_video_list("list")
    assert (row.video, row.labels) == (video, labels)


@pytest.mark.parametrize(
    "text",
    [
        "a.mp4 riding a bike\nb.mp4 archery\nc.mp4 riding a bike;zumba\n",
        "a.mp4,riding a bike\nb.mp4,archery\nc.mp4,riding a bike;zumba\n",
        "org_video,label\na.mp4,riding a bike\nb.mp4,archery\nc.mp4,riding a bike; zumba\n",
        "path\tclass_name\na.mp4\triding a bike\nb.mp4\tarchery\nc.mp4\triding a bike;zumba\n",
    ],
)
def test_names_are_numbered_in_alphabetical_order_or_in_that_of_the_classes(text: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(text)
    found = read_video_list(tmp_path / "list")
    assert [row.labels for row in found] == [(1,), (0,), (1, 2)]
    assert (found.classes, found.numbering) == (("archery", "riding a bike", "zumba"), "in alphabetical order")
    given = ["zumba", "yoga", "riding a bike", "archery"]
    found = read_video_list(tmp_path / "list", classes=given, classes_from="--classes=c.json")
    assert [row.labels for row in found] == [(2,), (3,), (2, 0)]
    assert (found.classes, found.numbering) == (tuple(given), "in the order of --classes=c.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "org_video,label\na.mp4,1\na,b.mp4,1\n",
            "line 3 of list has 3 fields, but there are 2 columns (org_video, label)",
        ),
        ("org_video,label\na.mp4,1,2\n", "line 2 of list has 3 fields"),
        (
            "org_video;label\na.mp4;1;2\n",
            "line 2 of list has 3 fields, but there are 2 columns (org_video, label); semi",
        ),
        ("org_video\tlabel\na.mp4\t1\t2\n", "line 2 of list has 3 fields"),
        ("path label start_frm\na.mp4 1 5 6\n", "line 2 of list has 4 fields, but there are 3 columns"),
        ("org_video,label,label\na.mp4,1,2\n", "line 1 of list names the column label twice"),
        ("# x\n\norg_video,org_video,label\na.mp4,a.mp4,2\n", "line 3 of list names the column org_video twice"),
        ("Label,path,label\n1,a.mp4,2\n", "line 1 of list names the column label twice"),
        ("a.mp4,1,2\n", "line 1 of list has 3 fields, but a row without column names is a path and a label"),
        ("a.mp4,1\nb,c.mp4,2\n", "line 2 of list has 3 fields"),
        ("a.mp4,1\nb.mp4 2\n", "line 2 of list is not a path and a label separated by a comma"),
        ("a.mp4 1\nb.mp4\n", "line 2 of list has no label"),
        ("a.mp4,1\nb.mp4,\n", "line 2 of list has no label"),
        ("org_video,label\na.mp4\n", "line 2 of list has no label"),
        ("org_video,label\n,1\n", "line 2 of list names no video"),
        ("org_video,label\n", "list has no rows"),
        ("# nothing\n", "list is empty"),
        ("org_video,name\na.mp4,1\n", "no column label; its first line names org_video, name"),
        ("label,youtube_id\nx,y\n", "no column org_video; its first line names label, youtube_id"),
        ("clip,number\na.mp4,1\n", "no column org_video"),
        ("a.mp4 1\nb.mp4 dog\n", "numbers as well as names: 1 on line 1, 'dog' on line 2"),
        ("org_video,label\na.mp4,1;dog\n", "line 2 of list has labels '1;dog', numbers as well as names"),
        ('org_video,label\na.mp4,"1, dog"\n', "numbers as well as names"),
        ("a.mp4 1.5\n", "line 1 of list has label '1.5', which must be an integer"),
        ("a.mp4 2147483648\n", "line 1 of list has label 2147483648, which does not fit in 32 bits"),
        ("a.mp4 Dog\nb.mp4 dog\n", "the classes 'Dog' (line 1) and 'dog' (line 2) of list differ by case"),
        ("some/folder_1 163 1\n", "line 1 of list, some/folder_1 163 1, comes from a list of folders of frames"),
        ("some/folder_1 12 163 1\n", "folders of frames"),
        ("frames.avi 163 1\n", "line 1 of list, frames.avi 163 1, comes from a list of folders of frames"),
        ("folder,163,1\n", "folders of frames"),
        ('original_vido_id video_id frame_id path labels\nx 0 1 x/1.jpg ""\n', "single frames"),
        ('org_video,label\n"a.mp4,1\nb.mp4,2\n', "line 2 of list is not a row of a CSV"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_file_and_line(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("frames.avi").mkdir()
    Path("list").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_video_list("list")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_classes_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a.mp4 archery\n")
    with pytest.raises(UsageError, match=r"class 'archery', not one of the 2 of --classes; did you mean 'Archery'"):
        read_video_list(tmp_path / "list", classes=["Archery", "zumba"])
    (tmp_path / "list").write_text("a.mp4 2\n")
    with pytest.raises(UsageError, match=r"line 1 of .* has label 2, but --classes names 2 classes, 0 to 1"):
        read_video_list(tmp_path / "list", classes=["archery", "zumba"])


def test_start_frames_and_ids_want_column_names(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("label,org_video,start_frm,video_id\n1,a.mp4,5,9000000000\n")
    (row,) = read_video_list(tmp_path / "list", start_frames=True, video_ids=True)
    assert (row.start_frame, row.video_id, row.line) == (5, 9000000000, 2)
    (tmp_path / "list").write_text("a.mp4 1\n")
    with pytest.raises(UsageError, match="has no column start_frm"):
        read_video_list(tmp_path / "list", start_frames=True)
    (tmp_path / "list").write_text("org_video,label,start_frm\na.mp4,1,x\n")
    with pytest.raises(UsageError, match=r"line 2 of .* has start_frm 'x', which must be an integer"):
        read_video_list(tmp_path / "list", start_frames=True)


def test_paths_alone(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("my video.mp4\nb.avi\n")
    assert read_paths(tmp_path / "list") == ["my video.mp4", "b.avi"]
    (tmp_path / "list").write_text("path\nno suffix\nb.avi\n")
    assert read_paths(tmp_path / "list") == ["no suffix", "b.avi"]
    (tmp_path / "list").write_text("org_video,label\na.mp4,1\n")
    assert read_paths(tmp_path / "list") == ["a.mp4"]


def test_missing_videos_are_counted_and_looked_for_beside_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lists").mkdir()
    Path("lists/a.mp4").touch()
    Path("lists/x.txt").write_text("a.mp4 1\nb.mp4 1\n")
    with pytest.raises(UsageError) as caught:
        check_files(read_video_list("lists/x.txt"))
    assert "2 of the 2 videos of lists/x.txt cannot be found: first a.mp4 (line 1)" in str(caught.value)
    assert f"working directory {tmp_path}" in str(caught.value) and f"run this in {tmp_path}/lists" in str(caught.value)
    Path("lists/x.txt").write_text("lists 1\n")
    with pytest.raises(UsageError, match=r"first lists .line 1.; which is a folder"):
        check_files(read_video_list("lists/x.txt"))
