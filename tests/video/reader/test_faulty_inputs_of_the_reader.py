import json
from typing import Any, Optional

import pytest

from tests.goldens.recordings import golden_path, video_path
from tests.video.reader.small_databases import BASE
from vmz.errors import UsageError, VmzError
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.reader import BadVideoError, ClipReader, EndOfData

# What the original does with each is in golden/reader/faulty_inputs.json; here is what a person is told instead.
GOOD = "arm_wrestling.mp4"
FAULTS: dict[str, tuple[list[Any], dict[str, Any], Optional[str]]] = {
    "good_then_short_then_good": ([GOOD, "five_frames.mp4", "bikes.mp4"], {}, "5 frames, but 8 are needed"),
    "short_first": (["five_frames.mp4", GOOD], {}, "5 frames, but 8 are needed"),
    "batch2_good_short": ([GOOD, "five_frames.mp4", GOOD, GOOD], {}, "5 frames, but 8 are needed"),
    "corrupted_8x1": (["corrupted.mp4"], {}, None),
    "corrupted_16x1": ([GOOD, "corrupted.mp4"], {}, None),
    "corrupted_32": ([GOOD, "corrupted.mp4"], {}, r"28 frames \(decoding ended there: .*but 32 are needed"),
    "missing_file": ([GOOD, b"/nonexistent/a.mp4"], {}, r"\(/nonexistent/a.mp4\): cannot read the file \(No such file"),
    "missing_file_first": ([b"/nonexistent/a.mp4", GOOD], {}, r"\(/nonexistent/a.mp4\): cannot read the file"),
    "empty_bytes": ([GOOD, b""], {}, "it is empty"),
    "garbage_100B": ([GOOD, bytes(range(100))], {}, "not a video that can be opened"),
    "garbage_5KB": ([GOOD, bytes(range(250)) * 20], {}, "not a video that can be opened"),
    "truncated_half": ([GOOD, ("half", GOOD)], {}, "not a video that can be opened"),
    "truncated_2KB": ([GOOD, ("2KB", GOOD)], {}, "not a video that can be opened"),
    "no_start_frm_in_record": ([GOOD], {}, "has no start frame"),
    "no_video_id_in_record": ([GOOD], {}, "has no video id"),
    "video_id_but_decode1_with_startfrm_record": ([GOOD], {"start_frame": 3, "video_id": 9}, None),
    "crop_larger_than_scale": ([GOOD], {}, "scale_h=100"),
    "short_edge_smaller_than_crop": ([GOOD], {}, "short_edge=100"),
    "clip2_decode2": ([GOOD], {}, "clip_per_video=2"),
    "multilabel_out_of_range": ([GOOD], {"labels": (1, 50)}, "has the labels 1, 50, but num_of_class=10 allows 0 to 9"),
    "multilabel_no_num_class": ([GOOD], {}, "num_of_class"),
    "crop3_with_random_crop": ([GOOD], {}, "crop_per_clip=3"),
    "rotated_90_3frames": (["rotate_90.mov"], {}, None),
    "start_beyond_end": ([GOOD], {"start_frame": 5000, "video_id": 1}, "0 frames from its start frame on, but 8"),
    "start_negative": ([GOOD], {"start_frame": -5, "video_id": 1}, None),
    "two_frames_short_of_end": ([GOOD], {"start_frame": 274}, "6 frames from its start frame on, but 8 are needed"),
    "jitter_with_res0": ([GOOD], {}, None),  # train_net writes jitter_scales into every net
    "no_length": ([GOOD], {}, "length_rgb=0"),
    "clip_start_positions_out_of_range": ([GOOD], {}, "280 frames, but 408 are needed"),
}


def content_of(entry):
    if isinstance(entry, tuple):
        whole = video_path(entry[1]).read_bytes()
        return whole[: len(whole) // 2] if entry[0] == "half" else whole[:2048]
    return entry if isinstance(entry, bytes) else video_path(entry).read_bytes()


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_inputs_end_in_a_sentence(name, tmp_path):
    golden = json.loads(golden_path("reader/faulty_inputs.json").read_text())
    assert set(golden) == set(FAULTS)
    entries, held, message = FAULTS[name]
    arguments = {**BASE, "scale_h": 128, **golden[name]["args"], "wrap_around": 0}
    local = arguments.get("use_local_file")
    contents = [str(video_path(e)).encode() if local and isinstance(e, str) else content_of(e) for e in entries]
    path = tmp_path / "db"
    with DatabaseWriter(path) as writer:
        for number, content in enumerate(contents):
            facts: dict[str, Any] = {"labels": (number,), **held}
            writer.write(Record(b"%d" % number, content, **facts))

    def run(**changes):
        with ClipReader(path, VideoInputArgs.from_mapping({**arguments, **changes})) as reader:
            rows = 0
            try:
                while True:
                    rows += len(reader.next_batch().keys)
            except EndOfData:
                return rows, len(reader.skipped)

    if message is None:
        assert run() == (len(entries), 0)
        return
    with pytest.raises(VmzError, match=message) as caught:
        run()
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, BadVideoError) and len(entries) > 1:
        assert run(on_bad_video="skip") == (len(entries) - 1, 1)
    else:  # the request or the database is wrong, or nothing would be left: skipping does not hide it
        with pytest.raises((UsageError, VmzError)):
            run(on_bad_video="skip")
