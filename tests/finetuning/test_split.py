"""The split of a fine-tuning: by class, by seed, and its refusals."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from vmz.datasets.video_lists import ListedVideo, VideoList, read_video_list
from vmz.errors import UsageError
from vmz.finetuning.split import split, write_list


def videos(*counts: int, classes: tuple[str, ...] = ("ask", "bow", "cut")) -> VideoList:
    rows = [
        ListedVideo(f"v/{label}_{number}.mp4", (label,), None, None, None)
        for label, count in enumerate(counts)
        for number in range(count)
    ]
    return VideoList("my_videos", rows, classes[: len(counts)])


def test_each_class_is_divided_by_the_share() -> None:
    found = split(videos(10, 5, 2), 0.2, 0)
    held = [sum(video.labels[0] == label for video in found.test) for label in range(3)]
    assert held == [2, 1, 1] and found.counts == [8, 4, 1] and found.classes == ("ask", "bow", "cut")
    assert not {video.video for video in found.train} & {video.video for video in found.test}
    assert len(found.train) + len(found.test) == 17


def test_the_seed_decides() -> None:
    names = [[video.video for video in split(videos(20, 20), 0.3, seed).test] for seed in (1, 1, 2)]
    assert names[0] == names[1] != names[2]
    backwards = VideoList("x", list(reversed(videos(20, 20).rows)), ("ask", "bow"))
    assert [video.video for video in split(backwards, 0.3, 1).test] == names[0]  # whatever order the list has


def test_one_is_left_for_training() -> None:
    assert split(videos(2, 2), 0.9, 0).counts == [1, 1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (videos(5), "has 1 class names, but fine-tuning needs two classes or more"),
        (VideoList("x", videos(3, 3).rows, ()), "has 0 class names"),
        (videos(5, 1), "the class bow of my_videos has one video, but one for training and one for the test"),
        (VideoList("x", [ListedVideo("a.mp4", (0, 1), None, None, 3)], ("a", "b")), "a.mp4 has 2 labels"),
    ],
)
def test_what_cannot_be_split(given: VideoList, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        split(given, 0.2, 0)


def test_lists_are_read_again(tmp_path: Path) -> None:
    found = split(videos(3, 3, classes=("a, b", 'say "c"')), 0.4, 0)
    write_list(tmp_path / "train.csv", found.train)
    with open(tmp_path / "train.csv", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["org_video", "label"] and all(Path(row[0]).is_absolute() for row in rows[1:])
    again = read_video_list(tmp_path / "train.csv")
    assert [row.labels for row in again.rows] == [video.labels for video in found.train]
