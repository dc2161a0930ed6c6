"""Every golden of the original's AVInput, run through a reader of ours: RGB to the bit, log-mels within the tolerance.

What differs has one of two causes, and is listed in `check_all`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from tests.goldens.reader_cases import starts_where_told
from tests.goldens.recordings import golden_names, golden_path, video_path
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.frames.scaling import to_pixels

# read(database, arguments by operator names): {output by its name in Batch: array} of the first batch
Read = Callable[[Path, dict[str, Any]], dict[str, np.ndarray]]

LARGEST, MEAN = 0.1, 5e-3  # of a log-mel's difference, and of a case's mean

# Of these files every so many cases are tested by default.
EVERY = {"bigbuckbunny.mp4": 5, "flipping_a_pancake.mkv": 5, "nasa_13013.mp4": 3, "arm_wrestling.mp4": 2}

WITHIN = "within the tolerance"
STARTS_WHERE_TOLD = "the RGB starts at the record's frame, where the original starts at another"
BEGINNING_KEPT = "the sound's first 1024 samples, which FFmpeg 4.3 loses in a seek to 0"
READ = "read, where the original crashed"


@dataclass(frozen=True)
class Outcome:
    """What came of one case. largest, mean: of the log-mels' differences."""

    video: str
    case: int
    verdict: str
    largest: float = 0.0
    mean: float = 0.0


def sound_videos() -> list[str]:
    """Names of the files that have goldens of AVInput."""
    names = golden_names("av/reader/*.*.json")
    return [name[len("av/reader/") : -len(".json")] for name in names]


def cases_of(video: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(golden_path(f"av/reader/{video}.json").read_text())["cases"]
    return cases


def check_some(video: str, folder: Path, read: Read) -> None:
    """Every few cases of a file: all but one at most agree."""
    found = list(outcomes(video, folder, read, EVERY.get(video, 1)))
    assert sum(outcome.verdict in (WITHIN, STARTS_WHERE_TOLD) for outcome in found) >= len(found) - 1


def check_all(folder: Path, read: Read, worst_mean: float) -> None:
    """All cases: how many agree, which others there are, and the worst mean of those that agree."""
    found = [outcome for video in sound_videos() for outcome in outcomes(video, folder, read)]
    counts = Counter(outcome.verdict for outcome in found)
    assert counts == {WITHIN: 227, STARTS_WHERE_TOLD: 9, BEGINNING_KEPT: 2, READ: 1}
    others = {(one.video, one.case) for one in found if one.verdict in (BEGINNING_KEPT, READ)}
    assert max(one.mean for one in found if one.verdict in (WITHIN, STARTS_WHERE_TOLD)) < worst_mean
    assert others == {("nasa_13013.mp4", 7), ("short_audio.mp4", 7), ("flipping_a_pancake.mkv", 40)}


def outcomes(video: str, folder: Path, read: Read, every: int = 1) -> Iterator[Outcome]:
    """Run each `every`-th case of a file. AssertionError where one differs without a cause."""
    for case in cases_of(video)[::every]:
        database = folder / f"{video}_{case['case']}"
        _write(video, case, database)
        yield _outcome(video, case, database, read)


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    """The operator's: flags as 0 and 1, and what the original's tools make of input_type."""
    given = {name: int(value) if isinstance(value, bool) else value for name, value in case["args"].items()}
    return {**given, "get_rgb": int(case["input_type"] == 3), "get_logmels": 1}


def _write(video: str, case: dict[str, Any], database: Path) -> None:
    path, held = video_path(video), case["record"]
    content = str(path).encode() if case["args"].get("use_local_file") else path.read_bytes()
    labels = tuple(held.get("labels", [case["case"] % 7]))
    with DatabaseWriter(database) as writer:
        writer.write(Record(b"0", content, labels, held.get("start_frm"), held.get("video_id")))


def _read(case: dict[str, Any], database: Path, read: Read, **changes: Any) -> dict[str, np.ndarray]:
    """The outputs by the names that the goldens give them: log-mels alone are `data`."""
    found = read(database, {**arguments(case), **changes})
    return found if case["input_type"] == 3 else {**found, "data": found["logmels"]}


def _outcome(video: str, case: dict[str, Any], database: Path, read: Read) -> Outcome:
    where = (video, case["case"])
    found = _read(case, database, read)
    if "process_died" in case:
        assert all(np.isfinite(array).all() for array in found.values()), where
        return Outcome(*where, READ)
    difference = np.abs(_logmels(found, case) - _recorded(video, case))
    largest, mean = float(difference.max()), float(difference.mean())
    if (largest > LARGEST or mean > MEAN) and _begins_at_zero_after_a_seek(case):
        return Outcome(*where, BEGINNING_KEPT, largest, mean)
    assert largest <= LARGEST and mean <= MEAN, (*where, largest, mean)
    for name in {"label", "video_id"} & set(case["out"]):
        wanted = case["out"][name]
        assert [str(found[name].dtype), list(found[name].shape)] == [wanted["dtype"], wanted["shape"]], where
        assert found[name].ravel().tolist() == wanted["values"], where
    if case["input_type"] == 2 or _has_the_rgb(found, case):
        return Outcome(*where, WITHIN, largest, mean)
    assert starts_where_told(video, case), (*where, "the RGB differs without a cause")
    as_the_original = _read(case, database, read, original_start_faults=1)
    assert _has_the_rgb(as_the_original, case), where
    assert np.abs(_logmels(as_the_original, case) - _recorded(video, case)).max() <= LARGEST, where
    return Outcome(*where, STARTS_WHERE_TOLD, largest, mean)


def _begins_at_zero_after_a_seek(case: dict[str, Any]) -> bool:
    return case["input_type"] == 2 and case["args"]["decode_type"] == 2 and case["record"]["start_frm"] == 0


def _logmels(found: dict[str, np.ndarray], case: dict[str, Any]) -> np.ndarray:
    return found["logmels" if case["input_type"] == 3 else "data"]


def _recorded(video: str, case: dict[str, Any]) -> np.ndarray:
    out = case["out"]["logmels" if case["input_type"] == 3 else "data"]
    if out.get("all_zero"):
        return np.zeros(out["shape"], np.float32)
    array: np.ndarray = np.load(golden_path(f"av/reader/{video}.npz"))[out["array"]]
    assert list(array.shape) == out["shape"]
    return array


def _has_the_rgb(found: dict[str, np.ndarray], case: dict[str, Any]) -> bool:
    wanted, clips = case["out"]["data"], found["data"]
    assert (str(clips.dtype), list(clips.shape)) == (wanted["dtype"], wanted["shape"])
    pixels = np.ascontiguousarray(to_pixels(clips.swapaxes(0, 1)).swapaxes(0, 1))
    return hashlib.sha256(pixels.tobytes()).hexdigest() == str(wanted["u8_sha256"])
