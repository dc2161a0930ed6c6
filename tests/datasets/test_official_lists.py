"""Small made-up lists in the official formats, whole and malformed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Callable

import pytest

from tests.goldens.e2e import run_tool
from vmz.datasets.official_lists import DATASETS, Entry, OfficialList, Source, find_videos, read_classes, write_list
from vmz.errors import UsageError

CLASS_IND = "1 ApplyEyeMakeup\r\n2 Archery\r\n\r\n"
TRAIN_LIST = "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\nArchery/v_Archery_g09_c02.avi 2\r\n"
KINETICS = (
    "label,youtube_id,time_start,time_end,split\n"
    'zumba,-0ab_CD12-x,5,15,train\n"massaging person\'s head, twice",0wR5jVB-WPk,417,427,train\n'
    "abseiling,3caPS4FHFF8,36,46,train\n"
)
SPORTS = "http://www.youtube.com/watch?v=NkPa7HmJ-xU 3,486\nhttps://www.youtube.com/watch?feature=x&v=0abc 0\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())  # as it is, \r\n too
    return path


# The 51 classes of HMDB51 in the order of their names: the labels from 0.
HMDB51 = [
    "brush_hair", "cartwheel", "catch", "chew", "clap", "climb", "climb_stairs", "dive", "draw_sword", "dribble",
    "drink", "eat", "fall_floor", "fencing", "flic_flac", "golf", "handstand", "hit", "hug", "jump", "kick",
    "kick_ball", "kiss", "laugh", "pick", "pour", "pullup", "punch", "push", "pushup", "ride_bike", "ride_horse",
    "run", "shake_hands", "shoot_ball", "shoot_bow", "shoot_gun", "sit", "situp", "smile", "smoke", "somersault",
    "stand", "swing_baseball", "sword", "sword_exercise", "talk", "throw", "turn", "walk", "wave",
]  # fmt: skip


def ucf(folder: Path, text: str = TRAIN_LIST, class_ind: str = CLASS_IND) -> Source:
    write(folder / "classInd.txt", class_ind)
    return Source(write(folder / "list.txt", text))


def hmdb(folder: Path, wave: str = "w_a.avi 1 \nw_b.avi 2 \nw_c.avi 0 \n", subset: str = "train") -> Source:
    write(folder / "wave_test_split1.txt", wave)
    write(folder / "brush_hair_test_split1.txt", "#20_Rhythm [x].avi 1 \nb_b.avi 2 \n")
    write(folder / "brush_hair_test_split2.txt", "b_b.avi 1 \n")
    return Source(folder, subset)


def listed(official: OfficialList) -> list[tuple[str, tuple[int, ...], str]]:
    return [(entry.name, entry.labels, entry.folder) for entry in official.entries]


def test_ucf101(tmp_path: Path) -> None:
    official = DATASETS["ucf101"](ucf(tmp_path))
    assert listed(official) == [
        ("v_ApplyEyeMakeup_g08_c01.avi", (0,), "ApplyEyeMakeup"),
        ("v_Archery_g09_c02.avi", (1,), "Archery"),
    ]
    assert official.classes == ("ApplyEyeMakeup", "Archery")
    test = DATASETS["ucf101"](ucf(tmp_path, "Archery/v_Archery_g01_c01.avi\n"))
    assert listed(test) == [("v_Archery_g01_c01.avi", (1,), "Archery")]


def test_hmdb51(tmp_path: Path) -> None:
    official = DATASETS["hmdb51"](hmdb(tmp_path))
    assert official.classes == ("brush_hair", "wave")
    assert listed(official) == [("#20_Rhythm [x].avi", (0,), "brush_hair"), ("w_a.avi", (1,), "wave")]
    test = DATASETS["hmdb51"](hmdb(tmp_path, subset="test"))
    assert listed(test) == [("b_b.avi", (0,), "brush_hair"), ("w_b.avi", (1,), "wave")]
    assert listed(DATASETS["hmdb51"](Source(tmp_path, split=2))) == [("b_b.avi", (0,), "brush_hair")]


def test_the_51_classes_of_hmdb51_are_numbered_by_name_not_by_file_name(tmp_path: Path) -> None:
    """climb, kick and sword come before climb_stairs, kick_ball and sword_exercise, as 5, 20 and 44."""
    assert len(HMDB51) == 51 and sorted(HMDB51) == HMDB51
    assert [HMDB51.index(name) for name in ("climb", "kick", "sword")] == [5, 20, 44]
    files = [f"{name}_test_split1.txt" for name in HMDB51]
    assert sorted(files) != files
    for name, file in zip(HMDB51, files):
        write(tmp_path / "lists" / file, f"{name}_a.avi 1 \n{name}_b.avi 2 \n")
    for subset, letter in (("train", "a"), ("test", "b")):
        official = DATASETS["hmdb51"](Source(tmp_path / "lists", subset))
        assert official.classes == tuple(HMDB51)
        assert listed(official) == [(f"{name}_{letter}.avi", (n,), name) for n, name in enumerate(HMDB51)]
    turned = tuple(reversed(HMDB51))
    official = DATASETS["hmdb51"](Source(tmp_path / "lists", classes=turned))
    assert official.classes == turned and [entry.labels for entry in official.entries] == [
        (n,) for n in range(50, -1, -1)
    ]
    for name in HMDB51:
        write(tmp_path / "videos" / name / f"{name}_b.avi", "x")
    write(tmp_path / "order.txt", "\n".join(turned))
    flags = [
        "--dataset=hmdb51", f"--annotations={tmp_path / 'lists'}", "--subset=test",
        f"--video_dir={tmp_path / 'videos'}", f"--output_file={tmp_path / 'test.csv'}",
        f"--write_classes={tmp_path / 'classes.txt'}",
    ]  # fmt: skip
    for more, order in (([], tuple(HMDB51)), ([f"--classes={tmp_path / 'order.txt'}"], turned)):
        answer = run_tool("../data/dataset_list.py", *flags, *more)
        assert answer.returncode == 0, answer.stderr
        assert read_classes(tmp_path / "classes.txt") == order
        rows = (tmp_path / "test.csv").read_text().splitlines()[1:]
        assert [(Path(row.split(",")[0]).parent.name, int(row.split(",")[1])) for row in rows] == [
            (name, order.index(name)) for name in HMDB51
        ]


def test_kinetics(tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", KINETICS)
    official = DATASETS["kinetics"](Source(path))
    assert official.classes == ("abseiling", "massaging person's head, twice", "zumba")
    assert [(entry.name, entry.labels) for entry in official.entries] == [
        ("-0ab_CD12-x_000005_000015", (2,)),
        ("0wR5jVB-WPk_000417_000427", (1,)),
        ("3caPS4FHFF8_000036_000046", (0,)),
    ]
    other = DATASETS["kinetics"](Source(path, classes=("zumba", "x", "abseiling", "massaging person's head, twice")))
    assert [entry.labels for entry in other.entries] == [(0,), (3,), (2,)]


def test_sports1m(tmp_path: Path) -> None:
    official = DATASETS["sports1m"](Source(write(tmp_path / "train_partition.txt", SPORTS)))
    assert listed(official) == [("NkPa7HmJ-xU", (3, 486), ""), ("0abc", (0,), "")]


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (lambda d: DATASETS["ucf101"](ucf(d, TRAIN_LIST + "Archery v.avi 2\n")), "line 3 of .*list.txt"),
        (lambda d: DATASETS["ucf101"](ucf(d, "Archery/v_Archery_g09_c02.avi 1\n")), "line 1 .*Archery has number 2"),
        (lambda d: DATASETS["ucf101"](ucf(d, "Surfing/v.avi 3\n")), "line 1 of .*Surfing"),
        (lambda d: DATASETS["ucf101"](ucf(d, class_ind="1 Archery\n3 Surfing\n")), "line 2 of .*classInd.txt"),
        (lambda d: DATASETS["ucf101"](ucf(d, class_ind="1 Archery\n2 Archery\n")), "line 2 of .*classInd.txt"),
        (lambda d: DATASETS["ucf101"](ucf(d, "\n\n")), "list.txt is empty"),
        (lambda d: DATASETS["ucf101"](Source(d / "none.txt")), "cannot read the list .*classInd.txt"),
        (lambda d: DATASETS["hmdb51"](hmdb(d, "w_a.avi 1\nw_b.avi 3\n")), "line 2 of .*wave_test_split1.txt"),
        (lambda d: DATASETS["hmdb51"](hmdb(d, "1\n")), "line 1 of .*wave_test_split1.txt"),
        (lambda d: DATASETS["hmdb51"](Source(d)), "testTrainMulti_7030_splits"),
        (lambda d: DATASETS["kinetics"](Source(write(d / "a", "youtube_id,split\nx,test\n"))), "no column label"),
        (lambda d: DATASETS["kinetics"](Source(write(d / "a", KINETICS + "zumba,x,1\n"))), "line 5 of .*lacks a value"),
        (lambda d: DATASETS["kinetics"](Source(write(d / "a", KINETICS + "zumba,x,1,b,\n"))), "line 5 .*whole seconds"),
        (lambda d: DATASETS["kinetics"](Source(write(d / "a", KINETICS), classes=("zumba",))), "line 3 of .*massaging"),
        (lambda d: DATASETS["sports1m"](Source(write(d / "a", SPORTS + "http://x.org/ 1\n"))), "line 3 of "),
        (lambda d: DATASETS["sports1m"](Source(write(d / "a", "http://x/?v=a 1,x\n"))), "line 1 of "),
        (lambda d: DATASETS["sports1m"](Source(write(d / "a", "http://x/?v=a\n"))), "line 1 of "),
        (lambda d: DATASETS["sports1m"](Source(write(d / "a", SPORTS), classes=("a", "b"))), "line 1 .*label 486"),
    ],
)
def test_malformed_lists_name_file_and_line(tmp_path: Path, read: Callable[[Path], OfficialList], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not text"):
        read_classes(tmp_path / "a")


def entry(name: str, folder: str = "") -> Entry:
    return Entry(name, (0,), folder, "line 7 of list.txt")


def test_videos_are_found_by_name_in_any_folder_and_container(tmp_path: Path) -> None:
    for name in ("flat.avi", "deep/er/other.mp4", "a.b/1.5.x.mkv", "plain"):
        write(tmp_path / name, "x")
    wanted = [entry(name) for name in ("flat.avi", "other.avi", "1.5.x", "1.5.x.avi", "plain", "none.avi")]
    found, missing = find_videos(wanted, tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path, _ in found]
    assert names == ["flat.avi", "deep/er/other.mp4", "a.b/1.5.x.mkv", "a.b/1.5.x.mkv", "plain"]
    assert missing == wanted[-1:]
    with pytest.raises(UsageError, match="is not a folder"):
        find_videos(wanted, tmp_path / "flat.avi")


def test_several_files_of_a_name(tmp_path: Path) -> None:
    for name in ("brush hair/a.mp4", "wave/a.mp4", "wave/b.avi", "wave/b.mp4", "x/c.mp4", "y/c.mp4"):
        write(tmp_path / name, "x")
    found, _ = find_videos([entry("a", "Brush_Hair"), entry("a.avi", "wave"), entry("b.avi", "wave")], tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path, _ in found] == [
        "brush hair/a.mp4",
        "wave/a.mp4",
        "wave/b.avi",
    ]
    with pytest.raises(UsageError, match=r"line 7 of list.txt: c may be .*x/c.mp4 or .*y/c.mp4"):
        find_videos([entry("c", "wave")], tmp_path)


def test_the_csv_is_create_video_dbs(tmp_path: Path) -> None:
    found = [(tmp_path / 'a, "b".mp4', Entry("a", (3, 486), "", "")), (tmp_path / "c.mp4", entry("c"))]
    write_list(tmp_path / "a.csv", found)
    with open(tmp_path / "a.csv", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [["org_video", "label"], [str(tmp_path / 'a, "b".mp4'), "3;486"], [str(tmp_path / "c.mp4"), "0"]]


def test_the_tool(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", KINETICS)
    write(tmp_path / "videos" / "zumba" / "-0ab_CD12-x_000005_000015.mp4", "x")
    write(tmp_path / "videos" / "3caPS4FHFF8_000036_000046.mkv", "x")
    flags = [
        "--dataset=kinetics", f"--annotations={tmp_path / 'train.csv'}", f"--video_dir={tmp_path / 'videos'}",
        f"--output_file={tmp_path / 'out.csv'}", f"--write_classes={tmp_path / 'classes.txt'}",
    ]  # fmt: skip
    answer = run_tool("../data/dataset_list.py", *flags)
    assert answer.returncode == 2 and "1 of the 3 videos" in answer.stderr and "(line 3 of" in answer.stderr
    assert not (tmp_path / "out.csv").exists()
    answer = run_tool("../data/dataset_list.py", *flags, "--missing=skip")
    assert answer.returncode == 0, answer.stderr
    assert "2 videos of 2 classes" in answer.stdout and "1 video of the list is missing" in answer.stdout
    assert (tmp_path / "out.csv.missing.txt").read_text() == "0wR5jVB-WPk_000417_000427\n"
    assert read_classes(tmp_path / "classes.txt") == ("abseiling", "massaging person's head, twice", "zumba")
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [
        f"{tmp_path / 'videos' / 'zumba' / '-0ab_CD12-x_000005_000015.mp4'},2",
        f"{tmp_path / 'videos' / '3caPS4FHFF8_000036_000046.mkv'},0",
    ]
    answer = run_tool("../data/dataset_list.py", "--dataset=imagenet")
    assert answer.returncode == 2 and "--dataset" in answer.stderr
