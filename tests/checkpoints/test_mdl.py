from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.engines.small_nets import clip, normalised
from vmz.checkpoints.matching import check, match
from vmz.checkpoints.mdl import META_NET_DEF, load_mdl, load_mdl_about, save_mdl
from vmz.checkpoints.minidb import records, write_minidb
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError, VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.inputs import VideoSource
from vmz.netdef.protos import BlobChunk, MetaNetDef


def small_model(**keywords: Any) -> Model:
    config = ModelConfig(
        model_name="r2plus1d", model_depth=10, channel_multiplier=0.1, num_labels=8, clip_length=4, crop_size=112
    )
    return build(config, **keywords)


MODEL = small_model()
WEIGHTS = seeded_weights([*MODEL.params, *MODEL.computed_params])
STATE = {
    **WEIGHTS,
    **{f"{blob[6:]}_momentum": np.full(shape, 0.5, np.float32) for blob, shape in MODEL.params},
    "optimizer_iteration": np.array([12345678901], np.int64),
    "vmz_position": np.array([64, 64], np.int64),
    "vmz_random_state": np.arange(256, dtype=np.uint8),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_mdl(
        tmp_path / "a.mdl", STATE, net=MODEL.net, inputs=("gpu_0/data", "gpu_0/label"), outputs=(MODEL.prediction,)
    )
    return tmp_path / "a.mdl"


def assert_same(found: dict[str, np.ndarray], blobs: dict[str, np.ndarray]) -> None:
    assert list(found) == list(blobs)
    for name, array in blobs.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].shape == array.shape


def meta_of(path: Path) -> Any:
    return MetaNetDef.FromString(BlobChunk.FromString(next(records(path))[1]).content)


def test_round_trip_with_all_the_state_of_a_training(path: Path) -> None:
    assert_same(load_mdl(path), STATE)
    assert load_mdl_about(path) == {}
    fitted, report = match(load_mdl(path), [*MODEL.params, *MODEL.computed_params])
    check(report, "a.mdl")
    assert len(fitted) == len(WEIGHTS) and not report.unused
    assert report.training_state == len(STATE) - len(WEIGHTS)


def test_what_an_export_says_of_itself(tmp_path: Path) -> None:
    about = {"labels": ["left", "rechts, größer"], "metrics": {"video@1": 0.5}}
    save_mdl(tmp_path / "a.mdl", {"w": np.ones(2, np.float32)}, about=about)
    assert load_mdl_about(tmp_path / "a.mdl") == about
    assert list(load_mdl(tmp_path / "a.mdl")) == ["w"]


def test_the_net_inside_predicts_and_no_more(tmp_path: Path) -> None:
    """A net with a reader, a loss and an accuracy: what is kept leads from the clips to the scores."""
    model = small_model(source=VideoSource("some_lmdb", {"batch_size": 2}))
    save_mdl(tmp_path / "a.mdl", STATE, model.net, inputs=("gpu_0/data",), outputs=(model.prediction,))
    nets = {entry.key: entry.value for entry in meta_of(tmp_path / "a.mdl").nets}
    predict = nets["PREDICT_NET_TYPE"]
    kinds = [op.type for op in predict.op]
    assert kinds[0] == "StopGradient" and kinds[-1] == "Softmax"
    assert not {"VideoInput", "SoftmaxWithLoss", "Accuracy"} & set(kinds)
    assert predict.external_input[0] == "gpu_0/data" and "gpu_0/label" not in predict.external_input
    assert {f"gpu_0/{name}" for name in STATE} == set(predict.external_input[1:])
    assert list(predict.external_output) == ["gpu_0/softmax"]
    assert list(nets["GLOBAL_INIT_NET_TYPE"].op[0].output) == [f"gpu_0/{name}" for name in STATE]


def test_a_net_whose_blobs_are_not_all_given(tmp_path: Path) -> None:
    blobs = {name: array for name, array in WEIGHTS.items() if name != "conv1_middle_w"}
    with pytest.raises(ValueError, match="gpu_0/conv1_middle_w"):
        save_mdl(tmp_path / "a.mdl", blobs, MODEL.net, inputs=("gpu_0/data",), outputs=(MODEL.prediction,))
    assert not list(tmp_path.iterdir())


