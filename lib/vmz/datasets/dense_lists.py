"""Lists for dense prediction: a row for every clip along a video, with its start frame and the video's id."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmz.datasets.check_videos import check_videos
from vmz.datasets.video_lists import VideoList
from vmz.errors import UsageError
from vmz.files import atomic_write
from vmz.text import counted

COLUMNS = ("org_video", "label", "start_frm", "video_id")


@dataclass(frozen=True)
class DenseVideo:
    """A video and the first frames of its clips. identity: its place in the list, from 0."""

    video: str
    labels: tuple[int, ...]
    identity: int
    starts: range


@dataclass(frozen=True)
class DenseList:
    """left_out: the videos without a clip, each with why."""

    videos: list[DenseVideo]
    left_out: list[str]

    @property
    def clips(self) -> int:
        return sum(len(video.starts) for video in self.videos)


def dense_list(listed: VideoList, span: int, stride: int, threads: int = 1) -> DenseList:
    """Clips of `span` frames every `stride` frames, as many as lie within each video; its frames are counted.

    Videos that cannot be decoded, and those shorter than a clip, are left out.
    """
    checks = {check.video: check for check in check_videos([row.video for row in listed.rows], span, threads)}
    found, left_out = [], []
    for identity, row in enumerate(listed.rows):
        check = checks[row.video]
        if check.frames >= span:
            found.append(DenseVideo(row.video, row.labels, identity, range(0, check.frames - span + 1, stride)))
        else:
            short = f"{counted(check.frames, 'frame')}, but a clip takes {span}"
            left_out.append(f"{row.video}: {short if check.status == 'short' else check.remark}")
    return DenseList(found, left_out)


def part_paths(path: Path, parts: int) -> list[Path]:
    """The files of a list: `path`, or with several parts <stem>_1<suffix> and so on."""
    return [path] if parts == 1 else [path.with_name(f"{path.stem}_{n}{path.suffix}") for n in range(1, parts + 1)]


def write_parts(videos: Sequence[DenseVideo], path: Path, parts: int) -> list[Path]:
    """Write the rows to `part_paths`, whole videos to each. UsageError for more parts than videos."""
    if parts > len(videos):
        raise UsageError(f"--parts={parts} is more than the {counted(len(videos), 'video')}; give fewer")
    paths = part_paths(path, parts)
    for number, file in enumerate(paths):
        with atomic_write(file, "w") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            for video in videos[number * len(videos) // parts : (number + 1) * len(videos) // parts]:
                labels = ";".join(map(str, video.labels))
                writer.writerows([video.video, labels, start, video.identity] for start in video.starts)
    return paths
