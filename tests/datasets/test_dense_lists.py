"""Lists of clips for dense prediction, from videos counted frame by frame."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.goldens.e2e import run_tool
from tests.support.small_videos import video
from vmz.datasets.dense_lists import DenseVideo, write_parts
from vmz.datasets.video_lists import read_video_list
from vmz.errors import UsageError


def make(folder: Path, *frames: int) -> Path:
    """A list of videos of so many frames, labels from 0; 0 frames are a file that is no video."""
    rows = []
    for number, count in enumerate(frames):
        path = folder / f"{number}.mp4"
        if count:
            video(path, number, frames=count)
        else:
            path.write_bytes(b"no video")
        rows.append(f"{path},{number}")
    (folder / "list.csv").write_text("org_video,label\n" + "\n".join(rows) + "\n")
    return folder / "list.csv"


def dense(folder: Path, *flags: str) -> str:
    answer = run_tool(
        "../data/dense_list.py", f"--list_file={folder / 'list.csv'}", f"--output_file={folder / 'dense.csv'}", *flags
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def rows(path: Path) -> list[tuple[str, int, int]]:
    """(name, start frame, id) of each row."""
    with open(path, newline="") as stream:
        return [(Path(r["org_video"]).stem, int(r["start_frm"]), int(r["video_id"])) for r in csv.DictReader(stream)]


def test_every_clip_within_the_video(tmp_path: Path) -> None:
    make(tmp_path, 12, 8, 20)
    assert "11 clips of 3 videos" in dense(tmp_path, "--clip_length=8", "--stride=2")
    assert rows(tmp_path / "dense.csv") == [
        *(("0", start, 0) for start in (0, 2, 4)),
        ("1", 0, 1),
        *(("2", start, 2) for start in (0, 2, 4, 6, 8, 10, 12)),
    ]


def test_parts_hold_whole_videos_and_a_stride_counts(tmp_path: Path) -> None:
    make(tmp_path, 12, 8, 20, 0, 7)
    said = dense(tmp_path, "--clip_length=4", "--sampling_rate=2", "--stride=4", "--parts=2", "--on_bad_video=skip")
    assert "8 clips of 4 videos" in said and "1 video left out" in said
    assert rows(tmp_path / "dense_1.csv") == [("0", 0, 0), ("0", 4, 0), ("1", 0, 1)]
    assert rows(tmp_path / "dense_2.csv") == [*(("2", start, 2) for start in (0, 4, 8, 12)), ("4", 0, 4)]
    assert (tmp_path / "dense.csv.left_out.txt").read_text().startswith(f"{tmp_path / '3.mp4'}: ")
    listed = read_video_list(tmp_path / "dense_2.csv", start_frames=True, video_ids=True)
    assert [row.labels for row in listed.rows] == [(2,)] * 4 + [(4,)]


def test_what_gives_no_clip_is_named(tmp_path: Path) -> None:
    make(tmp_path, 12, 7)
    answer = run_tool(
        "../data/dense_list.py", f"--list_file={tmp_path / 'list.csv'}", f"--output_file={tmp_path / 'dense.csv'}",
        "--clip_length=8",
    )  # fmt: skip
    assert answer.returncode == 2 and not (tmp_path / "dense.csv").exists()
    assert f"1 of the 2 videos of {tmp_path / 'list.csv'} give no clip" in answer.stderr
    assert "1.mp4: 7 frames, but a clip takes 8; --on_bad_video=skip" in answer.stderr
    with pytest.raises(UsageError, match="--parts=2 is more than the 1 video"):
        write_parts([DenseVideo("a", (0,), 0, range(3))], tmp_path / "a.csv", 2)
