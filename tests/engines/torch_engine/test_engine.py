from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch.fx import GraphModule

from tests.engines.small_nets import clip, net, normalised, op
from tests.goldens.recordings import video_path
from tests.support.collector import without_collector
from vmz.engines.torch_engine.devices import device_name
from vmz.engines.torch_engine.engine import TorchEngine
from vmz.errors import UsageError, VmzError
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.reader import EndOfData


@pytest.fixture(params=[True, False], ids=["optimized", "plain"])
def engine(request: pytest.FixtureRequest) -> Iterator[TorchEngine]:
    with TorchEngine("cpu", optimize=request.param) as opened:
        yield opened


def test_feed_run_fetch(engine: TorchEngine) -> None:
    engine.load(*normalised(), seed=1)
    engine.feed("data", clip())
    engine.feed("s/label", np.array([1, 2], np.int32))
    engine.run()
    scores = engine.fetch("softmax")
    assert scores.shape == (2, 5) and scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(engine.fetch("loss"), -np.log(scores[[0, 1], [1, 2]]).mean(), rtol=1e-6)
    assert engine.fetch("accuracy") == (scores.argmax(1) == [1, 2]).mean()
    assert engine.fetch("bn").min() >= 0 > engine.fetch("bn@2").min()
    np.testing.assert_array_equal(engine.fetch("data"), clip())
    np.testing.assert_array_equal(engine.fetch("label"), [1, 2])
    assert engine.fetch("a_w").shape == (4, 3, 1, 3, 3)
    np.testing.assert_allclose(engine.fetch("softmax"), scores, atol=1e-7)
    assert engine.blobs()[:2] == ["s/a_w", "s/bn_s"] and "s/softmax" in engine.blobs()

    engine.feed("data", clip(1))
    engine.run()
    assert np.abs(engine.fetch("softmax") - scores).max() > 1e-3


def test_what_is_fetched_belongs_to_the_caller(engine: TorchEngine) -> None:
    engine.load(*normalised(), seed=1, keep=["softmax", "sum"])
    engine.feed("data", clip())
    engine.run()
    for blob in ("softmax", "sum", "fc_w", "data"):
        before = engine.fetch(blob)
        engine.fetch(blob)[:] = 7
        np.testing.assert_array_equal(engine.fetch(blob), before)


def test_what_no_longer_runs_is_freed_at_once(engine: TorchEngine) -> None:
    """Not when Python's collector comes by: a net and its weights were held twice, and once more after each change."""
    with without_collector():
        before = _modules_with_weights()
        engine.load(*normalised(), seed=1, keep=["softmax"])
        engine.feed("data", clip())
        engine.run()
        assert 1 <= _modules_with_weights() - before <= 2  # the net as it is, and what runs
        engine.feed("fc_w", engine.fetch("fc_w"))
        engine.run()
        engine.fetch("sum")
        with pytest.raises(VmzError, match="blob s/label has no value"):
            engine.fetch("loss")
        engine.run()
        assert 1 <= _modules_with_weights() - before <= 2
        engine.close()
        assert _modules_with_weights() == before


def _modules_with_weights() -> int:
    modules = [found for found in gc.get_objects() if issubclass(type(found), GraphModule)]
    return sum(bool(module.state_dict()) for module in modules)


def test_weights_by_either_name(engine: TorchEngine) -> None:
    weights: dict[str, np.ndarray] = {"s/fc_w": np.zeros((5, 4), np.float32), "fc_b": np.arange(5, dtype=np.float64)}
    engine.load(*normalised(), weights)
    engine.feed("data", clip())
    engine.run()
    expected = np.exp(np.arange(5)) / np.exp(np.arange(5)).sum()
    np.testing.assert_allclose(engine.fetch("softmax"), [expected] * 2, rtol=1e-5)
    engine.feed("fc_b", np.zeros(5, np.float32))  # a parameter fed later counts too
    engine.run()
    np.testing.assert_allclose(engine.fetch("softmax"), 0.2, rtol=1e-6)
    engine.feed("bn_b", np.full(4, 2.5, np.float32))  # and one that is folded away
    engine.run()
    assert abs(engine.fetch("bn@2") - 2.0).mean() > 0 and engine.fetch("bn_b")[0] == 2.5


def test_training_nets_hold_every_blob_of_the_one_run(engine: TorchEngine) -> None:
    engine.load(*normalised(is_test=0), seed=1)
    engine.feed("data", clip())
    engine.feed("label", np.array([1, 2], np.int32))
    engine.run()
    mean = engine.fetch("bn_rm")
    np.testing.assert_allclose(mean, 0.75 * 0.25 + 0.25 * engine.fetch("a").mean((0, 2, 3, 4)), rtol=1e-5)
    for blob in engine.blobs():
        engine.fetch(blob)
    np.testing.assert_array_equal(engine.fetch("bn_rm"), mean)
    engine.run()
    assert np.abs(engine.fetch("bn_rm") - mean).max() > 1e-3


