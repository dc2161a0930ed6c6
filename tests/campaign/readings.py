"""What both readers make of a record, a video, an image or a database: each as the tools read it, in a form to compare.

A record lies between two good ones: what a bad record leaves of its neighbours counts too.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import lmdb
import numpy as np

from tests.campaign.mutations.video_files import VIDEOS, good
from tests.support.sound_videos import Tone, sound_video
from vmz.errors import VmzError
from vmz.text import printable
from vmz.video.database.records import Record, encode_record

INPUT = "00001"  # the key of the record that is looked at
_SMALL = {
    "batch_size": 2, "num_decode_threads": 1, "length_rgb": 2, "scale_h": 32, "scale_w": 40, "crop_size": 32,
    "decode_type": 1, "random_crop": 0, "random_mirror": 0, "on_bad_video": "skip", "seed": 3, "video_timeout": 20,
}  # fmt: skip
Readings = Sequence[Mapping[str, Any]]
OF_VIDEOS: Readings = (
    {**_SMALL, "clip_per_video": 2, "crop_per_clip": 3},
    {**_SMALL, "decode_type": 2, "length_rgb": 3},
    {**_SMALL, "video_res_type": 1, "short_edge": 36, "autorotate": 1, "max_frames": 6},
    {**_SMALL, "fps": 12, "clip_per_video": 2},
)
OF_RECORDS: Readings = (
    {**_SMALL},
    {**_SMALL, "do_multi_label": 1, "num_of_class": 5},
    {**_SMALL, "decode_type": 2, "get_video_id": 1, "get_start_frame": 1},
    {**_SMALL, "use_local_file": 1},
)
_HEARD = {**_SMALL, "get_logmels": 1}
OF_SOUND: Readings = (
    {**_HEARD, "get_rgb": 1, "clip_per_video": 2, "crop_per_clip": 3},
    {**_HEARD, "get_rgb": 0, "clip_per_video": 2},
    {**_HEARD, "get_rgb": 1, "decode_type": 2, "length_rgb": 3, "audio_timestamps": 1},
    {**_HEARD, "get_rgb": 1, "fps": 12, "align_audio": 2},
)
OF_IMAGES: Readings = ({**_SMALL, "image_as_input": 1, "length_rgb": 1, "crop_per_clip": 3},)


EMPTY = "DB is an LMDB without records; create one with data/create_video_db.py"


KINDS = (  # of reasons in which FFmpeg has a word: what it stumbles over first, and how far it comes
    (
        "it cannot be opened",
        re.compile(r"be opened \((?!it is)|no decoder|no video stream|no picture size|stream cannot be"),
    ),
    ("too few frames", re.compile(r"\d+ frames?\b.* needed for")),
    ("the image cannot be decoded", re.compile("image cannot be decoded")),
)


class Found(dict[str, Any]):
    """Of a reading: rows, skipped and ended, each by key, or the error that ended it."""


def database(folder: Path, values: Sequence[bytes]) -> str:
    """An LMDB of the values as they are, with keys 00000 and on."""
    folder.mkdir()
    size = sum(map(len, values)) * 2 + (1 << 20)
    with lmdb.open(str(folder), map_size=size) as environment, environment.begin(write=True) as transaction:
        for number, value in enumerate(values):
            transaction.put(b"%05d" % number, value)
    return str(folder)


def neighbour(image: Optional[bytes], label: int) -> bytes:
    """The value of a good record."""
    return encode_record(Record(b"", image or good(VIDEOS[0]), (label,), 3, 9))


def read_record(path: Path, engine: str) -> str:
    """The file is a record's value."""
    values = (neighbour(None, 1), path.read_bytes(), neighbour(None, 2))
    return _read(path, values, OF_RECORDS, engine)


def read_video(path: Path, engine: str) -> str:
    """The file is a video: held by a record, whose start frame is far in it."""
    value = encode_record(Record(b"", path.read_bytes(), (4,), 36, 8))
    return _read(path, (neighbour(None, 1), value, neighbour(None, 2)), OF_VIDEOS, engine)


@functools.cache
def _heard_neighbour() -> bytes:
    """Of a pitch that no other video of the campaign has."""
    return sound_video([Tone(hertz=700.0)])


