"""Every RGB golden of the original reader, run through the C++ operator: identical, or different for a known cause."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np

from tests.golden import video_path
from tests.ops.operator import opened
from tests.reader_goldens import IDENTICAL, READ, REFUSED, STARTS_WHERE_TOLD, UNWRITTEN, Outcome, rgb_cases
from vmz.video.arguments import VideoInputArgs
from vmz.video.database import DatabaseWriter
from vmz.video.decoding import Video
from vmz.video.records import Record
from vmz.video.sampling import output_size
from vmz.workflows.dump_clips import to_pixels


def outcomes(video: str, folder: Path, every: int = 1) -> Iterator[Outcome]:
    """Run the cases of a video (each `every`-th). AssertionError where a case differs without one of the causes."""
    for case in rgb_cases(video)[::every]:
        database = folder / f"{video}_{case['case']}"
        _write(video, case, database)
        yield _outcome(video, case, database)


def _write(video: str, case: dict[str, Any], database: Path) -> None:
    path, held = video_path(video), case["record"]
    content = str(path).encode() if case["args"].get("use_local_file") else path.read_bytes()
    labels = tuple(held.get("labels", [case["case"] % 7]))
    with DatabaseWriter(database) as writer:
        writer.write(Record(b"0", content, labels, held.get("start_frm"), held.get("video_id")))


def _read(case: dict[str, Any], database: Path, **changes: Any) -> dict[str, np.ndarray]:
    with opened(database, {**case["args"], **changes}) as operator:
        return operator.run()


def _outcome(video: str, case: dict[str, Any], database: Path) -> Outcome:
    where = (video, case["case"])
    cause = _cause(video, case)
    try:
        batch = _read(case, database)
    except RuntimeError as error:
        assert "record 0" in str(error) and "frame" in str(error), (*where, str(error))
        if cause == STARTS_WHERE_TOLD:  # frame numbers beyond the end
            _assert_identical(_read(case, database, original_start_faults=1), case)
            return Outcome(*where, cause)
        assert case["decoded"] is False, (*where, str(error))
        return Outcome(*where, REFUSED)
    if "process_died" in case:
        assert np.isfinite(batch["data"]).all(), where
        return Outcome(*where, READ)
    assert case["decoded"], (*where, "the original could not decode this")
    _assert_small_outputs(batch, case)
    if _sha256(batch) == case["out"]["data"]["sha256"]:
        assert _u8_sha256(batch) == case["out"]["data"]["u8_sha256"], where
        return Outcome(*where, IDENTICAL)
    assert cause is not None, (*where, "differs without a cause", _difference(batch, case))
    if cause == STARTS_WHERE_TOLD:
        _assert_identical(_read(case, database, original_start_faults=1), case)
        return Outcome(*where, cause)
    return Outcome(*where, cause, _difference(batch, case, _stream_width(video) % 8))


def _cause(video: str, case: dict[str, Any]) -> Optional[str]:
    """Why a case may differ, from the arguments and the stream alone."""
    args = VideoInputArgs.from_mapping(case["args"])
    with Video(str(video_path(video))) as stream:
        if not stream.has_times:
            return STARTS_WHERE_TOLD if case["record"].get("start_frm") else None
        source = (stream.width, stream.height)
    return UNWRITTEN if output_size(args, *source, args.short_edge) == source and source[0] % 8 else None


def _stream_width(video: str) -> int:
    with Video(str(video_path(video))) as stream:
        return stream.width


def _assert_identical(batch: dict[str, np.ndarray], case: dict[str, Any]) -> None:
    _assert_small_outputs(batch, case)
    assert _sha256(batch) == case["out"]["data"]["sha256"], case["case"]


def _assert_small_outputs(batch: dict[str, np.ndarray], case: dict[str, Any]) -> None:
    assert list(batch["data"].shape) == case["out"]["data"]["shape"]
    for name, wanted in case["out"].items():
        if name != "data":
            found = batch[name]
            assert (str(found.dtype), list(found.shape)) == (wanted["dtype"], wanted["shape"]), name
            assert found.ravel().tolist() == wanted["values"], name


def _sha256(batch: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(np.ascontiguousarray(batch["data"]).astype("<f4").tobytes()).hexdigest()


def _pixels(batch: dict[str, np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(to_pixels(batch["data"].swapaxes(0, 1)).swapaxes(0, 1))


def _u8_sha256(batch: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(_pixels(batch).tobytes()).hexdigest()


def _difference(batch: dict[str, np.ndarray], case: dict[str, Any], unwritten: int = 0) -> int:
    """Largest difference in grey levels over the sampled places; columns that the original never wrote are left out."""
    places = np.random.RandomState(case["case"]).randint(0, batch["data"].size, 64)
    difference = np.abs(_pixels(batch).ravel()[places].astype(int) - np.array(case["out"]["data"]["u8_sample"]))
    if unwritten:
        width = batch["data"].shape[-1]
        difference = difference[places % width < width - unwritten]
        assert not difference.any(), (case["case"], "differs in columns that the original did write")
    return int(difference.max())