def test_of_several_devices_the_first_counts(tmp_path: Path) -> None:
    blobs = {"gpu_0/w": np.zeros(3, np.float32), "gpu_1/w": np.ones(3, np.float32), "gpu_1/v": np.ones(1, np.float32)}
    save_mdl(tmp_path / "a.mdl", blobs)
    found = load_mdl(tmp_path / "a.mdl")
    assert list(found) == ["w", "v"] and not found["w"].any()


def test_large_tensors_come_in_pieces_in_any_order(tmp_path: Path) -> None:
    big = np.arange(2_500_000, dtype=np.float32).reshape(5, -1)
    save_mdl(tmp_path / "a.mdl", {"big": big, "small": big[:1, :2]}, scope="")
    items = list(records(tmp_path / "a.mdl"))
    assert [key for key, _ in items] == [META_NET_DEF, "big#%0", "big#%1", "big#%2", "small#%0"]
    write_minidb(tmp_path / "b.mdl", [items[0], *items[:0:-1]])
    for name in ("a.mdl", "b.mdl"):
        assert_same(load_mdl(tmp_path / name), {"big": big, "small": big[:1, :2]})


def test_cut_short_anywhere_it_is_refused(path: Path, tmp_path: Path) -> None:
    content, other, ends = path.read_bytes(), tmp_path / "b.mdl", [0]
    while ends[-1] < len(content):
        lengths = struct.unpack_from("<ii", content, ends[-1])
        ends.append(ends[-1] + 8 + sum(lengths))
    assert ends.pop() == len(content) and len(ends) > 100
    for end in ends[1:]:  # between two records
        other.write_bytes(content[:end])
        with pytest.raises(VmzError, match=r"b\.mdl is truncated: it lacks \d+ of the \d+ blobs .* first [a-z]"):
            load_mdl(other)
    for end in [*range(1, len(content), 9973), len(content) - 1]:
        other.write_bytes(content[:end])
        with pytest.raises(VmzError):
            load_mdl(other)


def test_a_piece_that_is_missing(tmp_path: Path) -> None:
    save_mdl(tmp_path / "a.mdl", {"big": np.zeros(2_500_000, np.float32), "w": np.zeros(2, np.float32)})
    items = list(records(tmp_path / "a.mdl"))
    write_minidb(tmp_path / "b.mdl", [item for item in items if item[0] != "gpu_0/big#%1"])
    with pytest.raises(VmzError, match="lacks 1 of the 2 blobs that it should contain, first gpu_0/big"):
        load_mdl(tmp_path / "b.mdl")


def test_other_minidbs_and_damaged_records(path: Path, tmp_path: Path) -> None:
    items, other = list(records(path)), tmp_path / "b.mdl"
    text = BlobChunk(name="s", type="std::string", content=b"abc").SerializeToString()
    for changed, says in (
        (items[1:], "is a minidb, but not a checkpoint: the first record"),
        ([("0", b"\xff\xff\xff")], "its first record, '0', cannot be read"),
        ([*items, ("gpu_0/x#%0", b"\xff\xff\xff")], "record gpu_0/x#%0 is damaged"),
        ([*items, ("gpu_0/s", text)], "record gpu_0/s .* it is a std::string"),
    ):
        write_minidb(other, changed)
        with pytest.raises(VmzError, match=rf"b\.mdl.*{says}") as caught:
            load_mdl(other)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="No such file"):
        load_mdl(tmp_path / "none.mdl")


def test_neither_torch_nor_caffe2_is_needed() -> None:
    code = "import sys, vmz.checkpoints.loading; sys.exit('torch' in sys.modules or 'caffe2.python' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def predicted(path: Path, blob: str, data: np.ndarray, output: str) -> np.ndarray:
    """What Caffe2's own predictor_exporter makes of a file."""
    from caffe2.python import workspace
    from caffe2.python.predictor import predictor_exporter

    workspace.ResetWorkspace()
    net = predictor_exporter.prepare_prediction_net(str(path), "minidb")
    workspace.FeedBlob(blob, data)
    workspace.RunNet(net)
    return np.array(workspace.FetchBlob(output))


