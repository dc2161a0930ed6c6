"""Databases for the tests of the operators."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Union

from tests.goldens.recordings import video_path
from vmz.netdef.protos import TensorProtos
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record, encode_record

GOOD, SHORT, OTHER = "arm_wrestling.mp4", "five_frames.mp4", "nasa_13013.mp4"  # those of faulty_inputs.json
TALL, ODD = "portrait.mp4", "odd_size.avi"  # the repository's: 40 and 20 frames

# The reader of faulty_inputs.json; every test changes what it is about.
BASE: dict[str, Any] = {
    "batch_size": 1,
    "num_decode_threads": 2,
    "length_rgb": 8,
    "scale_h": 128,
    "scale_w": 171,
    "crop_size": 112,
    "decode_type": 1,
    "random_crop": 0,
    "random_mirror": 0,
}


def read(name: str) -> bytes:
    return video_path(name).read_bytes()


def record(video: Union[bytes, str], label: int = 0, start_frame: Any = None, video_id: Any = None) -> Record:
    """A record of a video's bytes, or of a golden video by its name."""
    content = read(video) if isinstance(video, str) else video
    return Record(b"", content, (label,), start_frame, video_id)


def write(path: Path, records: Iterable[Record]) -> Path:
    """An LMDB of the records, in their order."""
    with DatabaseWriter(path) as writer:
        for number, one in enumerate(records):
            writer.write(Record(b"%05d" % number, one.video, one.labels, one.start_frame, one.video_id))
    return path


def write_values(path: Path, values: Iterable[bytes]) -> Path:
    """An LMDB of values as they are."""
    import lmdb

    path.mkdir()
    with lmdb.open(str(path), map_size=1 << 31) as environment, environment.begin(write=True) as transaction:
        for number, value in enumerate(values):
            transaction.put(b"%05d" % number, value)
    return path


def value(one: Record) -> bytes:
    """The database value of a record."""
    return encode_record(one)


def shuffled_tensors(one: Record) -> bytes:
    """The record with its tensors in the opposite order."""
    protos = TensorProtos()
    protos.ParseFromString(encode_record(one))
    tensors = list(protos.protos)
    turned = TensorProtos()
    for tensor in reversed(tensors):
        turned.protos.add().CopyFrom(tensor)
    return bytes(turned.SerializeToString())
