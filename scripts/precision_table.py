#!/usr/bin/env python3
"""What a 16-bit forward pass costs in accuracy: the table of docs/internals/precision.md.

    python scripts/precision_table.py [--precision bf16] [--videos DIR] [--clips 16] [--nets r2plus1d-18,ir-csn-50]

Scores clips of real videos in fp32 and in another precision, by the demo's trained network and by networks of the zoo
with seeded weights, and prints the softmax's difference and how many ranks change, as a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from vmz.checkpoints.seeded import seeded_weights
from vmz.engines.precisions import FP32, INFERENCE
from vmz.engines.registry import open_engine
from vmz.errors import VmzError
from vmz.model.loading import load_model
from vmz.models.registry import Model, build
from vmz.settings.model import ModelSettings
from vmz.settings.network import model_config
from vmz.video.arguments import VideoInputArgs
from vmz.video.views import read_views

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "models_zoo" / "demo" / "motion_r2plus1d_10.pkl"
VIDEOS = ROOT.parent / "shared" / "videos"
LARGE: dict[str, Any] = {"num_labels": 400, "crop_size": 224, "scale_h": 256, "scale_w": 342, "use_pool1": 1}
NETS = {
    "r2plus1d-18": ModelSettings(model_name="r2plus1d", model_depth=18, num_labels=400, clip_length_rgb=16),
    "r3d-18": ModelSettings(model_name="r3d", model_depth=18, num_labels=400, clip_length_rgb=8),
    "ir-csn-50": ModelSettings(model_name="ir-csn", model_depth=50, clip_length_rgb=8, **LARGE),
    "ip-csn-50": ModelSettings(model_name="ip-csn", model_depth=50, clip_length_rgb=8, **LARGE),
    "ir-csn-152": ModelSettings(model_name="ir-csn", model_depth=152, clip_length_rgb=32, **LARGE),
    "r2plus1d-152": ModelSettings(model_name="r2plus1d", model_depth=152, num_labels=400, clip_length_rgb=32),
}
HEAD = "| network | weights | clips | softmax, mean difference | softmax, largest | top-1 changed | top-5 changed |"


def clips_of(folder: Path, count: int, arguments: VideoInputArgs) -> np.ndarray:
    """float32 (at most count, C, T, H, W): as many clips of each video of the folder, in the order of names."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".mp4", ".avi", ".mkv", ".webm"))
    found: list[np.ndarray] = []
    for path in files:
        try:
            found.extend(read_views(str(path), arguments, max(1, -(-count // len(files)))).clips)
        except VmzError as error:  # too short for this net, say
            print(f"{path.name} left out: {error}", file=sys.stderr)
    if not found:
        raise SystemExit(f"no video of {folder} could be read")
    return np.stack(found[:count])


def scores(model: Model, weights: dict[str, np.ndarray], clips: np.ndarray, precision: str) -> np.ndarray:
    """float32 (clips, classes)"""
    rows = []
    with open_engine("pytorch", "cpu", precision) as engine:
        engine.load(model.param_init_net, model.net, weights, keep=[model.prediction])
        for clip in clips:
            engine.feed("data", clip[None])
            engine.run()
            rows.append(engine.fetch(model.prediction).reshape(-1))
    return np.stack(rows)


def row(name: str, weights: str, full: np.ndarray, half: np.ndarray) -> str:
    """A line of the table."""
    difference = np.abs(full - half)
    first, five = (np.argsort(-scores, axis=1, kind="stable")[:, :5] for scores in (full, half))
    ones = int((first[:, 0] != five[:, 0]).sum())
    fives = int((np.sort(first, axis=1) != np.sort(five, axis=1)).any(axis=1).sum())
    of = f"of {len(full)}"
    figures = f"{difference.mean():.1e} | {difference.max():.1e}"
    return f"| {name} | {weights} | {len(full)} | {figures} | {ones} {of} | {fives} {of} |"


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--precision", default="bf16", choices=[name for name in INFERENCE if name != FP32])
    parser.add_argument("--videos", type=Path, default=VIDEOS, help="folder of videos")
    parser.add_argument("--demo_videos", type=Path, help="folder of the demo's videos, for its trained network")
    parser.add_argument("--clips", type=int, default=16, help="clips a network")
    parser.add_argument("--nets", default="r2plus1d-18,r3d-18,ir-csn-50,ip-csn-50", help=f"of {', '.join(NETS)}")
    options = parser.parse_args(argv)
    print(HEAD)
    print("|---|---|---|---|---|---|---|")
    demo = load_model(str(DEMO), device="cpu")
    clips = clips_of(options.demo_videos or options.videos, options.clips, demo.reader_arguments())
    model = build(demo.config, is_test=True, scope="")
    full, half = (scores(model, demo.weights(), clips, name) for name in (FP32, options.precision))
    print(row("r2plus1d-10 (the demo's)", "trained", full, half), flush=True)
    for name in filter(None, options.nets.split(",")):
        settings = NETS[name]
        model = build(model_config(settings, batch_size=-1), is_test=True, scope="")
        clips = clips_of(options.videos, options.clips, VideoInputArgs.from_mapping(settings.reader_arguments()))
        weights = seeded_weights([*model.params, *model.computed_params], 1)
        full, half = (scores(model, weights, clips, precision) for precision in (FP32, options.precision))
        print(row(name, "seeded", full, half), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
