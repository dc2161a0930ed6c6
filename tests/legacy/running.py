"""Programs of tests/legacy/programs run by `python -m vmz.legacy`, as a person runs them, and small data for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np

from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"
NETWORK = ["--model_depth=10", "--channel_multiplier=0.05", "--num_labels=8", "--clip_length_rgb=2"]


def legacy(*arguments: object, path: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """`path`: PYTHONPATH in front of VMZ's lib. `variables`: of the environment.

    The threads are as many as ours here: sums in another number of threads differ in the last bit.
    """
    search = os.pathsep.join([*([path] if path else []), str(ROOT / "lib")])
    environment = {**os.environ, "PYTHONPATH": search, **variables}
    command = [sys.executable, "-m", "vmz.legacy", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)


def ended(program: subprocess.CompletedProcess[str]) -> str:
    """What it printed; it must have ended well."""
    assert program.returncode == 0, f"{program.stdout[-2000:]}\n{program.stderr[-4000:]}"
    return program.stdout


def reports(program: subprocess.CompletedProcess[str]) -> list[str]:
    """The names of the mends that reported, in order."""
    marked = (line for line in program.stderr.splitlines() if line.startswith("vmz.legacy: ["))
    return [line.partition("[")[2].partition("]")[0] for line in marked]


def plain_video(path: Path, level: int, frames: int) -> bytes:
    """Frames of one colour, the same everywhere: no crop, mirroring or scale changes what a network sees."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for time in range(frames):
            picture = np.full((48, 64, 3), (29 * level + 60 * time) % 200 + 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def plain_database(folder: Path, levels: list[int]) -> Path:
    """A record for each level, a video of two frames, so that each clip of two is the same one."""
    folder.mkdir(parents=True)
    with DatabaseWriter(folder / "db") as writer:
        for number, level in enumerate(levels):
            content = plain_video(folder / f"{number}.mp4", level, frames=2)
            writer.write(Record(b"%05d" % number, content, (level % 8,), None, None))
    return folder / "db"


def weights(path: Path, model_name: str) -> Path:
    """A .pkl as Python 2 wrote it, for NETWORK."""
    config = ModelConfig(model_name, 10, 8, channel_multiplier=0.05, clip_length=2)
    model = build(config)
    save_pickle(path, seeded_weights([*model.params, *model.computed_params]))
    return path
