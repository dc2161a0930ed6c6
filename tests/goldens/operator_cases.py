"""Every golden of the original reader, run through the C++ operator: identical, or different for a known cause.

The checks are those of the Python reader (reader_cases.py); what differs is who reads, and that FFmpeg is the
system's, below 8, so that fewer causes are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from tests.goldens import reader_cases as goldens
from tests.goldens.reader_cases import IDENTICAL, READ, REFUSED, STARTS_WHERE_TOLD, UNWRITTEN, Outcome
from tests.goldens.recordings import video_path
from tests.ops.helpers.operator import opened
from tests.support.optionals import present
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.frames.decoding import Video
from vmz.video.reader import Batch
from vmz.video.sampling import output_size


def outcomes(video: str, folder: Path, every: int = 1) -> Iterator[Outcome]:
    """Run the cases of a video, as cases_of. AssertionError where a case differs without one of the causes."""
    for case in goldens.cases_of(video, every):
        database = folder / f"{video}_{case['case']}"
        _write(video, case, database)
        yield _outcome(video, case, database)


def _write(video: str, case: dict[str, Any], database: Path) -> None:
    path, held = video_path(video), case["record"]
    content = str(path).encode() if case["args"].get("use_local_file") else path.read_bytes()
    labels = tuple(held.get("labels", [case["case"] % 7]))
    with DatabaseWriter(database) as writer:
        writer.write(Record(b"0", content, labels, held.get("start_frm"), held.get("video_id")))


def _read(case: dict[str, Any], database: Path, **changes: Any) -> Batch:
    with opened(database, {**case["args"], **changes}) as operator:
        found = operator.run()
    small = (found.get("video_id"), found.get("start_frame"))
    return Batch(found.get("data"), found["label"], *small, np.zeros(1, np.int64), ["0"], found.get("flow"))


def _outcome(video: str, case: dict[str, Any], database: Path) -> Outcome:
    where = (video, case["case"])
    cause = _cause(video, case)
    try:
        batch = _read(case, database)
    except RuntimeError as error:
        assert "record 0" in str(error) and "frame" in str(error), (*where, str(error))
        if cause == STARTS_WHERE_TOLD and case["decoded"]:  # frame numbers beyond the end
            goldens._assert_identical(_read(case, database, original_start_faults=1), case)
            return Outcome(*where, cause)
        assert case["decoded"] is False, (*where, str(error))
        return Outcome(*where, REFUSED)
    if "process_died" in case:
        assert np.isfinite(present(batch.data)).all(), where
        return Outcome(*where, READ)
    if cause == STARTS_WHERE_TOLD and not case["decoded"]:  # from its other start it found too few frames
        with pytest.raises(RuntimeError):
            _read(case, database, original_start_faults=1)
        return Outcome(*where, cause)
    assert case["decoded"], (*where, "the original could not decode this")
    goldens._assert_small_outputs(batch, case)
    if "flow" in case["out"]:
        return goldens.flow_outcome(video, case, batch)
    if goldens._sha256(batch) == case["out"]["data"]["sha256"]:
        return Outcome(*where, IDENTICAL)
    assert cause is not None, (*where, "differs without a cause")
    if cause == STARTS_WHERE_TOLD:
        goldens._assert_identical(_read(case, database, original_start_faults=1), case)
    else:
        goldens._assert_identical_when_black(batch, case, video)
    return Outcome(*where, cause)


def _cause(video: str, case: dict[str, Any]) -> Optional[str]:
    """Why a case may differ, from the arguments and the stream alone."""
    args = VideoInputArgs.from_mapping(case["args"])
    if goldens.starts_where_told(video, case):
        return STARTS_WHERE_TOLD
    with Video(str(video_path(video))) as stream:
        if not stream.has_times:
            return None
        source = (stream.width, stream.height)
    return UNWRITTEN if output_size(args, *source, args.short_edge) == source and source[0] % 8 else None
