"""Videos divided into those that are trained on and those that are tested on, class by class."""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from vmz.datasets.video_lists import ListedVideo, VideoList
from vmz.errors import UsageError
from vmz.files import atomic_write
from vmz.text import counted


@dataclass(frozen=True)
class Split:
    """classes: names in the order of the labels. counts: of each class, videos for training."""

    train: tuple[ListedVideo, ...]
    test: tuple[ListedVideo, ...]
    classes: tuple[str, ...]

    @property
    def counts(self) -> list[int]:
        return [sum(video.labels[0] == label for video in self.train) for label in range(len(self.classes))]


def split(videos: VideoList, share: float, seed: int) -> Split:
    """Hold out `share` of each class, at least one video, drawn by `seed`: the same videos give the same split.

    Raises UsageError for a class with one video, for several labels of a video, and for fewer than two classes.
    """
    if len(videos.classes) < 2:
        raise UsageError(
            f"{videos.path} has {len(videos.classes)} class names, but fine-tuning needs two classes or more; give a "
            "folder of class folders, or a list with class names as labels"
        )
    by_class: dict[int, list[ListedVideo]] = defaultdict(list)
    for video in videos.rows:
        if len(video.labels) != 1:
            raise UsageError(
                f"{videos.path}: {video.video} has {counted(len(video.labels), 'label')}, but one is needed"
            )
        by_class[video.labels[0]].append(video)
    train: list[ListedVideo] = []
    test: list[ListedVideo] = []
    for label in sorted(by_class):
        found = sorted(by_class[label], key=lambda video: video.video)
        if len(found) < 2:
            raise UsageError(
                f"the class {videos.classes[label]} of {videos.path} has one video, but one for training and one for "
                "the test are needed"
            )
        random.Random(f"{seed} {label}").shuffle(found)
        held = max(1, round(share * len(found)))
        held = min(held, len(found) - 1)
        test += found[:held]
        train += found[held:]
    return Split(tuple(train), tuple(test), tuple(videos.classes))


def write_list(path: Path, videos: tuple[ListedVideo, ...]) -> None:
    """A list that every tool reads: paths, absolute, and labels as numbers, for names may hold any character."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["org_video", "label"])
    writer.writerows([str(Path(video.video).resolve()), video.labels[0]] for video in videos)
    with atomic_write(path) as stream:
        stream.write(text.getvalue().encode("utf-8"))
