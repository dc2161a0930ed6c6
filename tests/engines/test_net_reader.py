"""Both engines' readers on the same faulty records: the same sentences, with the record, file and list named."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional, Union

import av
import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES, HAS_OPERATORS
from tests.goldens.recordings import SHARED
from tests.support.small_videos import BAD, SMALL_READER, broken_in_the_middle, cut_off, encoded, silent_sound, video
from vmz.engines.net_reader import open_reader
from vmz.errors import LabelError, UsageError, VmzError
from vmz.netdef.protos import DATA_TYPES, TensorProtos
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record, encode_record
from vmz.video.faults import Origin
from vmz.video.reader import BadVideoError, EndOfData


def tensors(**kinds: Any) -> bytes:
    """A database value of tensors by data type."""
    protos = TensorProtos()
    for kind, values in kinds.items():
        tensor = protos.protos.add(data_type=DATA_TYPES[kind.rstrip("_")])
        field = {"STRING": "string_data", "INT32": "int32_data", "INT64": "int64_data", "FLOAT": "float_data"}
        getattr(tensor, field[kind.rstrip("_")]).extend(values)
    return bytes(protos.SerializeToString())


def good(folder: Path, *labels: int, **more: Any) -> bytes:
    return encode_record(Record(b"", video(folder / "good.mp4", 1), labels or (1,), **more))


def image() -> bytes:
    frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
    codec: Any = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 64, 64, "rgb24", Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


Make = Callable[[Path], bytes]
# name: the value of record "1" behind a good one, arguments, what the sentence has to say (None: no error)
FAULTY: dict[str, tuple[Make, dict[str, Any], Optional[str]]] = {
    "missing file": (
        lambda folder: tensors(STRING=[b"/nonexistent/a.mp4"], INT32=[1]),
        {"use_local_file": 1},
        "cannot read the file (No such file or directory)",
    ),
    "missing file, relative": (
        lambda folder: tensors(STRING=[b"gone/a.mp4"], INT32=[1]),
        {"use_local_file": 1},
        "cannot read the file (No such file or directory): looked for ",
    ),
    "a folder": (
        lambda folder: tensors(STRING=[os.fsencode(folder)], INT32=[1]),
        {"use_local_file": 1},
        "cannot read the file (it is not a regular file)",
    ),
    "path of bytes": (
        lambda folder: tensors(STRING=[b"/nonexistent/\xff\xfe\n.mp4"], INT32=[1]),
        {"use_local_file": 1},
        r"record 1 of DB (/nonexistent/\xff\xfe\x0a.mp4): cannot read the file",
    ),
    "path with null bytes": (
        lambda folder: tensors(STRING=[b"/a\0b.mp4"], INT32=[1]),
        {"use_local_file": 1},
        "DB contains the bytes of videos, not paths; give --use_local_file=0",
    ),
    "bytes for a path": (good, {"use_local_file": 1}, "DB contains the bytes of videos, not paths"),
    "endless path": (
        lambda folder: tensors(STRING=[b"/a" * 2000], INT32=[1]),
        {"use_local_file": 1},
        "/a/a/a...): cannot read the file (",
    ),
    "a path for bytes": (
        lambda folder: tensors(STRING=[b"videos/gone.mp4"], INT32=[1]),
        {},
        "it contains a path, videos/gone.mp4, not the bytes of a video; give --use_local_file=1",
    ),
    "empty record": (lambda folder: b"", {}, "the record is empty"),
    "empty video": (lambda folder: tensors(STRING=[b""], INT32=[1]), {}, "it is empty"),
    "text": (lambda folder: tensors(STRING=[BAD], INT32=[1]), {}, "not a video that can be opened"),
    "rubbish": (
        lambda folder: tensors(STRING=[np.random.RandomState(0).bytes(5000)], INT32=[1]),
        {},
        "not a video that can be opened",
    ),
    "no video stream": (
        lambda folder: tensors(STRING=[silent_sound()], INT32=[1]),
        {},
        "the file has no video stream",
    ),
    "too short": (good, {"length_rgb": 16}, "9 frames, but 16 are needed for --clip_length_rgb=16 --sampling_rate_rgb"),
    "too short for flow": (
        good,
        {"get_optical_flow": 1, "length_of": 8, "frame_gap_of": 4},
        "9 frames, but 12 are needed for --clip_length_rgb=4",
    ),
    "too short for start positions": (
        good,
        {"decode_type": 1, "clip_start_positions": (0, 7), "random_crop": 0},
        "9 frames, but 11 are needed for --clip_length_rgb=4 --sampling_rate_rgb=1 (and 4 from frame 7 on)",
    ),
    "broken in the middle": (
        lambda folder: tensors(STRING=[broken_in_the_middle(folder / "b.mp4")], INT32=[1]),
        {"length_rgb": 30, "scale_h": 32, "scale_w": 32},
        "(decoding ended there: ",
    ),
    "larger crop": (good, {"video_res_type": 1, "short_edge": 32, "crop_size": 32}, None),
    "no label": (lambda folder: tensors(STRING=[BAD]), {}, "the record contains no label (an INT32 tensor)"),
    "label of another type": (lambda folder: tensors(STRING=[BAD], FLOAT=[1]), {}, "the record contains no label"),
    "no video": (
        lambda folder: tensors(INT32=[1]),
        {},
        "the record contains no video (a STRING tensor with one entry)",
    ),
    "video of another type": (lambda folder: tensors(INT64=[1], INT32=[1]), {}, "the record contains no video"),
    "two videos": (lambda folder: tensors(STRING=[BAD, BAD], INT32=[1]), {}, "the record contains no video"),
    "truncated record": (lambda folder: good(folder)[:-3], {}, "the record is truncated or is not a TensorProtos"),
    "several labels, one wanted": (lambda folder: good(folder, 3, 4), {}, None),
    "label out of range": (lambda folder: good(folder, 3, 99), {}, None),  # a reader knows no classes
    "label out of range, multi-label": (
        lambda folder: good(folder, 3, 50),
        {"do_multi_label": 1, "num_of_class": 10},
        "has the labels 3, 50, but num_of_class=10 allows 0 to 9",
    ),
    "negative label, multi-label": (
        lambda folder: good(folder, -1),
        {"do_multi_label": 1, "num_of_class": 10},
        "has the labels -1, but num_of_class=10 allows 0 to 9",
    ),
    "no start frame": (good, {"decode_type": 2}, "has no start frame, which decode_type=2 needs"),
    "no video id": (good, {"get_video_id": 1}, "has no video id, which get_video_id=1 needs"),
    "start frame beyond the end": (
        lambda folder: good(folder, start_frame=1000),
        {"decode_type": 2},
        "0 frames from its start frame on, but 4 are needed",
    ),
    "start frame near the end": (
        lambda folder: good(folder, start_frame=7),
        {"decode_type": 2},
        "2 frames from its start frame on, but 4 are needed",
    ),
    "negative start frame": (lambda folder: good(folder, start_frame=-5), {"decode_type": 2}, None),
    "a video for an image": (
        good,
        {"image_as_input": 1, "length_rgb": 1},
        "it contains a video, not an image; set image_as_input=0",
    ),
    "an image for a video": (
        lambda folder: tensors(STRING=[image()], INT32=[1]),
        {},
        "1 frame, but 4 are needed for --clip_length_rgb=4",
    ),
}
FIRST = {"use_local_file": b"good.mp4", "image_as_input": image()}


def database(folder: Path, name: str) -> Path:
    """A good record "0" of its kind, then the faulty one."""
    make, arguments, _ = FAULTY[name]
    held = next((content for argument, content in FIRST.items() if arguments.get(argument)), None)
    if isinstance(held, bytes) and held.endswith(b".mp4"):
        encoded(folder / "good.mp4", 40)
        held = os.fsencode(folder / "good.mp4")
    first = Record(b"", held or encoded(folder / "0.mp4", 40), (1,), start_frame=0, video_id=7)
    return raw(folder / "db", [encode_record(first), make(folder)])


def raw(path: Path, values: Sequence[bytes]) -> Path:
    import lmdb

    path.mkdir()
    with lmdb.open(str(path), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for number, value in enumerate(values):
            transaction.put(b"%d" % number, value)
    return path


def outcome(path: Union[str, Path], arguments: dict[str, Any], engine: str) -> tuple[list[int], str, list[str]]:
    """Labels read, the error's sentence, and what was left out."""
    args = VideoInputArgs.from_mapping({**SMALL_READER, **arguments, "wrap_around": 0})
    labels: list[int] = []
    try:
        with open_reader(str(path), args, engine) as reader:
            try:
                while True:
                    labels += reader.next_batch().label.reshape(-1).tolist()
            except EndOfData:
                return labels, "", list(map(str, reader.skipped))
    except VmzError as error:
        return labels, str(error), []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_record_is_one_sentence_that_names_it(name, engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, arguments, wanted = FAULTY[name]
    path = database(tmp_path, name)
    labels, sentence, _ = outcome(path, arguments, engine)
    assert sentence.isprintable() and len(sentence) < 1000
    if wanted is None:
        assert sentence == "" and len(labels) >= 2
        return
    assert wanted.startswith("DB ") or sentence.startswith(f"record 1 of {path}")
    assert wanted.replace("DB", str(path)) in sentence
    if HAS_OPERATORS:
        assert outcome(path, arguments, "pytorch")[1] == sentence
    skipping = {**arguments, "on_bad_video": "skip"}
    left_out = outcome(path, skipping, engine)
    assert all(text.isprintable() for text in left_out[2])
    if HAS_OPERATORS:
        assert left_out == outcome(path, skipping, "pytorch")


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_but_bad_records(engine, tmp_path):
    path = raw(tmp_path / "db", [tensors(STRING=[BAD], INT32=[1])] * 2)
    for wrap_around in (0, 1):
        args = small(on_bad_video="skip", wrap_around=wrap_around)
        with open_reader(str(path), args, engine) as reader, pytest.raises(VmzError) as caught:
            reader.next_batch()
        assert str(caught.value).startswith(f"no video of {path} can be read; the last one is record ")
        assert "not a video that can be opened" in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("value", "arguments", "kind"),
    [
        (lambda folder: good(folder, 3, 50), {"do_multi_label": 1, "num_of_class": 10}, LabelError),
        (good, {"get_video_id": 1}, VmzError),
        (lambda folder: tensors(STRING=[BAD], INT32=[1]), {}, BadVideoError),
    ],
)
def test_what_is_wrong_has_a_type_of_its_own(value, arguments, kind, engine, tmp_path):
    path = raw(tmp_path / "db", [value(tmp_path)])
    with open_reader(str(path), small(**arguments), engine) as reader, pytest.raises(VmzError) as caught:
        reader.next_batch()
    assert type(caught.value) is kind


