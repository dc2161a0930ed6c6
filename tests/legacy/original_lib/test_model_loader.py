"""Weights from pickles, loaded into the workspace as the original's programs ask for it."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.legacy.original import cnn_model, device, workspace_of_its_own
from vmz.checkpoints.pickles import save_pickle
from vmz.errors import UsageError, VmzError

pytestmark = needs_caffe2


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


@pytest.fixture
def workspace() -> Iterator[Any]:
    with workspace_of_its_own() as found:
        yield found


def small_model(number: int = 0, prefix: str = "gpu", kernels: tuple[int, ...] = (3, 3, 3)) -> Any:
    """conv1, batch norm, and a classifier of two kinds, filled, in the current workspace."""
    from caffe2.python import workspace

    model = cnn_model("small")
    with device(number, prefix):
        model.ConvNd("data", "conv1", 3, 4, list(kernels), no_bias=1)
        model.SpatialBN("conv1", "bn", 4, is_test=1)
        model.ConvNd("bn", "last_out_L5", 4, 5, [1, 1, 1])
        model.FC("bn", "fc", 4, 5)
    workspace.RunNetOnce(model.param_init_net)
    return model


def weights(**changed: np.ndarray) -> dict[str, np.ndarray]:
    own = {
        "conv1_w": random(4, 3, 3, 3, 3),
        **{f"bn_{part}": random(4, seed=number) for number, part in enumerate(("s", "b", "rm", "riv"))},
        "last_out_L5_w": random(5, 4, 1, 1, 1),
        "last_out_L5_b": random(5),
        "fc_w": random(5, 4),
        "fc_b": random(5, seed=9),
    }
    return {**own, **changed}


def load(path: Path, blobs: dict[str, np.ndarray], model: Any, **given: Any) -> None:
    from utils.model_loader import LoadModelFromPickleFile

    save_pickle(path / "w.pkl", blobs)
    LoadModelFromPickleFile(model, str(path / "w.pkl"), **given)


@pytest.mark.parametrize(
    ("number", "prefix", "given"),
    [
        (0, "gpu", {}),
        (0, "gpu", {"use_gpu": False}),
        (2, "gpu", {"root_gpu_id": 2}),
        (0, "cpu", {"use_gpu": False}),
        (1, "cpu", {"root_gpu_id": 1}),
    ],
)
def test_copies_in_the_device_s_scope(tmp_path: Path, workspace: Any, number: int, prefix: str, given: Any) -> None:
    model, blobs = small_model(number, prefix), weights()
    load(tmp_path, blobs, model, **given)
    for name, array in blobs.items():
        np.testing.assert_array_equal(workspace.FetchBlob(f"{prefix}_{number}/{name}"), array)


def test_a_model_without_scope(tmp_path: Path, workspace: Any) -> None:
    model, blobs = cnn_model("small"), {"fc_w": random(2, 3), "fc_b": random(2)}
    model.FC("x", "fc", 3, 2)
    workspace.RunNetOnce(model.param_init_net)
    load(tmp_path, blobs, model)
    np.testing.assert_array_equal(workspace.FetchBlob("fc_w"), blobs["fc_w"])


@pytest.mark.parametrize("stored", [(4, 3, 3, 3), (4, 3, 1, 3, 3)])
def test_inflating(tmp_path: Path, workspace: Any, stored: tuple[int, ...]) -> None:
    model, still = small_model(), random(*stored)
    load(tmp_path, weights(conv1_w=still), model)
    found = workspace.FetchBlob("gpu_0/conv1_w")
    for frame in range(3):
        np.testing.assert_array_equal(found[:, :, frame], still.reshape(4, 3, 3, 3) / np.float32(3))
    load(tmp_path, weights(conv1_w=still), model, center_init=True)
    found = workspace.FetchBlob("gpu_0/conv1_w")
    np.testing.assert_array_equal(found[:, :, 1], still.reshape(4, 3, 3, 3))
    assert not found[:, :, [0, 2]].any()


def test_one_frame_is_inflating_too(tmp_path: Path, workspace: Any) -> None:
    model, still = small_model(kernels=(1, 3, 3)), random(4, 3, 3, 3)
    before = workspace.FetchBlob("gpu_0/conv1_w")
    load(tmp_path, weights(conv1_w=still), model, inflating=False)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/conv1_w"), before)
    load(tmp_path, weights(conv1_w=still), model)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/conv1_w")[:, :, 0], still)


def test_scopes_inside_the_device_s(tmp_path: Path, workspace: Any) -> None:
    from caffe2.python import core

    model = cnn_model("streams")
    with device():
        for stream in ("rgb", "flow"):
            with core.NameScope(stream):
                model.FC("x", "fc", 3, 2)
    workspace.RunNetOnce(model.param_init_net)
    blobs = {"fc_w": random(2, 3), "fc_b": random(2)}
    load(tmp_path, blobs, model)
    for stream in ("rgb", "flow"):
        np.testing.assert_array_equal(workspace.FetchBlob(f"gpu_0/{stream}/fc_w"), blobs["fc_w"])


def test_another_model_s_blobs_on_the_device(tmp_path: Path, workspace: Any) -> None:
    model, blobs = small_model(0), weights()
    other = small_model(1)
    load(tmp_path, blobs, model, root_gpu_id=1)
    assert other.params
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_1/fc_w"), blobs["fc_w"])
    assert not np.array_equal(workspace.FetchBlob("gpu_0/fc_w"), blobs["fc_w"])


def test_without_inflating(tmp_path: Path, workspace: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model = small_model()
    before = workspace.FetchBlob("gpu_0/conv1_w")
    load(tmp_path, weights(conv1_w=random(4, 3, 3, 3)), model, inflating=False)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/conv1_w"), before)
    assert "conv1_w found, but inflating is ignored" in caplog.text and "copying fc_w" in caplog.text
    assert {record.name for record in caplog.records} == {"model_loader"}


def test_collapsing(tmp_path: Path, workspace: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model = cnn_model("small")
    with device():
        model.Conv("data", "conv1", 3, 4, 3, no_bias=1)
        model.FC("conv1", "fc", 4, 5)
    workspace.RunNetOnce(model.param_init_net)
    blobs = {"conv1_w": random(4, 3, 1, 3, 3), "fc_w": random(5, 4), "fc_b": random(5)}
    before = workspace.FetchBlob("gpu_0/conv1_w")
    load(tmp_path, blobs, model, collapsing=False)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/conv1_w"), before)
    assert "conv1_w found, but collapsing is ignored" in caplog.text
    load(tmp_path, blobs, model)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/conv1_w"), blobs["conv1_w"][:, :, 0])


def test_a_classifier_becomes_a_convolution(tmp_path: Path, workspace: Any) -> None:
    model, flat = small_model(), random(5, 4, seed=3)
    load(tmp_path, weights(last_out_L5_w=flat), model)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/last_out_L5_w")[..., 0, 0, 0], flat)


def test_bgr2rgb(tmp_path: Path, workspace: Any) -> None:
    model, blobs = small_model(), weights()
    load(tmp_path, blobs, model, bgr2rgb=True)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/conv1_w"), blobs["conv1_w"][:, ::-1])


def test_a_pickle_of_python_2_and_one_with_scopes(tmp_path: Path, workspace: Any) -> None:
    from utils.model_loader import LoadModelFromPickleFile

    model, blobs = small_model(), weights()
    for protocol, content in ((2, {"blobs": blobs}), (0, {f"gpu_3/{name}": array for name, array in blobs.items()})):
        (tmp_path / "w.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
        workspace.RunNetOnce(model.param_init_net)
        LoadModelFromPickleFile(model, str(tmp_path / "w.pkl"))
        np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/conv1_w"), blobs["conv1_w"])


def test_a_new_classifier_stays_new(tmp_path: Path, workspace: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    model, blobs = small_model(), weights(last_out_L5_b=random(7))
    before = workspace.FetchBlob("gpu_0/last_out_L5_b"), workspace.FetchBlob("gpu_0/fc_w")
    del blobs["fc_w"]
    load(tmp_path, blobs, model)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/last_out_L5_b"), before[0])
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/fc_w"), before[1])
    assert "fc_w not found" in caplog.text
    assert "last_out_L5_b found, but it is (7,) there and (5,) here: it keeps its initial value" in caplog.text


@pytest.mark.parametrize(
    ("blobs", "given", "error", "says"),
    [
        ({"conv1_w": random(8, 3, 3, 3, 3)}, {}, VmzError, "another network: conv1_w is (8, 3, 3, 3, 3) in the file"),
        ({"bn_s": random(5)}, {}, VmzError, "another network: bn_s is (5,) in the file and (4,) in the network"),
        ({"conv1_w": random(4, 3, 3, 3)}, {"root_gpu_id": 1}, UsageError, "no blob of the model on device 1"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_does_not_fit(
    tmp_path: Path, workspace: Any, blobs: Any, given: Any, error: type[Exception], says: str
) -> None:
    model = small_model()
    before = workspace.FetchBlob("gpu_0/fc_w")
    with pytest.raises(error) as raised:
        load(tmp_path, weights(**blobs), model, **given)
    assert says in str(raised.value) and "\n" not in str(raised.value)
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/fc_w"), before)


def test_more_of_what_does_not_fit(tmp_path: Path, workspace: Any) -> None:
    from utils.model_loader import LoadModelFromPickleFile

    model = small_model()
    with pytest.raises(VmzError, match="has none of the model's 9 blobs"):
        load(tmp_path, {"other": random(3)}, model)
    with pytest.raises(UsageError, match=r"cannot read the checkpoint nowhere\.pkl"):
        LoadModelFromPickleFile(model, "nowhere.pkl")
    even = small_model(kernels=(4, 3, 3))
    with pytest.raises(UsageError, match="conv1_w has 4 frames, an even number without a centre"):
        load(tmp_path, weights(conv1_w=random(4, 3, 3, 3)), even, center_init=True)
    workspace.ResetWorkspace()
    with pytest.raises(UsageError, match="run the model's init net first"):
        load(tmp_path, weights(), model)


def test_parts() -> None:
    from caffe2.python import core
    from utils import model_loader

    assert model_loader.unscope_name("gpu_0/a/conv1_w") == model_loader.unscope_name("conv1_w") == "conv1_w"
    with core.NameScope("gpu_1"):
        assert model_loader.scoped_name("conv1_w") == "gpu_1/conv1_w"
    weight = random(4, 3, 1, 3, 3)
    np.testing.assert_array_equal(model_loader.FlipBGR2RGB(weight)[:, 0], weight[:, 2])
    np.testing.assert_array_equal(model_loader.CollapseBlob(weight, (4, 3, 3, 3), "x"), weight[:, :, 0])
    inflated = model_loader.InflateBlob(weight, (4, 3, 5, 3, 3), "x")
    np.testing.assert_array_equal(inflated, np.repeat(weight, 5, axis=2) / np.float32(5))
    centre = model_loader.InflateBlob(weight[:, :, 0], (4, 3, 5, 3, 3), "x", inflating_opt=0)
    np.testing.assert_array_equal(centre[:, :, 2], weight[:, :, 0])
    assert np.count_nonzero(centre) == np.count_nonzero(weight)
    for call, array, shape in (
        (model_loader.CollapseBlob, random(4, 3, 2, 3, 3), (4, 3, 3, 3)),
        (model_loader.CollapseBlob, random(4, 3, 3, 3), (4, 3, 3, 3)),
        (model_loader.InflateBlob, random(4, 3, 2, 3, 3), (4, 3, 5, 3, 3)),
        (model_loader.InflateBlob, random(4, 3, 3, 3), (4, 2, 5, 3, 3)),
    ):
        with pytest.raises(UsageError, match=r"cannot (collapse|inflate) conv1_w from \(4, 3"):
            call(array, shape, "conv1_w")


@pytest.mark.parametrize("prefix", ["gpu", "cpu"])
def test_broadcast(tmp_path: Path, workspace: Any, prefix: str) -> None:
    """Parameters and running statistics, to the other devices alone."""
    from utils.model_loader import BroacastParameters

    model = cnn_model("small")
    for number in (0, 1, 2):
        with device(number, prefix):
            model.FC("x", "fc", 3, 2)
            model.SpatialBN("fc", "bn", 2, is_test=1)
    workspace.RunNetOnce(model.param_init_net)
    workspace.FeedBlob(f"{prefix}_1/bn_rm", np.array([3, 4], np.float32))
    before = workspace.FetchBlob(f"{prefix}_2/fc_w")
    BroacastParameters(model, 1, [1, 0])
    np.testing.assert_array_equal(workspace.FetchBlob(f"{prefix}_0/bn_rm"), [3, 4])
    for name in ("fc_w", "bn_s"):
        root = workspace.FetchBlob(f"{prefix}_1/{name}")
        np.testing.assert_array_equal(workspace.FetchBlob(f"{prefix}_0/{name}"), root)
    np.testing.assert_array_equal(workspace.FetchBlob(f"{prefix}_2/fc_w"), before)
    with pytest.raises(UsageError, match="no parameter on device 7"):
        BroacastParameters(model, 7, [0])


def test_weights_go_to_the_device_of_the_model(workspace: Any) -> None:
    """Whatever use_gpu says: a program that asks for the GPU has its model there, or is run on the CPU."""
    from caffe2.proto import caffe2_pb2
    from caffe2.python import core
    from utils import model_loader

    model = cnn_model("small")
    for number, kind in ((0, caffe2_pb2.CPU), (1, caffe2_pb2.CUDA)):
        with core.NameScope(f"gpu_{number}"), core.DeviceScope(core.DeviceOption(kind, number)):
            model.FC("x", "fc", 3, 2)
    devices = model_loader._devices(model)
    found = {blob: (option.device_type, option.device_id) for blob, option in devices.items()}
    assert found == {
        f"gpu_{number}/fc_{part}": (number, number) for number in (0, 1) for part in ("w", "b")
    }  # CPU is 0, CUDA 1
