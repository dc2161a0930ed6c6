"""Small databases of ramps, and what a reader gives of them."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.sharding import AUGMENTED
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.reader import ClipReader, EndOfData

BASE = {
    "batch_size": 1,
    "clip_per_video": 1,
    "decode_type": 1,
    "length_rgb": 8,
    "scale_h": 128,
    "scale_w": 171,
    "crop_size": 112,
    "random_crop": 0,
    "random_mirror": 0,
    "num_decode_threads": 2,
}


def encode(path: Path, frames: int, level: int = 0, size: tuple[int, int] = (176, 144)) -> bytes:
    """An MPEG-4 file whose frame t is a ramp that starts at `level` + 4 t."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for time in range(frames):
            ramp = (np.arange(size[0], dtype=np.int64)[None, :, None] // 2 + level + 4 * time) % 256
            picture = np.broadcast_to(ramp, (size[1], size[0], 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def make(path, contents, **record):
    with DatabaseWriter(path) as writer:
        for number, content in enumerate(contents):
            writer.write(Record(b"%02d" % number, content, (number,), **record))
    return path


def read_all(path, **changes):
    with ClipReader(path, VideoInputArgs.from_mapping({**BASE, "wrap_around": 0, **changes})) as reader:
        batches = []
        with pytest.raises(EndOfData):
            while True:
                batches.append(reader.next_batch())
        return batches, reader.skipped


def read_some(path, batches, **changes):
    """The records and the clips of so many batches, and the position after them."""
    with ClipReader(path, VideoInputArgs.from_mapping({**BASE, **AUGMENTED, **changes})) as reader:
        found = [reader.next_batch() for _ in range(batches)]
        records = [int(record) for batch in found for record in batch.record_index]
        return records, np.concatenate([batch.data for batch in found]), reader.position
