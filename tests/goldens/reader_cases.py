"""Every golden of the original reader, run through ours: identical, or different for a cause that is checked.

Optical flow is compared with a tolerance: another build of OpenCV moves single pixels.

Used by tests/video/reader/test_reader_goldens.py and by tests/goldens/measure_reader.py, which writes
docs/internals/reader_goldens.md.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import av
import numpy as np
import pytest

from tests.goldens.recordings import golden_names, golden_path, video_path
from tests.support.optionals import present
from vmz.video.arguments import FROM_START_FRAME, ORIGINAL_SIZE, VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.frames.decoding import Video
from vmz.video.frames.scaling import to_pixels
from vmz.video.reader import BadVideoError, Batch, ClipReader
from vmz.video.sampling import crop_offsets, output_size, start_timestamp

FFMPEG_8 = av.library_versions["libswscale"][0] >= 9

IDENTICAL, REFUSED, READ = "identical", "refused, as the original failed", "read, where the original crashed"
STARTS_WHERE_TOLD = "starts at the record's frame, where the original starts at another"
UNWRITTEN = "unscaled, and the original leaves the last columns (width modulo 8) unwritten"
FLOW = "optical flow within the tolerance"
SAME_HEIGHT = "only the width is scaled: FFmpeg 8 and later differ"
ODD_WIDTH = "unscaled and of odd width: FFmpeg 8 and later differ"


FLOW_MEAN, FLOW_VALUE, FLOW_SHARE = 1e-3, 0.05, 0.999  # mean difference; a value's, and how many must be within it


@dataclass(frozen=True)
class FlowDifference:
    """Of the normalised flow from the original's: over the whole array, or at the golden's 64 sample places."""

    whole: bool
    mean: float
    largest: float
    within: float  # share of the values that differ by no more than FLOW_VALUE


@dataclass(frozen=True)
class Outcome:
    """What came of one case. `difference`: the largest in grey levels at the golden's 64 sample places, or None."""

    video: str
    case: int
    verdict: str
    difference: Optional[int] = None
    flow: Optional[FlowDifference] = None


def videos() -> list[str]:
    """Names of the videos that have goldens."""
    return [name[len("reader/") : -len(".json")] for name in golden_names("reader/*.*.json")]


def cases_of(video: str, every: int = 1) -> list[dict[str, Any]]:
    """The cases of a video: each `every`-th of those that ask for RGB clips only, and each that asks for flow."""
    cases: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for case in json.loads(golden_path(f"reader/{video}.json").read_text())["cases"]:
        cases[asks_for_flow(case)].append(case)
    return cases[False][::every] + cases[True]


def asks_for_flow(case: dict[str, Any]) -> bool:
    return bool(case["args"].get("get_optical_flow"))


def outcomes(video: str, folder: Path, every: int = 1) -> Iterator[Outcome]:
    """Run the cases of a video, as cases_of. AssertionError where a case differs without one of the causes."""
    for case in cases_of(video, every):
        yield _outcome(video, case, folder / f"{video}_{case['case']}")


def read(video: str, case: dict[str, Any], database: Path, **changes: Any) -> Batch:
    """The first batch of a one-record database that holds what the case's did."""
    if not database.exists():
        path = video_path(video)
        held = case["record"]
        content = str(path).encode() if case["args"].get("use_local_file") else path.read_bytes()
        labels = tuple(held.get("labels", [case["case"] % 7]))
        with DatabaseWriter(database) as writer:
            writer.write(Record(b"0", content, labels, held.get("start_frm"), held.get("video_id")))
    with ClipReader(database, VideoInputArgs.from_mapping({**case["args"], **changes})) as reader:
        return reader.next_batch()


def _outcome(video: str, case: dict[str, Any], database: Path) -> Outcome:
    where = (video, case["case"])
    cause = _cause(video, case)
    try:
        batch = read(video, case, database)
    except BadVideoError as error:
        assert "frame" in str(error), where
        if cause == STARTS_WHERE_TOLD and case["decoded"]:  # frame numbers beyond the end
            _assert_identical(read(video, case, database, original_start_faults=1), case)
            return Outcome(*where, cause)
        assert case["decoded"] is False, (*where, str(error))
        return Outcome(*where, REFUSED)
    if "process_died" in case:
        assert np.isfinite(present(batch.data)).all(), where
        return Outcome(*where, READ)
    if cause == STARTS_WHERE_TOLD and not case["decoded"]:  # from its other start it found too few frames
        with pytest.raises(BadVideoError):
            read(video, case, database, original_start_faults=1)
        return Outcome(*where, cause)
    assert case["decoded"], (*where, "the original could not decode this")
    _assert_small_outputs(batch, case)
    if "flow" in case["out"]:
        return flow_outcome(video, case, batch)
    if _sha256(batch) == case["out"]["data"]["sha256"]:
        return Outcome(*where, IDENTICAL)
    assert cause is not None, (*where, "differs without a cause")
    if cause == STARTS_WHERE_TOLD:
        _assert_identical(read(video, case, database, original_start_faults=1), case)
        return Outcome(*where, cause)
    if cause == UNWRITTEN:
        _assert_identical_when_black(batch, case, video)
        return Outcome(*where, cause)
    return Outcome(*where, cause, _difference(batch, case))


