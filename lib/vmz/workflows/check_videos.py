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
from vmz.video.decoding import DecodingError, Video

COLUMNS = ("org_video", "status", "frames", "width", "height", "remark")


@dataclass(frozen=True)
class VideoCheck:
    """`status` is good, bad (no frame can be read), short (fewer frames than asked for), or odd (read `remark`)."""

    video: str
    status: str
    frames: int = 0
    width: int = 0
    height: int = 0
    remark: str = ""


def check_video(path: str, min_frames: int) -> VideoCheck:
    """Decode a whole video, as the reader does."""
    try:
        with Video(path) as video:
            count = 0
            last = None
            backwards = 0
            for _, timestamp in video.read():
                count += 1
                backwards += last is not None and timestamp is not None and timestamp <= last
                last = timestamp
            remarks = []
            if video.ended_by:
                remarks.append(f"decoding ended early: {video.ended_by}")
            if video.frames and video.frames != count:
                remarks.append(f"states {video.frames} frames")
            if not video.has_times:
                remarks.append("states no duration or number of frames: its start frames are counted, not sought")
            if backwards:
                remarks.append(f"{backwards} timestamps do not advance")
            status = "bad" if not count else "short" if count < min_frames else "odd" if remarks else "good"
            if not count and not remarks:
                remarks.append("no frame can be decoded")
            return VideoCheck(path, status, count, video.width, video.height, "; ".join(remarks))
    except DecodingError as error:
        return VideoCheck(path, "bad", remark=str(error))


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
    return f"{len(checks)} videos: " + ", ".join(f"{count} {status}" for status, count in counts.items())