def read_sound(path: Path, engine: str) -> str:
    """The file is a video with sound: held by a record between two that hear one tone.

    What two builds of FFmpeg make of damaged sound is not compared: that it is no other video's is looked at here.
    """
    value, near = encode_record(Record(b"", path.read_bytes(), (4,), 36, 8)), _heard_neighbour()
    return _read(path, (neighbour(near, 1), value, neighbour(near, 2)), OF_SOUND, engine)


def read_image(path: Path, engine: str) -> str:
    """The file is an image, held by a record."""
    from tests.campaign.mutations.video_files import IMAGES

    value = encode_record(Record(b"", path.read_bytes(), (4,), 0, 8))
    near = good(IMAGES[0])
    return _read(path, (neighbour(near, 1), value, neighbour(near, 2)), OF_IMAGES, engine)


def read_lmdb(path: Path, engine: str) -> str:
    """The file is a database's. Caffe2's own reader is asked alone: the tools open a database with ours before it."""
    arguments = {**_SMALL, "decode_type": 2, "get_video_id": 1}
    read = _reading if engine == "pytorch" else _by_caffe2_alone
    found = read(str(path), arguments, engine)
    if "error" in found:
        raise Refused(found["error"], json.dumps([found]))
    return json.dumps([found])


class Refused(VmzError):
    """The reason for which an input was refused, with all that was found."""

    def __init__(self, sentence: str, found: str) -> None:
        super().__init__(sentence)
        self.found = found


def _read(path: Path, values: Sequence[bytes], readings: Readings, engine: str) -> str:
    held = {0: database(path.parent / "db", values)}
    if any(arguments.get("use_local_file") for arguments in readings):
        near = path.parent / "near.mp4"
        near.write_bytes(good(VIDEOS[0]))
        paths = [encode_record(Record(b"", bytes(near), (label,), 3, 9)) for label in (1, 2)]
        held[1] = database(path.parent / "paths", (paths[0], values[1], paths[1]))
    found = [_reading(held[arguments.get("use_local_file", 0)], arguments, engine) for arguments in readings]
    text = json.dumps(found)
    for one in found:
        assert "error" in one or {"00000", "00002"} <= set(one["rows"]), f"a neighbour is lost: {one['skipped']}"
    reasons = [one.get("error") or one["skipped"].get(INPUT) for one in found]
    if all(reasons):
        raise Refused(str(reasons[0]), text)
    return text


def _reading(held: str, arguments: Mapping[str, Any], engine: str) -> Found:
    """One pass over a database. Only errors that a person can read are caught."""
    from vmz.inspection.dump_clips import read_clips

    try:
        dump = read_clips(held, dict(arguments), 0, engine)
    except VmzError as error:
        return Found(error=_nameless(str(error), held))
    ended = {one.key: [one.frames, one.reason] for one in dump.ended_early}
    skipped = {bad.key: _nameless(readable(bad.reason), held) for bad in dump.skipped}
    if "logmels" in dump.arrays:
        check_sound(dump.arrays, {silent.key: readable(silent.reason) for silent in dump.without_sound})
    return Found(rows=_rows(dump.arrays), skipped=skipped, ended=ended)


def check_sound(arrays: Mapping[str, np.ndarray], silent: Mapping[str, str]) -> None:
    """The neighbours hear the same, the video between them does not, and nothing where it is said to have no sound."""
    maps = {str(key): arrays["logmels"][arrays["key"] == key] for key in np.unique(arrays["key"])}
    assert all(np.isfinite(one).all() for one in maps.values())
    first, last = maps["00000"], maps["00002"]
    assert np.array_equal(first, last) and np.ptp(first) > 0 and not {"00000", "00002"} & set(silent)
    own = maps.get(INPUT)
    if own is not None and INPUT in silent:
        assert not own.any(), "log-mels of a video that is said to be silent"
    elif own is not None:
        assert all(not np.array_equal(one, other) for one in own for other in first), "log-mels of another video"


def _nameless(sentence: str, held: str) -> str:
    """Without the folder of this run, and what the operator puts before the sentence of a database."""
    return sentence.replace(held, "DB").replace(os.getcwd(), "HERE").removeprefix("lmdb: ")


