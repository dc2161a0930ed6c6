"""Databases with every fault that the check looks for, made of small real videos."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Optional

import av
import numpy as np
import pytest

from tests.support.small_videos import rotated
from vmz import zoo
from vmz.cli.test_net import configuration
from vmz.datasets.audit import SAMPLED_VIDEOS, check_data, print_warnings, recipe
from vmz.datasets.inventory import END_BYTES
from vmz.errors import UsageError
from vmz.results.data import DataReport
from vmz.video.database.lmdb_database import DatabaseWriter, VideoDatabase
from vmz.video.database.records import Record
from vmz.video.faults import Origin


def video(shade: int, rate: int = 15, size: tuple[int, int] = (426, 320), frames: int = 8) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        picture = np.full((size[1], size[0], 3), shade, np.uint8)
        for _ in range(frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()


def database(path: Path, *records: tuple[bytes, int]) -> Path:
    with DatabaseWriter(path) as writer:
        for number, (content, label) in enumerate(records):
            writer.write(Record(str(number).encode(), content, (label,), None, None))
    return path


def listing(folder: Path, *rows: tuple[str, Optional[bytes], int]) -> str:
    """A list of (file name, its content or None for no file, label)."""
    lines = ["org_video,label"]
    for name, content, label in rows:
        if content is not None:
            (folder / name).write_bytes(content)
        lines.append(f"{folder / name},{label}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    return f"--list={folder / 'list.csv'}"


def check(path: Path, *argv: str, sampled: int = SAMPLED_VIDEOS) -> DataReport:
    config = configuration([f"--test_data={path}", *argv])
    wanted = recipe(config, config, zoo.row_of(config.zoo, config.load_model_path))
    return check_data(config, wanted, config.list, config.label_names, sampled)


ONE, TWO, THREE = video(10), video(100), video(200)


def test_a_sound_database_has_no_warning(tmp_path: Path) -> None:
    path = database(tmp_path / "db", (ONE, 0), (TWO, 1))
    report = check(path, listing(tmp_path, ("a.mp4", ONE, 0), ("b.mp4", TWO, 1)), "--zoo=r2plus1d_d18_l8")
    assert report.warnings == []
    assert report.frame_rates == {"15": 2} and report.short_sides == {"320": 2}
    assert report.lengths_s == [0.533, 0.533, 0.533] and report.records == report.sampled == 2
    assert report.listed is not None and report.listed.compared_by == "content"


def test_missing_extra_and_relabelled_videos_are_found_by_content(tmp_path: Path) -> None:
    path = database(tmp_path / "db", (ONE, 0), (TWO, 1))
    report = check(path, listing(tmp_path, ("a.mp4", ONE, 5), ("c.mp4", THREE, 2)))
    account = report.listed
    assert account is not None
    assert (account.missing, account.extra, account.relabelled) == ([(3, str(tmp_path / "c.mp4"))], ["1"], ["0"])
    assert len(report.warnings) == 3
    assert report.warnings[0].startswith(f"1 of the 2 videos of {tmp_path / 'list.csv'} are not in {path}: first")
    assert "(line 3)" in report.warnings[0]


def test_files_that_are_not_here_leave_it_open(tmp_path: Path) -> None:
    path = database(tmp_path / "db", (ONE, 0), (TWO, 1))
    report = check(path, listing(tmp_path, ("a.mp4", ONE, 0), ("gone.mp4", None, 1)))
    assert report.listed is not None and report.listed.unknown == 1 and not report.listed.missing
    assert len(report.warnings) == 1 and "is not known" in report.warnings[0]


def test_without_any_file_the_labels_are_counted(tmp_path: Path) -> None:
    path = database(tmp_path / "db", (ONE, 0), (TWO, 1))
    rows = [("x.mp4", None, 0), ("y.mp4", None, 1), ("z.mp4", None, 1)]
    report = check(path, listing(tmp_path, *rows))
    account = report.listed
    assert account is not None and account.compared_by == "labels"
    assert account.missing == [(4, "a video with the label 1")] and account.extra == []
    assert "going by the number of each label" in report.warnings[0]
    report = check(path, listing(tmp_path, ("x.mp4", None, 0)))
    assert report.warnings == [f"1 record of {path} is not in {tmp_path / 'list.csv'}; it counts too"]


@pytest.mark.parametrize("moved", [False, True])
def test_paths_are_compared_as_paths(moved: bool, tmp_path: Path) -> None:
    rows = [("a.mp4", ONE, 0), ("b.mp4", TWO, 1), ("c.mp4", THREE, 2)]
    flag = listing(tmp_path, *rows)
    folder = tmp_path / "moved" if moved else tmp_path
    folder.mkdir(exist_ok=True)
    for name, content, _ in rows:
        (folder / name).write_bytes(content)
    path = database(tmp_path / "db", *((str(folder / name).encode(), label) for name, _, label in rows[:2]))
    report = check(path, flag, "--use_local_file=1")
    assert report.listed is not None and report.listed.compared_by == ("file name" if moved else "path")
    assert [line for line, _ in report.listed.missing] == [4] and not report.listed.extra
    assert len(report.warnings) == 1 and ("going by file names" in report.warnings[0]) == moved


def test_duplicates_and_contradictions(tmp_path: Path) -> None:
    path = database(tmp_path / "db", (ONE, 0), (TWO, 1), (ONE, 0), (TWO, 3), (ONE, 0))
    report = check(path)
    assert report.duplicates == [["0", "2", "4"], ["1", "3"]] and report.contradictions == [["1", "3"]]
    assert "2 videos are in" in report.warnings[0] and "3 records too many" in report.warnings[0]
    assert "under different labels: first records 1 and 3" in report.warnings[1]


def test_the_same_path_twice(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(ONE)
    held = [str(tmp_path / "a.mp4").encode(), str(tmp_path / "." / "a.mp4").encode()]
    report = check(database(tmp_path / "db", (held[0], 0), (held[1], 0)), "--use_local_file=1")
    assert report.duplicates == [["0", "1"]]


def test_videos_alike_at_both_ends_only_are_two(tmp_path: Path) -> None:
    ends = bytes(END_BYTES)
    path = database(tmp_path / "db", (ends + b"one" + ends, 0), (ends + b"two" + ends, 1))
    report = check(path)
    assert report.duplicates == [] and report.unreadable == 2


def test_the_ends_of_a_video_are_those_of_its_record(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    with VideoDatabase(database(tmp_path / "db", (content, 0), (b"ab", 1))) as records:
        assert records.video_ends(0, 100) == (256_000, content[:100] + content[-100:])
        assert records.video_ends(1, 100) == (2, b"abab")


@pytest.mark.parametrize(
    ("zoo", "rate", "said"),
    [
        ("r2plus1d_d18_l8", 30, "published for videos of 15 frames a second"),
        ("r2plus1d_d34_l32", 30, "published for videos of 15 frames a second"),
        ("r2plus1d_d34_l32_ft_sports1m", 15, None),
        ("r2plus1d_d18_l8", 15, None),
        ("ir_csn_152_ft_kinetics_from_ig65m", 15, "published for videos of 30 frames a second"),
        ("ir_csn_152_ft_kinetics_from_ig65m", 30, None),
        (None, 7, None),
    ],
)
def test_the_frame_rate_of_the_published_recipe(
    zoo: Optional[str], rate: int, said: Optional[str], tmp_path: Path
) -> None:
    path = database(tmp_path / "db", (video(10, rate), 0), (video(90, rate), 0))
    argv = [] if zoo is None else [f"--zoo={zoo}", "--num_labels=400"]
    report = check(path, *argv)
    assert report.frame_rates == {str(rate): 2}
    assert [said in line for line in report.warnings] == ([True] if said else [])  # type: ignore[operator]


def test_frame_rates_that_differ(tmp_path: Path) -> None:
    path = database(tmp_path / "db", (video(10, 30), 0), (video(20, 30), 0), (video(30, 25), 0))
    report = check(path)
    assert report.frame_rates == {"30": 2, "25": 1}
    assert "differ in frame rate: 30 (2), 25 (1)" in report.warnings[0]


@pytest.mark.parametrize(
    ("size", "flags", "said"),
    [
        ((160, 120), (), "1 of 1 video looked at has a short side below 128 pixels (the least is 120)"),
        ((120, 160), ("--scale_h=112", "--scale_w=112"), None),
        ((320, 240), ("--zoo=r2plus1d_d18_l8",), "the published recipe keeps videos at a short side of 320 pixels"),
        ((426, 320), ("--zoo=r2plus1d_d18_l8",), None),
        ((320, 240), (), None),
        ((160, 120), ("--model_name=a_resnet", "--input_type=2"), None),  # it sees no pictures
        ((160, 120), ("--model_name=av_resnet-r3d", "--input_type=3"), "1 of 1 video looked at has a short side below"),
    ],
)
def test_short_sides(size: tuple[int, int], flags: tuple[str, ...], said: Optional[str], tmp_path: Path) -> None:
    report = check(database(tmp_path / "db", (video(10, 15, size), 0)), *flags)
    assert report.short_sides == {str(min(size)): 1}
    assert len(report.warnings) == (said is not None) and all(said in line for line in report.warnings)  # type: ignore[operator]


def test_only_some_headers_of_many_are_looked_at(tmp_path: Path) -> None:
    path = database(tmp_path / "db", *((video(n, frames=2), 0) for n in range(9)), (b"no video", 0))
    report = check(path, sampled=3)
    assert report.sampled == 3 and sum(report.frame_rates.values()) == 3
    assert check(path).unreadable == 1


def test_warnings_are_lines_and_json_is_plain(tmp_path: Path, capsys: Any) -> None:
    import json

    report = check(database(tmp_path / "db", (ONE, 0), (ONE, 1)))
    print_warnings(report)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("warning: ")] == [f"warning: {line}" for line in report.warnings]
    assert json.loads(json.dumps(report.to_json()))["duplicates"] == [["0", "1"]]


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    path = database(tmp_path / "db", (ONE, 0))
    with pytest.raises(UsageError, match="cannot read the list /nowhere"):
        check(path, "--list=/nowhere.csv")


def test_videos_that_carry_a_rotation_are_counted_and_named(tmp_path: Path) -> None:
    path = database(tmp_path / "db", (ONE, 1), (rotated(TWO), 1), (rotated(THREE), 2))
    report = check(path)
    assert report.rotated == [f"record {number} of {path}: 90 degrees" for number in (1, 2)]
    [warning] = [line for line in report.warnings if "rotation" in line]
    assert warning.startswith(
        "2 videos carry a rotation in the metadata, and the frames are read as stored, not rotated"
    )
    assert "(of 3 looked at): record 1 of" in warning
    assert report.short_sides == check(database(tmp_path / "plain", (ONE, 1), (TWO, 1), (THREE, 2))).short_sides


def test_records_are_named_by_their_files(tmp_path: Path) -> None:
    with DatabaseWriter(tmp_path / "db") as writer:
        for number, content in enumerate((ONE, ONE, TWO)):
            writer.write(Record(b"%d" % number, content, (number,)), Origin(f"v/{number}.mp4", 9 - number, "l.csv"))
    warnings = check(tmp_path / "db").warnings
    both = "records 0 (v/0.mp4, line 9 of l.csv) and 1 (v/1.mp4, line 8 of l.csv)"
    assert sum(both in line for line in warnings) == 2  # held twice, and under different labels


@pytest.mark.parametrize("held", ["paths", "bytes"])
def test_the_wrong_use_local_file_is_refused(held: str, tmp_path: Path) -> None:
    path = database(tmp_path / "db", (b"v/a.mp4" if held == "paths" else ONE, 1))
    with pytest.raises(UsageError, match=f"contains {'paths of' if held == 'paths' else 'the bytes of'} videos"):
        check(path, f"--use_local_file={int(held == 'bytes')}")


def test_names_in_the_list_are_numbered_as_the_database_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = database(tmp_path / "db", (ONE, 1), (TWO, 0))
    (tmp_path / "one.mp4").write_bytes(ONE)
    (tmp_path / "two.mp4").write_bytes(TWO)
    (tmp_path / "val.txt").write_text(f"{tmp_path}/one.mp4 archery\n{tmp_path}/two.mp4 zumba\n")
    flag = f"--list={tmp_path / 'val.txt'}"
    report = check(path, flag)  # alphabetical: archery is 0, but 1 in the database
    assert report.listed is not None and len(report.listed.relabelled) == 2
    print_warnings(report)
    assert "val.txt: its classes are numbered in alphabetical order" in capsys.readouterr().err
    (tmp_path / "names.txt").write_text("zumba\narchery\n")
    report = check(path, flag, f"--label_names={tmp_path / 'names.txt'}")
    assert report.listed is not None and not report.listed.relabelled
    (tmp_path / "names.txt").rename(tmp_path / "db.classes.txt")  # where create_video_db.py keeps them
    report = check(path, flag)
    assert report.listed is not None and not report.listed.relabelled
    assert report.list_numbering == f"in the order of {tmp_path / 'db.classes.txt'}"
