"""Each entry of av/reader/faulty_inputs.json through AVInput: where the original dies or hands out what another video
left, an error or a counted skip; where sound is missing, zeros that are counted."""

import json

import numpy as np
import pytest

from tests.goldens.recordings import golden_path
from tests.ops.helpers.databases import BASE, read, record, write
from tests.ops.helpers.operator import Operator, needs_library, opened
from vmz.netdef.net_parts import AV_INPUT
from vmz.video.faults import SOUND_REMEDY
from vmz.video.reader import REMEDY
from vmz.video.records import Record

pytestmark = needs_library

NASA, SILENT, SHORT = "nasa_13013.mp4", "arm_wrestling.mp4", "short_audio.mp4"
NO_STREAM = "it has no audio stream"
NO_LAYOUT = "its sound states no channel layout, so the original could not convert it"
NO_VIDEO = "not a video that can be opened"


def first(label=1, *rest):
    return record(NASA, label, *rest)


# name: its records, the labels of those that give clips, why the last one does not (None: it does), and why the last
# one's log-mels are zeros (None: they are not)
READ = {
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
# name: its last record, the error. It cannot be skipped: the whole request is wrong.
REFUSED = {
    "decode_type_2_without_start_frame": (
        lambda: record(SILENT, 2),
        "record 00000 has no start frame, which decode_type=2 needs",
    ),
    "clips_2_with_decode_type_2": (lambda: first(1, 0), "AVInput: clip_per_video=2 needs decode_type=1"),
    "optical_flow_asked": (first, r"AVInput: get_optical_flow=1 is not possible with sound \(AVInput\)"),
    "label_out_of_range_multilabel": (
        lambda: Record(b"", read(NASA), (2, 9)),
        "record 00000 has the labels 2, 9, but num_of_class=3 allows 0 to 2",
    ),
}


def goldens():
    return json.loads(golden_path("av/reader/faulty_inputs.json").read_text())


def arguments(name, **changes):
    golden = goldens()[name]
    given = {key: int(value) for key, value in golden["args"].items()}
    sees = int(golden["input_type"] == 3)
    reports = {"wrap_around": 0, "get_skipped": 1, "get_without_sound": 1}
    return {**BASE, "get_rgb": sees, "get_logmels": 1, **given, **reports, **changes}


def test_every_entry_is_covered():
    assert set(goldens()) == set(READ) | set(REFUSED)


def as_recorded(golden, batch, label):
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


@pytest.mark.parametrize("name", READ)
def test_bad_records_are_skipped_and_missing_sound_is_counted(name, tmp_path):
    make, labels, error, silent = READ[name]
    golden, seen = goldens()[name], []
    args = arguments(name, on_bad_video="skip")
    with opened(write(tmp_path / "db", make()), args, operator=AV_INPUT) as operator:
        with pytest.raises(RuntimeError, match=r"EndOfData|no video of the database can be read"):
            while True:
                batch = operator.run()
                seen += batch["label"].tolist()
                same = as_recorded(golden, batch, seen[-1])
                assert same or golden["process"] != "survived" or name == "start_frame_output_asked", name
                assert [reason for _, _, reason in operator.without_sound()] in ([], [silent])
        assert seen == labels
        assert [reason.startswith(error) for _, _, reason in operator.skipped()] == ([] if error is None else [True])
        reported = [(key, reason) for key, _, reason in operator.without_sound()]
        assert reported == ([] if silent is None else [(f"{len(labels) - 1:05}", silent)])


@pytest.mark.parametrize("name", [name for name, (_, _, error, _) in READ.items() if error])
def test_a_bad_record_is_an_error(name, tmp_path):
    make, labels, error, _ = READ[name]
    with opened(write(tmp_path / "db", make()), arguments(name), operator=AV_INPUT) as operator:
        for label in labels[:1]:
            assert operator.run()["label"].tolist() == [label]
        for _ in range(2):  # the same until the net is made anew
            with pytest.raises(RuntimeError) as raised:
                operator.run()
            assert error in str(raised.value) and str(raised.value).endswith(f"; {REMEDY}")


@pytest.mark.parametrize("name", [name for name, (_, _, _, silent) in READ.items() if silent])
def test_missing_sound_is_an_error_or_skipped_where_that_is_wished(name, tmp_path):
    make, labels, _, silent = READ[name]
    database = write(tmp_path / "db", [*make(), first(3)])
    with opened(database, arguments(name, on_missing_audio="stop", on_bad_video="skip"), operator=AV_INPUT) as operator:
        assert operator.run()["label"].tolist() == labels[:1]
        with pytest.raises(RuntimeError) as raised:
            operator.run()
        assert str(raised.value) == f"record 00001: {silent}; {SOUND_REMEDY}"
        assert operator.skipped() == [("00001", "", silent)] and operator.without_sound() == []
    with opened(database, arguments(name, on_missing_audio="skip"), operator=AV_INPUT) as operator:
        assert [operator.run()["label"].tolist() for _ in range(2)] == [[1], [3]]
        assert operator.skipped() == [("00001", "", silent)] and operator.without_sound() == []


def test_the_start_frame_is_given_where_the_original_left_it_unset(tmp_path):
    with opened(write(tmp_path / "db", [first(1, 7)]), arguments("start_frame_output_asked"), operator=AV_INPUT) as one:
        assert one.run()["start_frame"].tolist() == [7]


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_request_is_refused(name, tmp_path):
    make, error = REFUSED[name]
    database = write(tmp_path / "db", [make()])
    for on_bad_video in ("stop", "skip"):
        with pytest.raises(RuntimeError, match=error):
            Operator(database, arguments(name, on_bad_video=on_bad_video), operator=AV_INPUT).run()


@pytest.mark.parametrize("name", ["logmel_frames", "logmel_filters", "logmel_winsize_ms", "logmel_winstep_ms"])
def test_an_argument_of_sound_is_no_argument_of_video_input(name, tmp_path):
    database = write(tmp_path / "db", [record("portrait.mp4", 1)])
    with pytest.raises(RuntimeError, match=f'VideoInput: there is no argument "{name}"'):
        Operator(database, {**BASE, name: 20}).run()
    with pytest.raises(RuntimeError, match=f"AVInput: {name}=0 must be at least 1"):
        Operator(database, {**BASE, "get_logmels": 1, name: 0}, operator=AV_INPUT).run()
