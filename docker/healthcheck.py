#!/usr/bin/env python3
"""The image's health check: a video written here goes through an LMDB, the reader and a small network.

On the engine that VMZ_ENGINE names, as test_net runs it without --engine. Prints one line and exits 0; any failure is
an exception. Seconds, CPU only; the line counts the CUDA devices that torch sees.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from pathlib import Path

import av
import numpy as np
import torch

from vmz.cli.test_net import evaluation_parser, run_evaluation
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

ENGINE = os.environ.get("VMZ_ENGINE", "pytorch")
WEIGHTS = Path(__file__).resolve().parents[1] / "models_zoo" / "demo" / "motion_r2plus1d_10.pkl"
FRAMES, SIDE, LABEL = 16, 64, 3


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


def flags(folder: Path) -> list[str]:
    files = [f"--load_model_path={WEIGHTS}", f"--test_data={folder / 'lmdb'}"]
    files += [f"--save_scores={folder / 'scores.npz'}", f"--output={folder / 'results.json'}"]
    return ["--num_gpus=0", "--clip_per_video=1", "--batch_size=1", "--check_data=0", *files]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with DatabaseWriter(folder / "lmdb") as writer:
            writer.write(Record(b"0", make_video(), (LABEL,)))
        with contextlib.redirect_stdout(io.StringIO()):
            status = run_evaluation(evaluation_parser(""), flags(folder))
        assert status == 0, status
        with np.load(folder / "scores.npz") as kept:
            softmax, label = kept["softmax"], kept["label"]
        engine = json.loads((folder / "results.json").read_text())["environment"]["engine"]

    assert softmax.shape == (1, 8) and np.isfinite(softmax).all() and abs(softmax.sum() - 1) < 1e-5, softmax
    assert label.tolist() == [LABEL], label
    assert engine == ENGINE, engine
    devices = torch.cuda.device_count()
    print(f"healthy: a video from an LMDB through {engine}, torch {torch.__version__}, {devices} CUDA devices")


if __name__ == "__main__":
    main()
