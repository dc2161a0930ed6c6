"""A network small enough to train in a test, with every kind of layer that training treats in a way of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import av
import numpy as np

from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Build, Training
from vmz.models.config import ModelConfig
from vmz.models.heads import FeatureMap, build_head
from vmz.netdef.builder import NetBuilder
from vmz.netdef.inputs import VideoSource, add_video_input
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

LABELS, LENGTH, SIDE = 5, 4, 16


@dataclass(frozen=True)
class SmallModel:
    """What vmz.engines.trainer.Trainable asks for."""

    net: Any
    param_init_net: Any
    params: list[tuple[str, tuple[int, ...]]]
    computed_params: list[tuple[str, tuple[int, ...]]]
    weights: list[str]
    prediction: str
    loss: Optional[str]
    scope: str


def small_build(
    use_dropout: bool = False, multi_label: bool = False, source: Optional[VideoSource] = None, labels: int = LABELS
) -> Build:
    """A builder of: two convolutions with batch norm, a residual sum, a mean, (dropout,) classifier, loss.

    Its clips are (N, 3, LENGTH, SIDE, SIDE).
    """

    def build(scope: str, device: Any, loss_scale: float) -> SmallModel:
        config = ModelConfig(
            "r2plus1d", 10, labels, use_dropout=use_dropout, multi_label=multi_label, loss_scale=loss_scale
        )
        net = NetBuilder("small_train", is_test=False, scope=scope, device=device)
        if source is not None:
            add_video_input(net, source)
        blob = net.conv("data", "conv1", 3, 8, (1, 3, 3), strides=(1, 2, 2), pads=(0, 1, 1))
        shortcut = net.relu(net.spatial_bn(blob, "conv1_spatbn_relu", 8))
        blob = net.conv(shortcut, "comp_0_conv_1", 8, 8, (3, 1, 1), pads=(1, 0, 0))
        blob = net.spatial_bn(blob, "comp_0_spatbn_1", 8)
        blob = net.relu(net.sum([blob, shortcut], "comp_0_sum"))
        blob = net.pool("AveragePool", blob, "final_avg", (LENGTH, SIDE // 2, SIDE // 2), (1, 1, 1))
        head = build_head(net, config, FeatureMap(blob, 8))
        return SmallModel(
            net.net, net.init_net, net.params, net.computed_params, net.weights, head.prediction, head.loss, scope
        )

    return build


def small_training(rate: float = 0.05, **changes: Any) -> Training:
    """Settings under which the small network learns; one drop of the rate at iteration 7."""
    return Training(Schedule(rate, stepsize=7), **{"deterministic": True, **changes})


def small_batch(
    iteration: int, clips: int = 4, multi_label: bool = False, labels: int = LABELS
) -> dict[str, np.ndarray]:
    """The blobs of an iteration."""
    random = np.random.RandomState(100 + iteration)
    data = random.randn(clips, 3, LENGTH, SIDE, SIDE).astype(np.float32)
    label = random.rand(clips, labels) < 0.4 if multi_label else random.randint(0, labels, clips)
    return {"data": data, "label": label.astype(np.int32)}


def write_videos(path: Path, count: int, frames: int = 8, bad: tuple[int, ...] = ()) -> Path:
    """An LMDB of `count` small videos, each of a pattern and a label of its own; those in `bad` are no videos."""
    with DatabaseWriter(path) as writer:
        for number in range(count):
            content = (
                b"no video"
                if number in bad
                else moving_video(path.parent / f"{path.name}_{number}.avi", number, frames)
            )
            writer.write(Record(b"%05d" % number, content, (number % LABELS,), None, None))
    return path


def video_source(database: Path, batch_size: int, **arguments: Any) -> VideoSource:
    """A VideoInput of clips for the small network, with random crops, mirrors and starts."""
    given = {
        "batch_size": batch_size,
        "crop_size": SIDE,
        "scale_h": 24,
        "scale_w": 32,
        "length_rgb": LENGTH,
        "num_decode_threads": 2,
        "seed": 7,
        **arguments,
    }
    return VideoSource(str(database), given, reader_name="train_reader")


def moving_video(path: Path, seed: int, frames: int = 9) -> bytes:
    """A picture of coloured squares that moves to the left or right, or stays, by its seed."""
    random = np.random.RandomState(seed)
    picture = np.kron(random.randint(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for time in range(frames):
            frame = np.ascontiguousarray(np.roll(picture, (seed % 5 - 2) * time, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()
