"""The demo's videos: real files, equal frame by frame between classes; its weights: small, and they see motion only."""

from __future__ import annotations

import csv
import io
import itertools
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from vmz.checkpoints.matching import match
from vmz.checkpoints.pickles import load_pickle
from vmz.engines.torch_engine.graph.importer import import_net
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.frames.decoding import Video
from vmz.video.frames.scaling import Scaler, normalise

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "scripts" / "demo"
WEIGHTS = ROOT / "models_zoo" / "demo" / "motion_r2plus1d_10.pkl"
sys.path.insert(0, str(DEMO))

import make_videos  # noqa: E402

CLASSES = list(make_videos.MOTIONS)


def frames(video: bytes) -> np.ndarray:
    with av.open(io.BytesIO(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_videos_have_the_promised_size_and_follow_the_seed() -> None:
    first = make_videos.make_video("left", (7, 0, 0))
    found = frames(first)
    assert found.shape == (32, 128, 172, 3)
    assert found.std() > 10  # there is something to see
    assert np.array_equal(found, frames(make_videos.make_video("left", (7, 0, 0))))
    assert not np.array_equal(found, frames(make_videos.make_video("left", (7, 1, 0))))


@pytest.mark.parametrize(("motion", "step"), [("left", (-1, 0)), ("right", (1, 0)), ("up", (0, -1)), ("down", (0, 1))])
def test_the_view_moves_as_its_class_says(motion: str, step: tuple[int, int]) -> None:
    path = make_videos.draw_path(motion, np.random.default_rng(3))
    moved = path.centre[-1] - path.centre[0]
    cos, sin = np.cos(-path.angle[0]), np.sin(-path.angle[0])  # back to the frame's own axes
    along = np.array([cos * moved[0] - sin * moved[1], sin * moved[0] + cos * moved[1]])
    assert np.allclose(along / np.abs(along).max(), step, atol=1e-6)


def test_a_pair_of_classes_is_one_motion_backwards() -> None:
    for one, other in (("clockwise", "anticlockwise"), ("in", "out")):
        a = make_videos.draw_path(one, np.random.default_rng(5))
        b = make_videos.draw_path(other, np.random.default_rng(5))
        assert np.allclose(np.sort(a.log_scale), np.sort(b.log_scale))
        assert np.sign(a.angle[-1] - a.angle[0]) == -np.sign(b.angle[-1] - b.angle[0])
        assert np.sign(a.log_scale[-1] - a.log_scale[0]) == -np.sign(b.log_scale[-1] - b.log_scale[0])


def test_scales_of_single_frames_do_not_tell_the_class() -> None:
    rng = np.random.default_rng(0)
    still = np.array([make_videos.draw_path("left", rng).log_scale[0] for _ in range(4000)])
    zooming = np.array([rng.choice(make_videos.draw_path("in", rng).log_scale) for _ in range(4000)])
    assert abs(still.mean() - zooming.mean()) < 0.02
    assert np.allclose(np.quantile(still, [0.1, 0.5, 0.9]), np.quantile(zooming, [0.1, 0.5, 0.9]), atol=0.03)


def test_the_script_writes_a_list_and_refuses_to_write_over_it(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO / "make_videos.py"), "--output", str(tmp_path), "--videos_per_class", "1"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    assert made.stdout.startswith("8 videos of 8 classes")
    with open(tmp_path / "list.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["label"]) for row in rows] == list(range(8))
    assert all(Path(row["org_video"]).is_file() for row in rows)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "exists already" in again.stderr and len(again.stderr.splitlines()) == 1


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 1_000_000


def test_the_network_sees_motion_and_nothing_else() -> None:
    model = build(ModelConfig(model_depth=10, channel_multiplier=0.1, num_labels=8, clip_length=8))
    weights, report = match(load_pickle(WEIGHTS), [*model.params, *model.computed_params])
    assert not report.missing and not report.unused
    values = {blob: torch.from_numpy(array) for blob, array in weights.items()}
    module = import_net(model.net, model.param_init_net, outputs=["softmax"], values=values)
    labels = torch.arange(32) % 8
    clips = torch.stack([centre_clip(make_videos.make_video(name, (9, i, 0))) for i in range(4) for name in CLASSES])
    with torch.no_grad():
        moving = module(clips)["softmax"].argmax(1)
        backwards = module(clips.flip(2))["softmax"].argmax(1)
        still = module(clips[:, :, :1].expand_as(clips).contiguous())["softmax"].argmax(1)
    assert (moving == labels).float().mean() >= 0.8
    assert (backwards == (labels ^ 1)).float().mean() >= 0.8  # classes 2n and 2n + 1 are a pair
    assert (still == labels).float().mean() <= 0.3  # chance is 0.125


def centre_clip(video: bytes) -> torch.Tensor:
    """Eight frames from the middle as the reader gives them, float32 (3, 8, 112, 112)."""
    clip = np.empty((3, 8, 112, 112), np.float32)
    scaler = Scaler(171, 128)
    with Video(video) as source:
        for place, (frame, _) in enumerate(itertools.islice(source.read(), 12, 20)):
            normalise(np.ascontiguousarray(scaler.convert(frame)[8:120, 29:141]), clip[:, place])
    return torch.from_numpy(clip)
