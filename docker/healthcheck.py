#!/usr/bin/env python3
"""The image's health check: a video written here goes through LMDB, VideoInput and a tiny net on real Caffe2.

Prints one line and exits 0; any failure is an exception. Seconds, CPU only; the line counts the CUDA devices it sees.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import av
import numpy as np
import torch

from vmz.engines.caffe2_workspace import import_caffe2, load_operators
from vmz.video.database import DatabaseWriter
from vmz.video.records import Record

FRAMES, SIDE, LABEL = 8, 64, 3


def make_video() -> bytes:
    """An MPEG-4 video of FRAMES frames of noise, SIDE x SIDE."""
    frames = np.random.default_rng(0).integers(0, 256, (FRAMES, SIDE, SIDE, 3), np.uint8)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def main() -> None:
    workspace = import_caffe2()
    load_operators()
    from caffe2.python import core

    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "lmdb"
        with DatabaseWriter(database) as writer:
            writer.write(Record(b"0", make_video(), (LABEL,)))

        init, net = core.Net("health_init"), core.Net("health")
        init.CreateDB([], "reader", db=str(database), db_type="lmdb")
        init.XavierFill([], "w", shape=[5, 3 * FRAMES * 32 * 32])
        init.ConstantFill([], "b", shape=[5])
        reader_arguments = {"batch_size": 1, "length_rgb": FRAMES, "scale_h": SIDE, "scale_w": SIDE, "crop_size": 32}
        net.VideoInput(["reader"], ["data", "label"], decode_type=1, random_crop=0, random_mirror=0, **reader_arguments)
        net.FC(["data", "w", "b"], "score")
        net.Softmax("score", "softmax")
        workspace.RunNetOnce(init)
        workspace.RunNetOnce(net)
        softmax, label = workspace.FetchBlob("softmax"), workspace.FetchBlob("label")
        workspace.ResetWorkspace()  # the reader lets go of the database before its folder goes

    assert softmax.shape == (1, 5) and np.isfinite(softmax).all() and abs(softmax.sum() - 1) < 1e-5, softmax
    assert label.tolist() == [LABEL], label
    devices = workspace.NumCudaDevices()
    print(f"healthy: VideoInput and LMDB on Caffe2, torch {torch.__version__}, {devices} CUDA devices")


if __name__ == "__main__":
    main()
