"""The same small videos as a folder of class folders, as a list with the names of their classes, and as an LMDB."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tests.support.small_videos import video
from vmz.datasets.create_database import DatabaseOptions, read_list, write_database

CLASSES = ("bowling", "run", "yoga")


class SameVideos(NamedTuple):
    """lmdb: of create_video_db.py, of the list; by_path: the same with --use_list=1."""

    folder: Path
    list: Path
    lmdb: Path
    by_path: Path


def same_videos(root: Path, each: int = 2) -> SameVideos:
    """`each` videos of each class. The list has them as the folder gives them, so that all are shuffled alike."""
    found = SameVideos(root / "videos", root / "list.csv", root / "lmdb", root / "by_path")
    rows = ["org_video,label,start_frm,video_id"]
    for label, name in enumerate(CLASSES):
        (found.folder / name).mkdir(parents=True)
        for number in range(each):
            path = found.folder / name / f"{number}, of {name}.mp4"
            video(path, 3 * number + label)
            rows.append(f'"{path}",{name},{number},{10 * label + number}')
    found.list.write_text("\n".join(rows) + "\n")
    for output, paths in ((found.lmdb, False), (found.by_path, True)):
        options = DatabaseOptions(use_list=paths, use_start_frame=paths, use_video_id=True)
        write_database(read_list(found.list, options), output, options, found.list)
    return found


def left_behind() -> list[str]:
    """Temporary folders of runs that are there."""
    return sorted(name for name in os.listdir(os.environ.get("TMPDIR", "/tmp")) if name.startswith(".vmz_list."))