@needs_caffe2
def test_caffe2s_predictor_runs_what_we_write(path: Path) -> None:
    from caffe2.python import workspace

    from vmz.engines.caffe2_engine.engine import Caffe2Engine

    data = np.random.RandomState(0).randn(2, *MODEL.clip_shape).astype(np.float32)
    with Caffe2Engine() as engine:
        engine.load(MODEL.param_init_net, MODEL.net, WEIGHTS)
        engine.feed("data", data)
        engine.feed("label", np.zeros(2, np.int32))
        engine.run()
        logits, softmax = engine.fetch("last_out_L8"), engine.fetch("softmax")
    found = predicted(path, "gpu_0/data", data, "gpu_0/softmax")
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/last_out_L8"), logits)
    np.testing.assert_allclose(found, softmax, rtol=1e-6)  # Softmax rounds other than SoftmaxWithLoss
    for name, array in STATE.items():
        blob = workspace.FetchBlob(f"gpu_0/{name}")
        np.testing.assert_array_equal(blob, array)
        assert blob.dtype == array.dtype


@needs_caffe2
def test_caffe2_loads_all_types_and_pieces(tmp_path: Path) -> None:
    from caffe2.python import workspace
    from caffe2.python.predictor import predictor_exporter

    from tests.checkpoints.test_tensors import ARRAYS

    arrays = {**ARRAYS, "big": np.arange(2_500_000, dtype=np.float32).reshape(5, -1)}
    save_mdl(tmp_path / "a.mdl", arrays, scope="gpu_0", inputs={"gpu_0/data": (1, 3, 8)})
    workspace.ResetWorkspace()
    predictor_exporter.prepare_prediction_net(str(tmp_path / "a.mdl"), "minidb")
    assert workspace.FetchBlob("gpu_0/data").shape == (1, 3, 8)
    for name, array in arrays.items():
        found = workspace.FetchBlob(f"gpu_0/{name}")
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype and found.shape == array.shape


@needs_caffe2
def test_we_read_what_caffe2s_predictor_exporter_writes(tmp_path: Path) -> None:
    """The original's way to save: the training net, its parameters, momenta and statistics, from the workspace."""
    from caffe2.python import core, workspace
    from caffe2.python.predictor import predictor_exporter

    from tests.checkpoints.test_tensors import ARRAYS

    model = small_model(is_test=False)
    blobs = {**STATE, **ARRAYS, "big": np.arange(2_500_000, dtype=np.float32)}
    workspace.ResetWorkspace()
    for name, array in blobs.items():
        workspace.FeedBlob(f"gpu_0/{name}", array)
    meta = predictor_exporter.PredictorExportMeta(
        predict_net=core.Net(model.net).Proto(),
        parameters=[f"gpu_0/{name}" for name in blobs],
        inputs=["gpu_0/data"],
        outputs=["gpu_0/softmax"],
        shapes={"gpu_0/data": (1, *model.clip_shape), "gpu_0/softmax": (1, 8)},
    )
    for number, settings in enumerate(({}, {"chunk_size": 1000})):
        path = tmp_path / f"{number}.mdl"
        predictor_exporter.save_to_db("minidb", str(path), meta, **settings)
        assert_same(load_mdl(path), blobs)
        assert load_mdl_about(path) == {}
    content = (tmp_path / "0.mdl").read_bytes()
    (tmp_path / "b.mdl").write_bytes(content[: content.rindex(b"gpu_0/big#%") - 8])
    with pytest.raises(VmzError, match="truncated"):
        load_mdl(tmp_path / "b.mdl")


@needs_caffe2
def test_a_net_with_in_place_ops_keeps_its_meaning(tmp_path: Path) -> None:
    from caffe2.python import workspace

    init, net = normalised()
    workspace.ResetWorkspace()
    workspace.C.run_net_once(init.SerializeToString())
    weights = {blob[2:]: workspace.FetchBlob(blob) for op in init.op for blob in op.output}
    workspace.FeedBlob("s/data", clip())
    workspace.FeedBlob("s/label", np.zeros(2, np.int32))
    workspace.C.run_net_once(net.SerializeToString())
    expected = workspace.FetchBlob("s/softmax")
    save_mdl(tmp_path / "a.mdl", weights, net, scope="s", inputs=["s/data"], outputs=["s/softmax"])
    np.testing.assert_allclose(predicted(tmp_path / "a.mdl", "s/data", clip(), "s/softmax"), expected, rtol=1e-6)
