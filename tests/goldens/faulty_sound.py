"""Each entry of av/reader/faulty_inputs.json through a reader of ours; the readers' tests hand in theirs.

Where the original dies or hands out what another video left, an error or a counted skip; where sound is missing, zeros
that are counted.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Callable, Optional, Protocol

import numpy as np
import pytest

from tests.goldens.recordings import golden_path
from tests.ops.helpers.databases import BASE, read, record, write
from vmz.errors import VmzError
from vmz.video.database.records import Record
from vmz.video.faults import SOUND_REMEDY
from vmz.video.reader import REMEDY

NASA, SILENT, SHORT = "nasa_13013.mp4", "arm_wrestling.mp4", "short_audio.mp4"
NO_STREAM = "it has no audio stream"
NO_LAYOUT = "its sound states no channel layout, so the original could not convert it"
NO_VIDEO = "not a video that can be opened"


def first(label: int = 1, *rest: int) -> Record:
    return record(NASA, label, *rest)


# name: its records, the labels of those that give clips, why the last one does not (None: it does), and why the last
# one's log-mels are zeros (None: they are not)
READ: dict[str, tuple[Callable[[], list[Record]], list[int], Optional[str], Optional[str]]] = {
    "no_audio_after_good_rgb_and_logmels": (lambda: [first(), record(SILENT, 2)], [1, 2], None, NO_STREAM),
    "no_audio_after_good_logmels_only": (lambda: [first(), record(SILENT, 2)], [1, 2], None, NO_STREAM),
    "too_few_frames_after_good": (lambda: [first(), record(SHORT, 2)], [1], "50 frames, but 64 are needed", None),
    "garbage_bytes_after_good_rgb_and_logmels": (
        lambda: [first(), record(b"not a video, only text. " * 150, 2)],
        [1],
        f"{NO_VIDEO} (it is text, not a video)",
        None,
    ),
    "truncated_half_mp4_after_good": (
        lambda: [first(), record(read(NASA)[: len(read(NASA)) // 2], 2)],
        [1],
        NO_VIDEO,
        None,
    ),
    "audio_only_file_rgb_and_logmels": (
        lambda: [first(), record("tone.wav", 2)],
        [1],
        "the file has no video stream",
        None,
    ),
    "audio_only_m4a_logmels_only": (lambda: [first(), record("tone.m4a", 2)], [1, 2], None, None),
    "audio_only_m4a_decode_type_2": (
        lambda: [record("tone.m4a", 1, 0)],
        [],
        "the file has no video stream, so it has no start frame",
        None,
    ),
    "wav_without_channel_layout": (lambda: [first(), record("tone.wav", 2)], [1, 2], None, NO_LAYOUT),
    "missing_file": (lambda: [Record(b"", b"/nonexistent/a.mp4", (1,))], [], "cannot read the file", None),
    "start_frame_beyond_end": (
        lambda: [first(1, 0), first(2, 5000)],
        [1],
        "0 frames from its start frame on, but 8 are needed",
        None,
    ),
    "crop_size_missing_logmels_only": (lambda: [first()], [1], None, None),
    "start_frame_output_asked": (lambda: [first(1, 7)], [1], None, None),
    "window_1ms": (lambda: [first()], [1], None, None),
    "mpegts_rgb_and_logmels": (lambda: [record("short_audio.ts", 2)], [2], None, None),
    "mpegts_logmels_only": (lambda: [record("short_audio.ts", 2)], [2], None, None),
    "mpegts_logmels_only_decode_type_2": (lambda: [record("short_audio.ts", 2, 0)], [2], None, None),
}
WITH_BAD_RECORDS = [name for name, (_, _, error, _) in READ.items() if error]
WITHOUT_SOUND = [name for name, (_, _, _, silent) in READ.items() if silent]
# name: its last record, the error. It cannot be skipped: the whole request is wrong.
REFUSED: dict[str, tuple[Callable[[], Record], str]] = {
    "decode_type_2_without_start_frame": (
        lambda: record(SILENT, 2),
        "record 00000.* has no start frame, which decode_type=2 needs",
    ),
    "clips_2_with_decode_type_2": (lambda: first(1, 0), "clip_per_video=2 needs decode_type=1"),
    "optical_flow_asked": (first, r"get_optical_flow=1 is not possible with sound \(AVInput\)"),
    "label_out_of_range_multilabel": (
        lambda: Record(b"", read(NASA), (2, 9)),
        "record 00000.* has the labels 2, 9, but num_of_class=3 allows 0 to 2",
    ),
}

ERRORS = (RuntimeError, VmzError)  # of Caffe2's operator, and of ClipReader
NOTHING_LEFT = "EndOfData|have been read once|no video of .* can be read"

Named = list[tuple[str, str, str]]  # (key, path, reason) of videos


class Reader(Protocol):
    """run: the outputs of the next batch by their names in the operator."""

    def run(self) -> dict[str, np.ndarray]: ...
    def skipped(self) -> Named: ...
    def without_sound(self) -> Named: ...


Opened = Callable[[Path, dict[str, Any]], AbstractContextManager[Reader]]  # of a database and operator arguments


def goldens() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(golden_path("av/reader/faulty_inputs.json").read_text())
    return found


def arguments(name: str, **changes: Any) -> dict[str, Any]:
    golden = goldens()[name]
    given = {key: int(value) for key, value in golden["args"].items()}
    sees = int(golden["input_type"] == 3)
    return {**BASE, "get_rgb": sees, "get_logmels": 1, **given, "wrap_around": 0, **changes}


def check_all_are_covered() -> None:
    assert set(goldens()) == set(READ) | set(REFUSED)


def check_skips(name: str, folder: Path, opened: Opened) -> None:
    """Bad records of an entry of READ are skipped and missing sound is counted."""
    make, labels, error, silent = READ[name]
    golden, seen = goldens()[name], []
    with opened(write(folder / "db", make()), arguments(name, on_bad_video="skip")) as reader:
        with pytest.raises(ERRORS, match=NOTHING_LEFT):
            while True:
                batch = reader.run()
                seen += batch["label"].tolist()
                same = _as_recorded(golden, batch, seen[-1])
                assert same or golden["process"] != "survived" or name == "start_frame_output_asked", name
                assert [reason for _, _, reason in reader.without_sound()] in ([], [silent])
        assert seen == labels
        assert [reason.startswith(error or "-") for _, _, reason in reader.skipped()] == (
            [] if error is None else [True]
        )
        reported = [(key, reason) for key, _, reason in reader.without_sound()]
        assert reported == ([] if silent is None else [(f"{len(labels) - 1:05}", silent)])


def check_stops(name: str, folder: Path, opened: Opened) -> None:
    """A bad record of an entry of WITH_BAD_RECORDS is an error."""
    make, labels, error, _ = READ[name]
    with opened(write(folder / "db", make()), arguments(name)) as reader:
        for label in labels[:1]:
            assert reader.run()["label"].tolist() == [label]
        for _ in range(2):  # the same until the reader is made anew
            with pytest.raises(ERRORS) as raised:
                reader.run()
            assert error and error in str(raised.value) and str(raised.value).endswith(f"; {REMEDY}")


def check_missing_sound(name: str, folder: Path, opened: Opened) -> None:
    """Missing sound of an entry of WITHOUT_SOUND is an error, or skipped, where that is wished."""
    make, labels, _, silent = READ[name]
    database = write(folder / "db", [*make(), first(3)])
    with opened(database, arguments(name, on_missing_audio="stop", on_bad_video="skip")) as reader:
        assert reader.run()["label"].tolist() == labels[:1]
        with pytest.raises(ERRORS) as raised:
            reader.run()
        assert str(raised.value).startswith("record 00001")
        assert str(raised.value).endswith(f": {silent}; {SOUND_REMEDY}") and not reader.without_sound()
    with opened(database, arguments(name, on_missing_audio="skip")) as reader:
        assert [reader.run()["label"].tolist() for _ in range(2)] == [[1], [3]]
        assert reader.skipped() == [("00001", "", silent)] and not reader.without_sound()


def check_refuses(name: str, folder: Path, opened: Opened) -> None:
    """The wrong request of an entry of REFUSED."""
    make, error = REFUSED[name]
    database = write(folder / "db", [make()])
    for on_bad_video in ("stop", "skip"):
        with pytest.raises(ERRORS, match=error), opened(database, arguments(name, on_bad_video=on_bad_video)) as reader:
            reader.run()


def check_start_frame(folder: Path, opened: Opened) -> None:
    """The start frame is given where the original left it unset."""
    with opened(write(folder / "db", [first(1, 7)]), arguments("start_frame_output_asked")) as reader:
        assert reader.run()["start_frame"].tolist() == [7]


def _as_recorded(golden: dict[str, Any], batch: dict[str, np.ndarray], label: int) -> bool:
    """Whether a batch of one video is what the original gave for it, where that was the video's own."""
    runs = [run for run in golden.get("runs", []) if run["label"] == [label]]
    for run in runs:
        sees = golden["input_type"] == 3
        logmels = run["logmels" if sees else "data"]
        assert abs(batch["logmels"].mean(dtype=np.float64) - logmels["mean"]) < 5e-3
        zeros = (batch["logmels"] == 0).all(axis=-1).sum()
        assert zeros == logmels["zero_rows"]
        if sees and not run["data"]["same_as_previous_run"]:
            assert abs(batch["data"].mean(dtype=np.float64) - run["data"]["mean"]) < 1e-5
    return bool(runs)