def readable(reason: str) -> str:
    """A reason as it was reported, if a person can read it."""
    if not reason or printable(reason) != reason or len(reason) > 4000:
        raise AssertionError(f"a reason that nobody can read: {reason[:200]!r}")
    return reason


def _rows(arrays: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """{key: [what identifies its clips, label, video id, start frame]}"""
    rows: dict[str, list[Any]] = {}
    for place, key in enumerate(arrays["key"]):
        row = rows.setdefault(str(key), [])
        if "data" in arrays:  # not of one that only hears
            assert np.isfinite(arrays["data"][place]).all()
            row.append(hashlib.sha1(np.ascontiguousarray(arrays["data"][place]).tobytes()).hexdigest()[:12])
        row.append([arrays[name][place].tolist() for name in ("label", "video_id", "start_frame") if name in arrays])
    return rows


def _by_caffe2_alone(held: str, arguments: Mapping[str, Any], engine: str) -> Found:
    """What the operator gives of a database that it opens itself."""
    from vmz.engines.caffe2_engine.workspace import Workspace
    from vmz.netdef.builder import NetBuilder, device_option
    from vmz.netdef.inputs import VideoSource, add_video_input
    from vmz.video.database.records import key_text
    from vmz.video.reader import EndOfData

    names = ("data", "label", "video_id", "record_index", "skipped", "ended_early")
    more = {"get_record_index": 1, "get_skipped": 1, "get_ended_early": 1, "wrap_around": 0}
    net = NetBuilder("clips", is_test=True, device=device_option())
    add_video_input(net, VideoSource(held, {**arguments, **more}, names, stop_gradient=False))
    workspace = Workspace()
    batches: list[list[np.ndarray]] = []
    try:
        workspace.run_once(net.init_net)
        workspace.create(net.net)
        while True:
            workspace.run(net.net.name)
            batches.append([workspace.fetch(name) for name in names[:4]])
    except EndOfData:
        pass
    except VmzError as error:
        return Found(error=_nameless(str(error), held))
    from vmz.video.database.lmdb_file import LmdbFile

    keys = [key_text(key) for key in LmdbFile(held).keys]
    arrays = {name: np.concatenate([batch[place] for batch in batches]) for place, name in enumerate(names[:4])}
    arrays["key"] = np.array([keys[index] for index in arrays["record_index"]])
    skipped = {
        row[0].decode(): row[2].decode() for row in np.asarray(workspace.fetch("skipped"), object).reshape(-1, 3)
    }
    ended = np.asarray(workspace.fetch("ended_early"), object).reshape(-1, 4)
    return Found(
        rows=_rows(arrays), skipped=skipped,
        ended={row[0].decode(): [int(row[2]) if row[2] else None, row[3].decode()] for row in ended},
    )  # fmt: skip


def difference(one: str, other: str) -> str:
    """How two readers differ in what they found, in the form that they were given; "" where they do not."""
    for number, (left, right) in enumerate(zip(json.loads(one), json.loads(other))):
        kinds = [_kind(found) for found in (left, right)]
        if kinds[0] != kinds[1]:
            return f"reading {number}: {_first_difference(*kinds)}"
    return ""


def _kind(found: dict[str, Any]) -> dict[str, str]:
    """{what: value}, reasons without the parts that only FFmpeg's version decides."""
    if "error" in found:
        return {"error": reason_kind(found["error"])}
    whole = {f"rows of {key}": json.dumps(row) for key, row in found["rows"].items()}
    whole.update({f"reason of {key}": reason_kind(reason) for key, reason in found["skipped"].items()})
    return {
        **whole,
        **{f"ending of {key}": reason_kind(f"{n} {reason}") for key, (n, reason) in found["ended"].items()},
    }


def reason_kind(reason: str) -> str:
    """A reason without what FFmpeg itself says in it."""
    reason = reason.replace("VideoInput: the database of its input contains no records", EMPTY)
    return next((kind for kind, pattern in KINDS if pattern.search(reason)), reason)


def _first_difference(left: dict[str, str], right: dict[str, str]) -> str:
    names = sorted(set(left) | set(right), key=lambda name: (INPUT not in name, name))
    name = next(name for name in names if left.get(name) != right.get(name))
    return f"{name}: {left.get(name, 'none')[:160]} | {right.get(name, 'none')[:160]}"
