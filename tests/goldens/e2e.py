"""The golden end-to-end jobs, made anew: their database from the videos, their weights from the rule."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.goldens.recordings import golden_path, video_path
from tests.support.generated_weights import generated_weights, weights_sha256
from vmz.checkpoints.pickles import save_pickle
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def run_tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A tool as a user runs it, in a process of its own."""
    return subprocess.run([sys.executable, str(TOOLS / name), *arguments], capture_output=True, text=True, check=False)


def load_job(name: str, folder: str = "e2e") -> dict[str, Any]:
    return dict(json.loads(golden_path(f"{folder}/{name}.json").read_text()))


def write_database(path: Path, videos: list[str], labels: list[list[int]]) -> Path:
    """An LMDB of golden videos whose cursor order is the list's (fewer than 10 records)."""
    assert len(videos) <= 10
    with DatabaseWriter(path) as writer:
        for number, (video, label) in enumerate(zip(videos, labels)):
            writer.write(Record(str(number).encode(), video_path(video).read_bytes(), tuple(label), None, None))
    return path


def write_weights(path: Path, job: dict[str, Any]) -> Path:
    """The .pkl of a job; its hash is the golden's, so network and rule are the golden's too."""
    args = job["args"]
    names = set(ModelConfig.__dataclass_fields__) - {"batch_size"}
    config = {name: value for name, value in args.items() if name in names}
    model = build(ModelConfig(clip_length=args.get("clip_length_rgb", 16), **config))
    weights = generated_weights([*model.params, *model.computed_params])
    assert weights_sha256(weights) == job["weights_sha256"]
    save_pickle(path, weights)
    return path


def flags(job: dict[str, Any], **changes: Any) -> list[str]:
    return [f"--{name}={value}" for name, value in {**job["args"], **changes}.items()]
