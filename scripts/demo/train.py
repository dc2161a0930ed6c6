#!/usr/bin/env python3
"""Train the demo's network: a narrow R(2+1)D-10 on synthesised motion, from scratch, on a CPU.

The net is the project's own training NetDef, run by the PyTorch engine with autograd; the optimiser is PyTorch's AdamW,
which is no published recipe but is done in minutes. Most steps see half-size clips of every second frame, where things
move by as many pixels a step as in full-size clips of neighbouring frames, at a quarter of the cost; the last steps
see what the test sees. Random crops, and flips in space and time that swap the labels as they must.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from make_videos import FRAMES, MOTIONS, make_video
from torch import Tensor
from torch.fx import GraphModule

from vmz.checkpoints.pickles import save_pickle
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.engines.torch_engine.graph.importer import import_net
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.blob_names import unscoped
from vmz.netdef.builder import get_arguments
from vmz.netdef.net_parts import copy_net
from vmz.progress import Progress
from vmz.video.frames.decoding import Video
from vmz.video.frames.scaling import Scaler, normalise

CONFIG = ModelConfig(
    model_name="r2plus1d", model_depth=10, channel_multiplier=0.1, num_labels=len(MOTIONS), clip_length=8, crop_size=112
)
HEIGHT, WIDTH, CROP, CLIP = 128, 171, CONFIG.crop_size, CONFIG.clip_length  # test_net's default sizes
TRAIN_SEED, VALIDATION_SEED = 1, 3  # the demo's test videos are seed 2
BN_MOMENTUM = 0.9  # running = 0.9 running + 0.1 batch
LABELS = {name: label for label, name in enumerate(MOTIONS)}
PAIRS = (("left", "right"), ("up", "down"), ("clockwise", "anticlockwise"), ("in", "out"))


def swapped(*pairs: int) -> np.ndarray:
    """Label after a flip that exchanges the two classes of these PAIRS."""
    labels = np.arange(len(MOTIONS))
    for pair in pairs:
        a, b = (LABELS[name] for name in PAIRS[pair])
        labels[[a, b]] = labels[[b, a]]
    return labels


# Axis of a clip (T, H, W, C) that is turned round, and what becomes of the label.
FLIPS = ((0, swapped(0, 1, 2, 3)), (1, swapped(1, 2)), (2, swapped(0, 2)))


@dataclass(frozen=True)
class Phase:
    """`shrink`: clips are averaged over squares of this side; `stride`: in frames."""

    shrink: int
    stride: int
    steps: int
    batch: int
    rate: float


def decode(source: bytes) -> np.ndarray:
    """All frames as the reader scales them: uint8 (FRAMES, HEIGHT, WIDTH, 3)."""
    scaler = Scaler(WIDTH, HEIGHT)
    with Video(source) as video:
        return np.stack([scaler.convert(frame) for frame, _ in video.read()])


def make_set(per_class: int, seed: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Decoded videos, uint8 (N, FRAMES, HEIGHT, WIDTH, 3), and their labels, int64 (N,)."""
    videos = np.empty((per_class * len(MOTIONS), FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    labels = np.tile(np.arange(len(MOTIONS)), per_class)

    def make(index: int) -> None:
        label = int(labels[index])
        videos[index] = decode(make_video(list(MOTIONS)[label], (seed, index // len(MOTIONS), label)))

    with Progress(len(videos), "videos", f"videos of seed {seed}") as shown, ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(make, range(len(videos))):
            shown.update()
    return videos, labels


def draw_batch(videos: np.ndarray, labels: np.ndarray, phase: Phase, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Random clips, normalised, float32 (N, 3, CLIP, side, side), and labels int32."""
    data = np.empty((phase.batch, 3, CLIP, CROP, CROP), np.float32)
    wanted = np.empty(phase.batch, np.int32)
    for slot in range(phase.batch):
        index = rng.integers(len(videos))
        start = rng.integers(FRAMES - (CLIP - 1) * phase.stride)
        top, left = rng.integers(HEIGHT - CROP + 1), rng.integers(WIDTH - CROP + 1)
        clip = videos[index, start :: phase.stride, top : top + CROP, left : left + CROP][:CLIP]
        label = labels[index]
        for axis, becomes in FLIPS:
            if rng.random() < 0.5:
                clip, label = np.flip(clip, axis), becomes[label]
        for place, frame in enumerate(clip):
            normalise(np.ascontiguousarray(frame), data[slot, :, place])
        wanted[slot] = label
    clips = torch.from_numpy(data)
    return (F.avg_pool3d(clips, (1, phase.shrink, phase.shrink)) if phase.shrink > 1 else clips), torch.from_numpy(
        wanted
    )


def training_module(model: Model, shrink: int, values: Any = None) -> GraphModule:
    """The net with its loss. For smaller clips final_avg is told to average over the smaller map that is left."""
    net = copy_net(model.net)
    for op in net.op:
        if op.type == "AveragePool":
            side = -(-CROP // shrink // 16)
            for argument in op.arg:
                if argument.name == "kernels":
                    argument.ints[1:] = [side, side]
            assert get_arguments(op)["kernels"][1:] == [side, side]
    return import_net(net, model.param_init_net, outputs=["loss", "softmax"], seed=TRAIN_SEED, values=values)


def train(module: GraphModule, batches: Iterator[tuple[Tensor, Tensor]], phase: Phase) -> None:
    """Some steps of AdamW with a one-cycle rate; the weights change in place."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=phase.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, phase.rate, total_steps=phase.steps)
    mean, start = 0.0, time.monotonic()
    for step in range(phase.steps):
        found = module(*next(batches))
        optimiser.zero_grad()
        found["loss"].backward()
        optimiser.step()
        schedule.step()
        weight = max(0.05, 1 / (step + 1))
        mean += weight * (found["loss"].item() - mean)
        if (step + 1) % 50 == 0 or step + 1 == phase.steps:
            print(f"step {step + 1}/{phase.steps}: loss {mean:.3f}, {time.monotonic() - start:.0f} s", flush=True)


@torch.no_grad()
def settle_statistics(module: GraphModule, batches: Iterator[tuple[Tensor, Tensor]], count: int) -> None:
    """Make the running statistics the plain mean of `count` batches' statistics under the final weights."""
    buffers = {name: buffer for name, buffer in module.named_buffers() if buffer.is_floating_point()}
    sums = {name: torch.zeros_like(buffer) for name, buffer in buffers.items()}
    for _ in range(count):
        for buffer in buffers.values():
            buffer.zero_()
        module(*next(batches))
        for name, buffer in buffers.items():
            sums[name] += buffer / (1 - BN_MOMENTUM)
    for name, buffer in buffers.items():
        buffer.copy_(sums[name] / count)


@torch.no_grad()
def accuracy(weights: dict[str, Tensor], videos: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """clip@1 and video@1 of three centre-crop clips a video, by the test net."""
    model = build(CONFIG, is_test=True)
    module = import_net(model.net, model.param_init_net, outputs=["softmax"], values=weights)
    clips = videos_right = 0
    top, left = (HEIGHT - CROP) // 2, (WIDTH - CROP) // 2
    for video, label in zip(videos, labels):
        data = np.empty((3, 3, CLIP, CROP, CROP), np.float32)
        for clip, start in enumerate((0, (FRAMES - CLIP) // 2, FRAMES - CLIP)):
            for place in range(CLIP):
                frame = video[start + place, top : top + CROP, left : left + CROP]
                normalise(np.ascontiguousarray(frame), data[clip, :, place])
        scores = module(torch.from_numpy(data))["softmax"]
        clips += int((scores.argmax(1) == label).sum())
        videos_right += int(scores.mean(0).argmax() == label)
    return clips / 3 / len(videos), videos_right / len(videos)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser("Train the demo's network and write its weights.")
    parser.add_argument("--output", type=Path, required=True, help="the .pkl to write")
    parser.add_argument("--videos_per_class", type=int, default=80)
    parser.add_argument("--steps", type=int, default=700, help="steps on half-size clips")
    parser.add_argument("--last_steps", type=int, default=50, help="steps on full-size clips")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(TRAIN_SEED)
    videos, labels = make_set(options.videos_per_class, TRAIN_SEED, options.threads)
    model = build(CONFIG, is_test=False)
    phases = (
        Phase(shrink=2, stride=2, steps=options.steps, batch=16, rate=8e-3),
        Phase(shrink=1, stride=1, steps=options.last_steps, batch=16, rate=1e-3),
    )
    weights: Any = None
    for phase in phases:
        module = training_module(model, phase.shrink, weights)

        def batches(phase: Phase = phase) -> Iterator[tuple[Tensor, Tensor]]:
            while True:
                yield draw_batch(videos, labels, phase, rng)

        train(module, batches(), phase)
        weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    settle_statistics(module, batches(), 30)
    weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    clip, video = accuracy(weights, *make_set(8, VALIDATION_SEED, options.threads))
    print(f"validation: clip@1 {clip:.3f}, video@1 {video:.3f}")
    save_pickle(options.output, {unscoped(name): tensor.numpy() for name, tensor in weights.items()})
    print(f"{options.output}: {sum(tensor.numel() for tensor in weights.values())} values")
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main))
