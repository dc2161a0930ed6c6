"""Training nets that read: who reads what, and going on where another run stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_operators
from tests.goldens.recordings import video_path
from vmz.engines.registry import open_trainer
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Build, Trainer, Training
from vmz.errors import VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.inputs import VideoSource
from vmz.netdef.training_state import ITERATION, POSITION
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

VIDEOS = ("five_frames.mp4", "portrait.mp4", "odd_size.avi", "five_frames.mp4", "portrait.mp4")
READER = {"batch_size": 2, "crop_size": 112, "short_edge": 128, "jitter_scales": [128, 160], "video_res_type": 1}
OURS = {"length_rgb": 4, "num_decode_threads": 1, "get_record_index": 1, "seed": 3}


def database(path: Path, *contents: bytes) -> Path:
    with DatabaseWriter(path) as writer:
        for number, content in enumerate(contents):
            writer.write(Record(str(number).encode(), content, (number,), None, None))
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    contents = (video_path(name).read_bytes() for name in VIDEOS)
    return database(tmp_path_factory.mktemp("readers") / "db", *contents)


def reading(path: Path, **arguments: Any) -> Build:
    source = VideoSource(str(path), {**READER, **OURS, **arguments}, ("data", "label", "record_index"))

    def build_for(scope: str, device: Any, loss_scale: float) -> Model:
        config = ModelConfig("r2d", 10, num_labels=9, clip_length=4, channel_multiplier=0.1, loss_scale=loss_scale)
        return build(config, is_test=False, net_name="reading", scope=scope, device=device, source=source)

    return build_for


def opened(path: Path, devices: int = 1, run_seed: int = 0, **arguments: Any) -> Trainer:
    trainer = open_trainer("caffe2", ["cpu"] * devices)
    trainer.load(reading(path, **arguments), Training(Schedule(0.001, stepsize=100)), seed=run_seed)
    return trainer


def records(trainer: Trainer, devices: int = 1) -> list[list[int]]:
    """A step; what each device read for it."""
    trainer.step()
    return [trainer.fetch(f"cpu_{device}/record_index").tolist() for device in range(devices)]


@needs_operators
def test_devices_share_each_batch_of_all(videos: Path) -> None:
    with opened(videos, devices=2) as trainer:
        assert [records(trainer, 2) for _ in range(2)] == [[[0, 1], [2, 3]], [[4, 0], [1, 2]]]
        assert trainer.state()[POSITION].tolist() == [4, 4]
    with opened(videos) as trainer:
        assert trainer.state()[POSITION].tolist() == [0]
        assert [records(trainer) for _ in range(3)] == [[[0, 1]], [[2, 3]], [[4, 0]]]
        assert trainer.state()[POSITION].tolist() == [6]


@needs_operators
@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_goes_on_with_the_videos_that_come_next(videos: Path, devices: int) -> None:
    with opened(videos, devices, shuffle=1) as trainer:
        steps = [trainer.step() for _ in range(2)]
        assert min(steps[0].seconds.values()) > 0
        losses = [step.loss for step in steps]
        halfway = trainer.state()
        losses += [trainer.step().loss for _ in range(2)]
        end = trainer.state()
    with opened(videos, devices, run_seed=9, shuffle=1) as other:
        other.step()
        other.set_state(halfway)
        assert (other.state()[POSITION] == halfway[POSITION]).all()
        assert [other.step().loss for _ in range(2)] == losses[2:]
        again = other.state()
    assert all((again[name] == end[name]).all() for name in end)


@needs_operators
def test_another_number_of_devices_goes_on_with_the_videos_that_come_next(videos: Path) -> None:
    with opened(videos, devices=2, shuffle=1) as two, opened(videos, batch_size=4, shuffle=1) as one:
        read = [records(trainer, devices) for trainer, devices in ((two, 2), (one, 1))]
        assert [*read[0][0], *read[0][1]] == read[1][0]
        states = two.state(), one.state()
        one.set_state(states[0])
        two.set_state(states[1])
        assert two.state()[POSITION].tolist() == [2, 2] and one.state()[POSITION].tolist() == [4]
        read = [records(trainer, devices) for trainer, devices in ((two, 2), (one, 1))]
        assert [*read[0][0], *read[0][1]] == read[1][0]


@needs_operators
def test_devices_share_though_the_reader_has_no_seed(videos: Path) -> None:
    with opened(videos, devices=2, seed=0) as one, opened(videos, devices=2, seed=0) as other:
        assert [records(trainer, 2) for trainer in (one, other)] == [[[0, 1], [2, 3]]] * 2


@needs_operators
def test_bad_videos_are_left_out_or_stop_the_run(tmp_path: Path) -> None:
    good = video_path("five_frames.mp4").read_bytes()
    path = database(tmp_path / "db", good, b"text", good, good)
    with opened(path, on_bad_video="skip") as trainer:
        assert records(trainer) == [[0, 2]]
        assert [bad.key for bad in trainer.skipped] == ["1"]
        state = trainer.state()
        assert state[POSITION].tolist() == [3]
    with opened(path) as trainer:
        with pytest.raises(VmzError, match=r"record 1 of .*/db: not a video"):
            trainer.step()
        assert trainer.state()[ITERATION].tolist() == [0]  # nothing was computed yet
        trainer.set_state({**state, POSITION: np.array([2])})
        assert records(trainer) == [[2, 3]]


@needs_operators
def test_a_reader_that_fails_tears_no_positions(tmp_path: Path) -> None:
    """The first device's reader has given its batch when the second's meets a bad video."""
    good = video_path("five_frames.mp4").read_bytes()
    path = database(tmp_path / "db", *[good] * 7, b"text", good)
    with opened(path, devices=2) as trainer:
        assert records(trainer, 2) == [[0, 1], [2, 3]]
        for _ in range(2):  # and again, by the same record: nobody has gone on
            with pytest.raises(VmzError, match=r"record 7 of .*/db: not a video"):
                trainer.step()
            state = trainer.state()
            assert state[POSITION].tolist() == [2, 2] and state[ITERATION].tolist() == [1]
        trainer.set_state({**state, POSITION: np.array([4, 4])})
        assert records(trainer, 2) == [[8, 0], [1, 2]]