def small(**changes: Any) -> VideoInputArgs:
    return VideoInputArgs.from_mapping({**SMALL_READER, "wrap_around": 0, **changes})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("held", ["paths", "bytes"])
def test_the_wrong_use_local_file_is_refused_at_once(held, engine, tmp_path):
    contents = {"bytes": video(tmp_path / "a.mp4", 1), "paths": b"lists/a.mp4"}
    with DatabaseWriter(tmp_path / "db") as writer:
        writer.write(Record(b"0", contents[held], (1,)))
    args = small(use_local_file=int(held == "bytes"), on_bad_video="skip")  # not a matter of one record
    with pytest.raises(UsageError) as caught:
        open_reader(str(tmp_path / "db"), args, engine)
    says = {
        "bytes": "contains the bytes of videos, not paths; give --use_local_file=0",
        "paths": "contains paths of videos, not their bytes (the first: lists/a.mp4); give --use_local_file=1",
    }
    assert str(caught.value) == f"{tmp_path / 'db'} {says[held]}"


@pytest.mark.parametrize("engine", ENGINES)
def test_videos_that_end_early_are_reported_once(engine, tmp_path):
    """By a decoding error, or because the file is cut off; a clip that lies before it says nothing."""
    whole = video(tmp_path / "whole.mp4", 1)
    contents = [whole, broken_in_the_middle(tmp_path / "b.mp4"), cut_off(tmp_path / "c.mp4"), whole]
    with DatabaseWriter(tmp_path / "db") as writer:
        for number, content in enumerate(contents):
            origin = Origin(f"videos/{number}.mp4", number + 2, "list.csv")
            writer.write(Record(b"%d" % number, content, (number,)), origin)

    def found(**arguments: Any) -> list[str]:
        with open_reader(str(tmp_path / "db"), small(**arguments), engine) as reader:
            for _ in range(8 if arguments.get("wrap_around") else 4):
                reader.next_batch()
            return list(map(str, reader.ended_early))

    several = {"clip_per_video": 3, "decode_type": 1, "random_crop": 0}
    ended = found(**several)
    assert len(ended) == 2
    assert ended[0].startswith("record 1 (videos/1.mp4, line 3 of list.csv) after ") and " frames: " in ended[0]
    assert ended[1].startswith("record 2 (videos/2.mp4, line 4 of list.csv) after ")
    assert ended[1].endswith(" frames: the file is truncated")
    assert found(**several, wrap_around=1) == ended
    assert found(decode_type=1) == []  # the first four frames of each
    if HAS_OPERATORS and engine == "caffe2":
        with open_reader(str(tmp_path / "db"), small(**several), "pytorch") as reader:
            for _ in range(4):
                reader.next_batch()
            assert list(map(str, reader.ended_early)) == ended


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="no ../shared/cases")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_cases(engine, tmp_path):
    """A damaged packet ends a video after 18 frames; an edit list and times that begin late end none."""
    early = {"bad_packet_middle.mp4": 18}
    names = [*early, "trim_editlist.mp4", "start3.mp4", "ts_restart.ts", "plain.mp4", "rotated90.mp4"]
    with DatabaseWriter(tmp_path / "db") as writer:
        for number, name in enumerate(names):
            content = (SHARED / "cases" / name).read_bytes()
            writer.write(Record(b"%d" % number, content, (number,)), Origin(name, number + 2, "list.csv"))
    args = small(clip_per_video=3, decode_type=1, batch_size=len(names))
    with open_reader(str(tmp_path / "db"), args, engine) as reader:
        assert reader.next_batch().label[::3].tolist() == list(range(len(names)))
        assert {video.path: video.frames for video in reader.ended_early} == early


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_video_is_named_by_file_and_line(engine, tmp_path):
    with DatabaseWriter(tmp_path / "db") as writer:
        writer.write(Record(b"0", video(tmp_path / "a.mp4", 1), (1,)), Origin("a.mp4", 5, "train.csv"))
        writer.write(Record(b"1", BAD, (1,)), Origin("bad.mp4", 2, "train.csv"))
    name = f"record 1 of {tmp_path / 'db'} (bad.mp4, line 2 of train.csv): not a video that can be opened"
    assert outcome(tmp_path / "db", {}, engine)[1].startswith(name)
    skipped = outcome(tmp_path / "db", {"on_bad_video": "skip"}, engine)[2]
    assert len(skipped) == 1 and skipped[0].startswith("record 1 (bad.mp4, line 2 of train.csv): not a video")


def test_sound_is_no_video():
    with av.open(io.BytesIO(silent_sound())) as container:
        assert not container.streams.video and container.streams.audio
