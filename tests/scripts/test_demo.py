"""The demo's videos: real files, equal frame by frame between classes; its weights: small, and they see motion only."""

from __future__ import annotations

import csv
import io
import itertools
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from tests.report.browser import needs_browser
from tests.report.examples import class_names, evaluation, scored
from tests.report.examples import pictures as thumbnails
from vmz.checkpoints.matching import match
from vmz.checkpoints.pickles import load_pickle, read_pickle
from vmz.engines.torch_engine.graph.importer import import_net
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.training_state import is_training_state
from vmz.report.evaluation import page as evaluation_page
from vmz.video.frames.decoding import Video
from vmz.video.frames.scaling import Scaler
from vmz.video.normalisation import normalise

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "scripts" / "demo"
WEIGHTS = ROOT / "models_zoo" / "demo" / "motion_r2plus1d_10.pkl"
sys.path.insert(0, str(DEMO))

import make_videos  # noqa: E402
import pictures  # noqa: E402

CLASSES = list(make_videos.MOTIONS)
LENGTH, EVERY = 8, 1  # frames of a clip, in a row


def frames(video: bytes) -> np.ndarray:
    with av.open(io.BytesIO(video), "r") as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(decoded)


def test_videos_have_the_promised_size_and_follow_the_seed() -> None:
    first = make_videos.make_video("left", (7, 0, 0))
    found = frames(first)
    assert found.shape == (32, 128, 172, 3)
    assert found.std() > 10  # there is something to see
    assert np.array_equal(found, frames(make_videos.make_video("left", (7, 0, 0))))
    assert not np.array_equal(found, frames(make_videos.make_video("left", (7, 1, 0))))


MOVES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@pytest.mark.parametrize("motion", MOVES)
@pytest.mark.parametrize("seed", range(5))
def test_the_view_moves_most_as_its_class_says(motion: str, seed: int) -> None:
    path = make_videos.draw_path(motion, np.random.default_rng(seed))
    moved = np.diff(path.centre, axis=0)
    cos, sin = np.cos(-path.angle[1:]), np.sin(-path.angle[1:])  # back to the frame's own axes
    steps = np.stack([cos * moved[:, 0] - sin * moved[:, 1], sin * moved[:, 0] + cos * moved[:, 1]], 1)
    steps *= np.exp(path.log_scale[1:, None])
    along = steps @ MOVES[motion]
    across = steps @ MOVES[motion][::-1]
    turning = make_videos.RADIUS * np.diff(path.angle)
    slowest, fastest = make_videos.HARD.speeds["pan"]
    assert np.allclose(along, along[0]) and slowest <= along[0] <= fastest
    assert max(abs(across).max(), abs(turning).max()) <= make_videos.HARD.drift * along[0] + 1e-9
    assert abs(across).max() > 0.001 and abs(turning).max() > 0.001


@pytest.mark.parametrize("motion", ["clockwise", "anticlockwise", "in", "out"])
def test_drift_is_slower_than_the_motion(motion: str) -> None:
    for seed in range(5):
        path = make_videos.draw_path(motion, np.random.default_rng(seed))
        scale = np.exp(path.log_scale[1:])
        panning = np.hypot(*np.diff(path.centre, axis=0).T) * scale
        turning = abs(make_videos.RADIUS * np.diff(path.angle))
        zooming = abs(make_videos.RADIUS * np.diff(path.log_scale))
        own, other = (zooming, turning) if motion in ("in", "out") else (turning, zooming)
        least, most = make_videos.HARD.speeds["zoom" if motion in ("in", "out") else "turn"]
        assert least <= own.min() + 1e-9 and own.max() <= most + 1e-9
        assert (
            panning.max() <= make_videos.HARD.drift * 2**0.5 * own[0]
            and other.max() <= make_videos.HARD.drift * own[0] + 1e-9
        )


def test_a_pair_of_classes_is_one_motion_backwards() -> None:
    """Of the same seed: the same speeds, but in the other direction."""
    for one, other, field in (("clockwise", "anticlockwise", "angle"), ("in", "out", "log_scale")):
        a = make_videos.draw_path(one, np.random.default_rng(5))
        b = make_videos.draw_path(other, np.random.default_rng(5))
        assert np.allclose(np.sort(a.log_scale), np.sort(b.log_scale))
        assert np.allclose(np.diff(getattr(a, field)), -np.diff(getattr(b, field)))


def test_scales_of_single_frames_do_not_tell_the_class() -> None:
    rng = np.random.default_rng(0)
    still = np.array([make_videos.draw_path("left", rng).log_scale[0] for _ in range(4000)])
    zooming = np.array([rng.choice(make_videos.draw_path("in", rng).log_scale) for _ in range(4000)])
    assert abs(still.mean() - zooming.mean()) < 0.02
    assert np.allclose(np.quantile(still, [0.1, 0.5, 0.9]), np.quantile(zooming, [0.1, 0.5, 0.9]), atol=0.03)