def test_wrong_requests(engine: TorchEngine) -> None:
    engine.load(*normalised())
    with pytest.raises(UsageError, match="blob s/softmax has no value yet; call run before fetch"):
        engine.fetch("softmax")
    with pytest.raises(UsageError, match=r"blob s/a cannot be fed: operator Conv \(number 1 of the net, output s/a\)"):
        engine.feed("a", clip())
    with pytest.raises(VmzError, match="no blob dta in the net"):
        engine.feed("dta", clip())
    with pytest.raises(VmzError, match=r"blob s/fc_b has shape \(5,\) in the net, not \(4,\)"):
        engine.feed("fc_b", np.zeros(4))
    engine.run()
    with pytest.raises(UsageError, match="blob s/data has no value: no operator computes it; feed it before run"):
        engine.fetch("softmax")
    engine.feed("data", clip())
    engine.run()
    with pytest.raises(UsageError, match="blob s/label has no value"):
        engine.fetch("loss")
    assert engine.fetch("softmax").shape == (2, 5)  # a failed fetch leaves nothing behind
    engine.run()


def test_wrong_weights(engine: TorchEngine) -> None:
    with pytest.raises(VmzError, match="no blob conv9_w"):
        engine.load(*normalised(), {"conv9_w": np.zeros(3)})
    with pytest.raises(VmzError, match=r"blob s/fc_w has shape \(5, 4\) in the net, not \(9, 4\)"):
        engine.load(*normalised(), {"fc_w": np.zeros((9, 4))})


def test_an_operator_that_fails_is_named(engine: TorchEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.load(*normalised(), keep=["softmax"])
    engine.feed("data", clip()[:, :2])
    with pytest.raises(
        VmzError, match=r"operator Conv \(number 1 of the net, output s/a\) failed .*\(2, 2, 2, 8, 8\).*channels"
    ):
        engine.run()
    engine.feed("data", clip())
    engine.run()
    engine.feed("data", np.zeros((2, 3, 4, 8, 8), np.float32))
    with pytest.raises(VmzError, match=r"operator FC \(number 7 of the net, output s/fc\) failed"):
        engine.run()
    assert capsys.readouterr().err == ""


def test_unknown_operators_are_refused_when_loading(engine: TorchEngine) -> None:
    with pytest.raises(VmzError, match="operator LSTM"):
        engine.load(net(), net(op("LSTM", "x", "y")))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "lmdb"
    with DatabaseWriter(path) as writer:
        videos = [video_path("portrait.mp4").read_bytes(), b"no video", video_path("odd_size.avi").read_bytes()]
        for number, video in enumerate(videos):
            writer.write(Record(str(number).encode(), video, (number,), None, 10 + number))
    return path


def reading(database: Path, **arguments: object) -> tuple[object, object]:
    settings: dict[str, object] = {"batch_size": 1, "length_rgb": 2, "crop_size": 8, "scale_h": 12, "scale_w": 16}
    settings.update(decode_type=1, random_crop=0, random_mirror=0, wrap_around=0, on_bad_video="skip")
    settings.update({"get_video_id": 1, "get_record_index": 1, **arguments})
    init, main = normalised()
    reader = op("VideoInput", "db", "s/data s/label s/video_id s/record_index", **settings)
    return (
        net(op("CreateDB", "", "db", db=str(database), db_type="lmdb"), *init.op),
        net(reader, *main.op),
    )


def test_a_net_with_a_reader(engine: TorchEngine, database: Path) -> None:
    engine.load(*reading(database), seed=1)
    seen, scores = [], []
    with pytest.raises(EndOfData):
        while True:
            engine.run()
            seen.append(
                (
                    engine.fetch("label").tolist(),
                    engine.fetch("video_id").tolist(),
                    engine.fetch("record_index").tolist(),
                )
            )
            scores.append(engine.fetch("softmax"))
            assert engine.fetch("data").shape == (1, 3, 2, 8, 8)
    assert seen == [([0], [10], [0]), ([2], [12], [2])]
    assert [bad.key for bad in engine.skipped] == ["1"]
    assert np.abs(scores[0] - scores[1]).max() > 0


def test_wrong_readers(engine: TorchEngine, database: Path) -> None:
    init, main = reading(database)
    with pytest.raises(VmzError, match=r"operator VideoInput .* reads db, which no CreateDB"):
        engine.load(normalised()[0], main)
    with pytest.raises(VmzError, match=r"has 4 outputs, but its arguments ask for data, label, record_index"):
        engine.load(*reading(database, get_video_id=0))
    with pytest.raises(UsageError, match="frobnicate"):
        engine.load(*reading(database, frobnicate=1))
    with pytest.raises(VmzError, match="nowhere"):
        engine.load(*reading(database.parent / "nowhere"))
    init.op[0].arg[1].s = b"minidb"  # type: ignore[attr-defined]
    with pytest.raises(VmzError, match="argument db_type='minidb' is not supported"):
        engine.load(init, main)


@pytest.mark.skipif(device_name("auto") == "cpu", reason="no GPU")
def test_cuda_gives_the_same() -> None:
    scores = []
    for device in ("cpu", "cuda"):
        with TorchEngine(device) as engine:
            engine.load(*normalised(), seed=1)
            engine.feed("data", clip())
            engine.run()
            scores.append(engine.fetch("softmax"))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
