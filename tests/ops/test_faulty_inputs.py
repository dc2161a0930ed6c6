"""Each entry of faulty_inputs.json: where the original dies or hands out a stale clip, an error or a counted skip."""

import functools
import json

import numpy as np
import pytest

from tests.goldens.recordings import golden_path, video_path
from tests.ops.helpers.databases import BASE, GOOD, OTHER, SHORT, read, record, write
from tests.ops.helpers.operator import Operator, needs_library, opened
from vmz.video.database.records import Record
from vmz.video.reader import REMEDY

pytestmark = needs_library

NO_VIDEO = "record 00001: not a video that can be opened"


def held(video, *rest):
    """A record yet to be made, so that a video which is not here skips its test alone."""
    return functools.partial(record, video, *rest)


def truncated(size):
    return lambda: record(read(GOOD)[: size or len(read(GOOD)) // 2], 9)


def missing(label):
    return lambda: Record(b"", b"/nonexistent/a.mp4", (label,))


def good_path(label):
    return lambda: Record(b"", str(video_path(GOOD)).encode(), (label,))


# name: records, arguments, labels of the good ones in order, the error (None: there is none)
READ = {
    "good_then_short_then_good": (
        [held(GOOD, 1), held(SHORT, 2), held(OTHER, 3)],
        [1, 3],
        "record 00001: 5 frames, but 8 are needed for --clip_length_rgb=8 --sampling_rate_rgb=1",
    ),
    "short_first": ([held(SHORT, 2), held(GOOD, 1)], [1], "record 00000: 5 frames, but 8"),
    "batch2_good_short": (
        [held(GOOD, 1), held(SHORT, 2), held(OTHER, 3), held(GOOD, 4)],
        [1, 3, 4],
        "record 00001: 5 frames, but 8",
    ),
    "corrupted_8x1": ([held("corrupted.mp4", 5)], [5], None),
    "corrupted_16x1": ([held(GOOD, 1), held("corrupted.mp4", 5)], [1, 5], None),
    "corrupted_32": (
        [held(GOOD, 1), held("corrupted.mp4", 5)],
        [1],
        "record 00001: 28 frames (decoding ended there: Invalid data found when processing input), but 32 are needed",
    ),
    "missing_file": (
        [good_path(1), missing(9)],
        [1],
        "record 00001 (/nonexistent/a.mp4): cannot read the file (No such file or directory)",
    ),
    "missing_file_first": (
        [missing(9), good_path(1)],
        [1],
        "record 00000 (/nonexistent/a.mp4): cannot read the file (No such file or directory)",
    ),
    "empty_bytes": ([held(GOOD, 1), held(b"", 9)], [1], "record 00001: it is empty"),
    "garbage_100B": ([held(GOOD, 1), held(b"g" * 100, 9)], [1], NO_VIDEO),
    "garbage_5KB": ([held(GOOD, 1), held(np.random.RandomState(0).bytes(5000), 9)], [1], NO_VIDEO),
    "truncated_half": ([held(GOOD, 1), truncated(None)], [1], NO_VIDEO),
    "truncated_2KB": ([held(GOOD, 1), truncated(2048)], [1], NO_VIDEO),
    "video_id_but_decode1_with_startfrm_record": ([held(GOOD, 1, 3, 77)], [1], None),
    "rotated_90_3frames": ([held("rotate_90.mov", 1)], [1], None),
    "start_beyond_end": (
        [held(GOOD, 1, 0, 1), held(GOOD, 2, 9999, 2)],
        [1],
        "record 00001: 0 frames from its start frame on, but 8 are needed",
    ),
    "jitter_with_res0": ([held(GOOD, 1)], [1], None),  # train_net writes jitter_scales into every net
    "start_negative": ([held(GOOD, 1, -5, 1)], [1], None),
    "two_frames_short_of_end": (
        [held(GOOD, 1, 0), held(GOOD, 2, 274)],
        [1],
        "record 00001: 6 frames from its start frame on, but 8 are needed",
    ),
    "clip_start_positions_out_of_range": ([held(GOOD, 1)], [], "record 00000: 280 frames, but 408 are needed"),
}

# name: the record, the error. Neither can be skipped: the whole request is wrong.
REFUSED = {
    "no_start_frm_in_record": (held(GOOD), "record 00000 has no start frame, which decode_type=2 needs"),
    "no_video_id_in_record": (held(GOOD), "record 00000 has no video id, which get_video_id=1 needs"),
    "multilabel_out_of_range": (held(GOOD, 50), "record 00000 has the labels 50, but num_of_class=10 allows 0 to 9"),
    "crop_larger_than_scale": (held(GOOD), "scale_h=100 is smaller than crop_size=112"),
    "short_edge_smaller_than_crop": (held(GOOD), "short_edge=100 must be no smaller than crop_size=112"),
    "clip2_decode2": (held(GOOD, 0, 0), "clip_per_video=2 needs decode_type=1"),
    "multilabel_no_num_class": (held(GOOD), "num_of_class must be set"),
    "crop3_with_random_crop": (held(GOOD), "crop_per_clip=3 needs random_crop=0"),
    "no_length": (held(GOOD), "length_rgb=0 must be at least 1"),
}


def goldens():
    return json.loads(golden_path("reader/faulty_inputs.json").read_text())


def arguments(name):
    return {**BASE, **goldens()[name]["args"], "wrap_around": 0, "get_skipped": 1}


def test_every_entry_is_covered():
    assert set(goldens()) == set(READ) | set(REFUSED)


@pytest.mark.parametrize("name", READ)
def test_a_bad_record_is_an_error(name, tmp_path):
    records, labels, error = READ[name]
    database = write(tmp_path / "db", [make() for make in records])
    with opened(database, arguments(name)) as operator:
        seen = []
        for _ in range(len(records) + 1):
            try:
                seen += operator.run()["label"].tolist()
            except RuntimeError as raised:
                message = str(raised)
                break
        if error is None:
            assert seen == labels and message.startswith("EndOfData")
            return
        assert seen == labels[: len(seen)] and error in message
        assert message.endswith(f"; {REMEDY}")
        with pytest.raises(RuntimeError) as again:  # the same until the net is made anew
            operator.run()
        assert str(again.value) == message
        assert error.startswith(f"record {operator.skipped()[0][0]}")


@pytest.mark.parametrize("name", [name for name, (_, labels, _) in READ.items() if labels])
def test_a_bad_record_is_skipped_and_counted(name, tmp_path):
    records, labels, error = READ[name]
    golden = goldens()[name]
    means = {
        label: run["mean"]
        for run in golden.get("runs", [])
        for label in run["label"]
        if len(run["label"]) == 1 and run["valid_pixels"] and run["same_as_previous_run"] != [True]
    }
    with opened(
        write(tmp_path / "db", [make() for make in records]), {**arguments(name), "on_bad_video": "skip"}
    ) as operator:
        seen = []
        with pytest.raises(RuntimeError, match="EndOfData"):
            while True:
                batch = operator.run()
                seen += batch["label"].tolist()
                assert len(batch["data"]) == len(batch["label"])
                for clip, label in zip(batch["data"], batch["label"]):
                    if label in means:  # the original's, where its clip was the record's
                        assert clip.mean(dtype=np.float64) == pytest.approx(means[label], abs=1e-5)
        assert seen == labels
        skipped = operator.skipped()
        assert len(skipped) == (error is not None)
        if error:
            key, path, reason = skipped[0]
            assert f"record {key}{f' ({path})' if path else ''}: {reason}".startswith(error)


def test_nothing_to_read_but_bad_records(tmp_path):
    database = write(tmp_path / "db", [record(SHORT), record(b"x" * 99)])
    for wrap_around in (0, 1):
        args = {**BASE, "on_bad_video": "skip", "wrap_around": wrap_around, "get_skipped": 1}
        with opened(database, args) as operator:
            with pytest.raises(RuntimeError, match="no video of the database can be read; the last one is record 0000"):
                operator.run()
            assert [key for key, _, _ in operator.skipped()] == ["00000", "00001"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_request_is_refused(name, tmp_path):
    one, error = REFUSED[name]
    database = write(tmp_path / "db", [one()])
    for on_bad_video in ("stop", "skip"):
        with pytest.raises(RuntimeError, match=error):
            Operator(database, {**arguments(name), "on_bad_video": on_bad_video}).run()
