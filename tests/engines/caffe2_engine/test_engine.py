from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2, needs_operators
from tests.goldens.recordings import video_path
from vmz.checkpoints.seeded import seeded_weights
from vmz.engines.engine import Engine
from vmz.engines.registry import open_engine
from vmz.errors import UsageError, VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.inputs import VideoSource
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.reader import EndOfData

CONFIG = ModelConfig("r2d", 10, num_labels=7, clip_length=4)


@pytest.mark.skipif(importlib.util.find_spec("caffe2") is not None, reason="this Python has Caffe2")
def test_without_caffe2_one_sentence_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"(make setup-caffe2|\.venv-caffe2/bin/python has it).*--engine=pytorch"):
        open_engine("caffe2")


def loaded(model: Model, **keywords: object) -> Engine:
    engine = open_engine("caffe2", "cpu")
    weights = seeded_weights([*model.params, *model.computed_params])
    engine.load(model.param_init_net, model.net, weights, **keywords)  # type: ignore[arg-type]
    return engine


@needs_caffe2
def test_feed_run_fetch_as_the_pytorch_engine() -> None:
    model = build(CONFIG)
    clips = np.random.RandomState(0).randn(2, *model.clip_shape).astype(np.float32)
    found = {}
    for name in ("caffe2", "pytorch"):
        with open_engine(name, "cpu") as engine:
            engine.load(model.param_init_net, model.net, seeded_weights([*model.params, *model.computed_params]))
            engine.feed("data", clips)
            engine.feed("label", np.zeros(2, np.int32))
            engine.run()
            found[name] = engine.fetch("softmax"), engine.fetch("gpu_0/conv1")
            assert "gpu_0/final_avg" in engine.blobs()
    for ours, theirs in zip(*found.values()):
        assert np.abs(ours - theirs).max() < 1e-5 * np.abs(ours).max()


@needs_caffe2
def test_two_engines_keep_to_themselves() -> None:
    model = build(CONFIG)
    with loaded(model) as one, loaded(model) as other:
        one.feed("conv1_w", np.zeros_like(one.fetch("conv1_w")))
        assert np.abs(one.fetch("conv1_w")).max() == 0 < np.abs(other.fetch("conv1_w")).max()


@needs_caffe2
def test_the_fills_follow_the_seed() -> None:
    model = build(CONFIG)
    filled = []
    for seed in (1, 1, 2):
        with open_engine("caffe2", "cpu") as engine:
            engine.load(model.param_init_net, model.net, seed=seed)
            filled.append(engine.fetch("conv1_w"))
    assert (filled[0] == filled[1]).all() and (filled[0] != filled[2]).any()
    assert filled[0].std() == pytest.approx(np.sqrt(2 / (64 * 4 * 7 * 7)), rel=0.05)  # MSRA over the fan-out


@needs_caffe2
def test_wrong_use_is_named() -> None:
    model = build(CONFIG)
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        open_engine("caffe2", "tpu")
    with loaded(model) as engine:
        with pytest.raises(UsageError, match="gpu_0/data has no value"):
            engine.run()
        with pytest.raises(UsageError, match="gpu_0/conv1 cannot be fed"):
            engine.feed("conv1", np.zeros(1))
        with pytest.raises(VmzError, match="conv1_w has shape"):
            engine.feed("conv1_w", np.zeros(1))
        with pytest.raises(UsageError, match="softmax has no value yet"):
            engine.fetch("softmax")


def database(path: Path, *contents: bytes) -> Path:
    with DatabaseWriter(path) as writer:
        for number, content in enumerate(contents):
            writer.write(Record(str(number).encode(), content, (number,), None, None))
    return path


def reading(path: Path, **arguments: object) -> Model:
    outputs = ("data", "label", "record_index")
    args = {"batch_size": 2, "crop_size": 112, "scale_h": 128, "scale_w": 171, "length_rgb": 4, "random_crop": 0}
    ours = {"random_mirror": 0, "decode_type": 1, "get_record_index": 1, "wrap_around": 0}
    return build(CONFIG, source=VideoSource(str(path), {**args, **ours, **arguments}, outputs))


@needs_operators
def test_one_pass_over_a_database_leaving_out_what_is_bad(tmp_path: Path) -> None:
    good = video_path("five_frames.mp4").read_bytes()
    path = database(tmp_path / "db", good, b"text", good, good)
    with loaded(reading(path, on_bad_video="skip")) as engine:
        records = []
        with pytest.raises(EndOfData):
            while True:
                engine.run()
                records.append(engine.fetch("record_index").tolist())
        assert records == [[0, 2], [3]]
        assert [bad.key for bad in engine.skipped] == ["1"] and "vmz_skipped_0" not in engine.blobs()


@needs_operators
def test_a_bad_record_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    path = database(tmp_path / "db", b"text")
    with loaded(reading(path)) as engine, pytest.raises(VmzError, match=r"record 0 of .*/db: not a video") as caught:
        engine.run()
    assert "\n" not in str(caught.value) and "enforce fail" not in str(caught.value)


@needs_operators
def test_wrong_arguments_of_the_reader_are_named(tmp_path: Path) -> None:
    path = database(tmp_path / "db", b"text")
    with pytest.raises(VmzError, match="crop_size"), loaded(reading(path, crop_size=0)) as engine:
        engine.run()