def test_plain_videos_have_nothing_but_their_motion() -> None:
    plain = make_videos.PLAIN
    for motion, (x, y, turn, zoom) in make_videos.MOTIONS.items():
        path = make_videos.draw_path(motion, np.random.default_rng(1), plain)
        assert bool(np.ptp(path.angle)) == bool(turn) and bool(np.ptp(path.log_scale)) == bool(zoom)
        assert (np.ptp(path.centre, axis=0).max() > 30) == bool(x or y)
    texture = make_videos.draw_texture(np.random.default_rng(1))
    still = make_videos.Path2D(np.zeros((32, 2)), np.zeros(32), np.zeros(32))
    frames_of = make_videos.render(texture, still, np.random.default_rng(2), plain).astype(float)
    assert abs(frames_of[0] - frames_of[-1]).mean() < 2 * 2  # noise alone
    assert (
        abs(make_videos.render(texture, still, np.random.default_rng(2)).astype(float)[0] - frames_of[-1]).mean() > 10
    )


def test_what_passes_in_front_does_not_tell_the_class() -> None:
    """Its way is drawn without the class, about the middle of the video, at speeds like a pan's."""
    things = np.stack([make_videos.draw_thing(np.random.default_rng(seed)) for seed in range(2000)])
    speeds = np.linalg.norm(np.diff(things, axis=1), axis=2)
    least, most = make_videos.HARD.speeds["pan"]
    assert least <= speeds.min() + 1e-9 and speeds.max() <= most + 1e-9
    assert abs(np.diff(things, axis=1).mean((0, 1))).max() < 0.1  # no way is taken more often


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


def test_the_weights_are_small_and_describe_themselves() -> None:
    assert WEIGHTS.stat().st_size < 1_000_000
    blobs, about = read_pickle(WEIGHTS)
    assert not [name for name in blobs if is_training_state(name)]
    assert about["labels"] == CLASSES
    found = {flag: about["protocol"][flag] for flag in ("model_name", "clip_length_rgb", "sampling_rate_rgb")}
    assert found == {"model_name": "r2plus1d", "clip_length_rgb": LENGTH, "sampling_rate_rgb": EVERY}


@pytest.mark.long
def test_the_network_sees_motion_and_nothing_else() -> None:
    model = build(ModelConfig(model_depth=10, channel_multiplier=0.1, num_labels=8, clip_length=LENGTH))
    weights, report = match(load_pickle(WEIGHTS), [*model.params, *model.computed_params])
    assert not report.missing and not report.unused
    values = {blob: torch.from_numpy(array) for blob, array in weights.items()}
    module = import_net(model.net, model.param_init_net, outputs=["softmax"], values=values)
    labels = torch.arange(64) % 8
    clips = torch.stack([centre_clip(make_videos.make_video(name, (9, i, 0))) for i in range(8) for name in CLASSES])
    with torch.no_grad():
        moving = module(clips)["softmax"].argmax(1)
        backwards = module(clips.flip(2))["softmax"].argmax(1)
        still = module(clips[:, :, :1].expand_as(clips).contiguous())["softmax"].argmax(1)
    assert 0.75 <= (moving == labels).float().mean() < 1  # one clip of a video; the videos are hard on purpose
    assert (backwards == (labels ^ 1)).float().mean() >= 0.75  # classes 2n and 2n + 1 are a pair
    assert (still == labels).float().mean() <= 0.3  # chance is 0.125


def centre_clip(video: bytes) -> torch.Tensor:
    """A clip from the middle as the reader gives it, float32 (3, LENGTH, 112, 112)."""
    clip = np.empty((3, LENGTH, 112, 112), np.float32)
    scaler = Scaler(171, 128)
    with Video(video) as source:
        for place, (frame, _) in enumerate(itertools.islice(source.read(), 8, 8 + LENGTH * EVERY, EVERY)):
            normalise(np.ascontiguousarray(scaler.convert(frame)[8:120, 29:141]), clip[:, place])
    return torch.from_numpy(clip)


def test_the_pictures_need_the_page(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO / "pictures.py"), str(tmp_path), "--output", str(tmp_path / "images")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "run `make demo` first" in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_pictures_of_the_readme_are_small() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((docs/images/\S+\.png)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(Path(name).name for name in shown) == sorted(pictures.PICTURES)
    assert all((ROOT / name).stat().st_size <= pictures.MOST_BYTES for name in shown)


@needs_browser
def test_pictures_of_a_page(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "report.html").write_text(evaluation_page(evaluation(scored(8, 20), class_names(8)), thumbnails))
    assert pictures.main([str(tmp_path), "--output", str(tmp_path / "images")]) == 0
    for name in pictures.PICTURES:
        path = tmp_path / "images" / name
        with Image.open(path) as image:
            assert image.width == pictures.WIDTH and 200 < image.height < 2000
            assert len(image.getcolors()) > 8  # something is on it
        assert path.stat().st_size <= pictures.MOST_BYTES
