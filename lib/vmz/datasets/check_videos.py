"""Opening and decoding every video of a list before it is used: which are bad, short, or odd."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from vmz.files import atomic_write
from vmz.progress import progress
from vmz.text import counted
from vmz.video.faults import bounded
from vmz.video.frames.decoding import DecodingError, Video
from vmz.video.frames.watch import Watch, watched

COLUMNS = ("org_video", "status", "frames", "width", "height", "remark")


@dataclass(frozen=True)
class VideoCheck:
    """`status` is good, bad (no frame can be read), short (fewer frames than asked for), or odd (read `remark`).

    ended_by: why reading stopped before the video's end, "" where it did not. rotation: in degrees, counterclockwise,
    by which its metadata ask players to turn it.
    """

    video: str
    status: str
    frames: int = 0
    width: int = 0
    height: int = 0
    remark: str = ""
    ended_by: str = ""
    rotation: int = 0


def check_video(path: str, min_frames: int) -> VideoCheck:
    """Decode a whole video, as the reader does."""
    try:
        return watched(lambda watch: _check(path, min_frames, watch))
    except DecodingError as error:
        return VideoCheck(path, "bad", remark=str(error))


def _check(path: str, min_frames: int, watch: Watch) -> VideoCheck:
    with Video(path, watch) as video:
        count = 0
        last = None
        backwards = 0
        for _, timestamp in video.read():
            count += 1
            backwards += last is not None and timestamp is not None and timestamp <= last
            last = timestamp
        remarks = []
        ended_by = video.ending.reason if video.ending else ""
        if ended_by:
            remarks.append(f"decoding ended early: {ended_by}")
        if video.rotation:
            remarks.append(f"its metadata rotates it by {video.rotation} degrees, the reader does not")
        if video.frames and video.frames != count:
            remarks.append(f"states {counted(video.frames, 'frame')}")
        if not video.has_times:
            remarks.append(
                "states no duration or number of frames: its start frames are found by counting frames, not by seeking"
            )
        if backwards:
            remarks.append(f"{backwards} timestamps do not advance")
        status = "bad" if not count else "short" if count < min_frames else "odd" if remarks else "good"
        if not count and not remarks:
            remarks.append("no frame can be decoded")
        size = video.width, video.height
        return VideoCheck(path, status, count, *size, "; ".join(remarks), ended_by, video.rotation)


def check_videos(paths: Sequence[str], min_frames: int, threads: int) -> list[VideoCheck]:
    """Check each distinct path once, in order."""
    distinct = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(threads) as pool:
        checks = pool.map(lambda path: check_video(path, min_frames), distinct)
        return list(progress(checks, len(distinct), "videos", "checking"))


def write_report(checks: Sequence[VideoCheck], path: Union[str, Path]) -> None:
    """A CSV of all checks, the bad ones first."""
    order = {"bad": 0, "short": 1, "odd": 2, "good": 3}
    with atomic_write(path, "w") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for check in sorted(checks, key=lambda check: order[check.status]):
            writer.writerow((check.video, check.status, check.frames, check.width, check.height, check.remark))


def summary(checks: Sequence[VideoCheck]) -> str:
    """Counts by status in one line."""
    counts = {status: sum(check.status == status for check in checks) for status in ("good", "odd", "short", "bad")}
    return f"{counted(len(checks), 'video')}: " + ", ".join(f"{count} {status}" for status, count in counts.items())


def closing_lines(checks: Sequence[VideoCheck]) -> list[str]:
    """A line each on the videos that ended early and on those that carry a rotation."""
    lines = []
    ended = [check for check in checks if check.ended_by and check.frames]
    if ended:
        named = [f"{check.video} after {counted(check.frames, 'frame')}: {check.ended_by}" for check in ended]
        lines.append(bounded(f"{counted(len(ended), 'video')} ended early (read up to there)", named))
    turned = [check for check in checks if check.rotation]
    if turned:
        named = [f"{check.video} ({check.rotation} degrees)" for check in turned]
        lines.append(bounded(rotation_line(len(turned)), named))
    return lines


def rotation_line(videos: int) -> str:
    """What becomes of so many videos that carry a rotation."""
    verb = "carries" if videos == 1 else "carry"
    return (
        f"{counted(videos, 'video')} {verb} a rotation in the metadata, and the frames are read as stored, not rotated"
    )