def flow_outcome(video: str, case: dict[str, Any], batch: Batch) -> Outcome:
    """Of a case that asks for flow: AssertionError where the RGB is not identical, or the flow out of the tolerance."""
    where, wanted, flow = (video, case["case"]), case["out"]["flow"], batch.flow
    assert flow is not None and flow.dtype == np.float32
    verdict = SAME_HEIGHT if _cause(video, case) == SAME_HEIGHT else FLOW
    if verdict == FLOW and "data" in case["out"]:
        assert _sha256(batch) == case["out"]["data"]["sha256"], (*where, "the RGB differs")
    arrays = np.load(golden_path(f"reader/{video}.npz"))
    whole = f"case{case['case']:03}_flow" in arrays.files
    if whole:
        difference = np.abs(flow - arrays[f"case{case['case']:03}_flow"])
    else:
        places = np.random.RandomState(case["case"]).randint(0, flow.size, 64)
        difference = np.abs(flow.ravel()[places] - np.array(wanted["sample_values"], np.float32))
        for name in ("mean", "std"):
            assert abs(float(getattr(flow, name)(dtype=np.float64)) - wanted[name]) <= FLOW_MEAN, (*where, name)
    found = FlowDifference(
        whole, float(difference.mean()), float(difference.max()), float((difference <= FLOW_VALUE).mean())
    )
    if verdict == FLOW:
        assert found.mean <= FLOW_MEAN and found.within >= FLOW_SHARE, (*where, found)
        if _sha256_of(flow) == wanted["sha256"]:
            verdict = IDENTICAL
    return Outcome(*where, verdict, flow=found)


def _cause(video: str, case: dict[str, Any]) -> Optional[str]:
    """Why a case may differ, from the arguments and the stream alone."""
    args = VideoInputArgs.from_mapping(case["args"])
    if starts_where_told(video, case):
        return STARTS_WHERE_TOLD
    with Video(str(video_path(video))) as stream:
        if not stream.has_times:
            return None
        source = (stream.width, stream.height)
        target = output_size(args, *source, args.short_edge)
    if target == source and source[0] % 8:
        return ODD_WIDTH if FFMPEG_8 and source[0] % 2 else UNWRITTEN
    if FFMPEG_8 and target[1] == source[1] and target[0] != source[0] and args.video_res_type != ORIGINAL_SIZE:
        return SAME_HEIGHT
    return None


def starts_where_told(video: str, case: dict[str, Any]) -> bool:
    """Whether the original's rule, a share of the stated duration, leads to another frame than the record's."""
    start = case["record"].get("start_frm") or 0
    if case["args"].get("decode_type") != FROM_START_FRAME or not start:
        return False
    with Video(str(video_path(video))) as stream:
        if not stream.has_times:
            return True  # the original starts at 0
        times = stream.timeline().times or []
        return bisect_left(times, start_timestamp(stream.duration, stream.frames, start)) != start


def _assert_identical(batch: Batch, case: dict[str, Any]) -> None:
    _assert_small_outputs(batch, case)
    assert _sha256(batch) == case["out"]["data"]["sha256"], case["case"]


def _assert_small_outputs(batch: Batch, case: dict[str, Any]) -> None:
    assert (batch.data is not None, batch.flow is not None) == ("data" in case["out"], "flow" in case["out"])
    for name, wanted in case["out"].items():
        found = getattr(batch, name)
        if name in ("data", "flow"):
            assert list(found.shape) == wanted["shape"], name
            continue
        assert (str(found.dtype), list(found.shape)) == (wanted["dtype"], wanted["shape"]), name
        assert found.ravel().tolist() == wanted["values"], name


def _sha256(batch: Batch) -> str:
    assert batch.data is not None
    return _sha256_of(batch.data)


def _sha256_of(clips: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(clips).astype("<f4").tobytes()).hexdigest()


def _assert_identical_when_black(batch: Batch, case: dict[str, Any], video: str) -> None:
    """Equal but for the columns that the original never wrote: its buffer was zeroed, so there they are black."""
    args = VideoInputArgs.from_mapping(case["args"])
    with Video(str(video_path(video))) as stream:
        width, height = stream.width, stream.height
    first = width - width % 8
    pixels = _pixels(batch)
    for row, clip in enumerate(pixels):
        _, left = crop_offsets(width, height, args.crop_size, args.crop_per_clip)[row % args.crop_per_clip]
        clip[..., max(0, first - left) :] = 0
    where = (video, case["case"])
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == case["out"]["data"]["u8_sha256"], where


def _difference(batch: Batch, case: dict[str, Any]) -> int:
    """Largest difference in grey levels over the golden's 64 sampled places."""
    places = np.random.RandomState(case["case"]).randint(0, present(batch.data).size, 64)
    difference = _pixels(batch).ravel()[places].astype(int) - np.array(case["out"]["data"]["u8_sample"])
    return int(np.abs(difference).max())


def _pixels(batch: Batch) -> np.ndarray:
    """uint8 (N, 3, T, H, W)"""
    return np.ascontiguousarray(to_pixels(present(batch.data).swapaxes(0, 1)).swapaxes(0, 1))
