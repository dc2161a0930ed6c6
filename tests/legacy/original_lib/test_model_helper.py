"""utils.model_helper and utils.reader_utils: costs, weights, readers and predictor exports, in real Caffe2."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2, needs_operators
from tests.goldens.recordings import golden_path
from tests.legacy.original import SMALL, cnn_model, device, parameters, workspace_of_its_own
from tests.support.optionals import present
from tests.support.small_videos import SMALL_READER, video
from vmz.checkpoints.mdl import save_mdl
from vmz.errors import UsageError, VmzError
from vmz.models.registry import MODEL_NAMES
from vmz.netdef.analysis import infer_shapes, param_shapes
from vmz.netdef.builder import get_arguments
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.reader import ClipReader

pytestmark = needs_caffe2


@pytest.fixture
def workspace() -> Iterator[Any]:
    with workspace_of_its_own() as found:
        yield found


def golden_flops() -> list[Any]:
    entries = [entry for entry in json.loads(golden_path("nets/index.json").read_text()) if "flops" in entry]
    of_videos = [entry for entry in entries if entry["flops"]["build_args"]["model_name"] in MODEL_NAMES]
    return [pytest.param(entry["flops"], id=f"{entry['id']}") for entry in of_videos]


def build(build_args: dict[str, Any], prefix: str = "gpu", devices: int = 1, name: str = "video_model_test") -> Any:
    from models import model_builder

    model = cnn_model(name)
    for number in range(devices):
        with device(number, prefix):
            model_builder.build_model(model, **build_args, is_test=1)
    return model


def feed_clip(workspace: Any, build_args: dict[str, Any], scope: str = "gpu_0/") -> None:
    side, frames = build_args["crop_size"], build_args["clip_length"]
    workspace.FeedBlob(f"{scope}data", np.zeros((1, build_args["num_channels"], frames, side, side), np.float32))
    several = build_args.get("multi_label")
    label = np.zeros((1, build_args["num_labels"]) if several else 1, np.int32)
    workspace.FeedBlob(f"{scope}label", label)


@pytest.mark.parametrize("flops", golden_flops())
def test_the_original_s_flops_from_the_shapes_of_a_run(workspace: Any, flops: dict[str, Any]) -> None:
    """To the last digit. The blobs hold zeros of the shapes that a run gives: only these count."""
    from utils.model_helper import GetFlopsAndParams

    model = build(flops["build_args"])
    feed_clip(workspace, flops["build_args"])
    inputs = {blob: workspace.FetchBlob(blob).shape for blob in ("gpu_0/data", "gpu_0/label")}
    shapes = infer_shapes(model.net.Proto(), {**param_shapes(model.param_init_net.Proto()), **inputs})
    for op in model.net.Proto().op:
        if op.type in ("Conv", "FC"):
            for blob in (op.input[1], op.output[0]):
                workspace.FeedBlob(blob, np.zeros(shapes[blob], np.uint8))
    assert list(GetFlopsAndParams(model)) == flops["gflops_params_inters"]


def test_flops_after_a_run_on_two_devices(workspace: Any) -> None:
    """Those of one device's part, wherever it is, and of a model without devices."""
    from utils.model_helper import GetFlopsAndParams, GetModelWeights

    arguments = {"model_name": "r2d", "model_depth": 10, "batch_size": 1, "loss_scale": 1.0, **SMALL}
    found = []
    for prefix in ("gpu", "cpu"):
        workspace.ResetWorkspace()
        model = build(arguments, prefix, devices=2, name=f"two_{prefix}")
        workspace.RunNetOnce(model.param_init_net)
        with pytest.raises(UsageError, match="has no value; run the net once before GetFlopsAndParams"):
            GetFlopsAndParams(model)
        for number in (0, 1):
            feed_clip(workspace, arguments, f"{prefix}_{number}/")
        workspace.RunNetOnce(model.net)
        found += [GetFlopsAndParams(model), GetFlopsAndParams(model, 1)]
        with pytest.raises(UsageError, match=f"no blob of the model on device 2 .*{prefix}_0, {prefix}_1"):
            GetFlopsAndParams(model, 2)
        weights = GetModelWeights(model, gpu_id=1)
        assert {name.partition("/")[0] for name in weights} == {f"{prefix}_1"}
        name = f"{prefix}_1/last_out_L7_b"
        np.testing.assert_array_equal(weights[name], workspace.FetchBlob(name))
        fills = {blob for blob, shape in parameters(model)["params"] if len(shape) > 1 or "last_out" in blob}
        assert set(weights) == {blob for blob in fills if blob.startswith(f"{prefix}_1")}
    assert len(set(found)) == 1 and found[0][1] == pytest.approx(4.90, abs=0.1)
    plain = cnn_model("plain")
    plain.FC("x", "fc", 3, 2)
    workspace.FeedBlob("x", np.zeros((1, 3), np.float32))
    workspace.RunNetOnce(plain.param_init_net)
    workspace.RunNetOnce(plain.net)
    assert GetFlopsAndParams(plain) == (6e-9, 6e-6, 0)


READER = {**SMALL_READER, "batch_size": 2, "decode_type": 1}


@needs_operators
def test_a_reader_shared_by_two_devices(tmp_path: Path, workspace: Any) -> None:
    """Each clip is the one that our reader gives of its video, and no video comes twice."""
    from utils import model_helper, reader_utils

    path, arguments = tmp_path / "db", {**READER, "get_video_id": 1}
    with DatabaseWriter(path) as writer:
        for number in range(12):  # each of the two reads two batches at most before the other reads its first
            content = video(tmp_path / f"{number}.mp4", number)
            writer.write(Record(b"%02d" % number, content, (number % 5,), video_id=number))
    model = cnn_model("reading")
    reader, number = reader_utils.create_data_reader(model, name="test_reader", input_data=str(path))
    assert number == 12 and str(reader) == "reading_init/CreateDB"
    for place in (0, 1):
        with device(place, "cpu"):
            model_helper.AddVideoInput(model, reader, input_type=0, **arguments)
    kinds = [op.type for op in model.net.Proto().op]
    assert kinds == ["VideoInput", "StopGradient"] * 2 and model.net.Proto().op[0].name == "data"
    workspace.RunNetOnce(model.param_init_net)
    workspace.RunNetOnce(model.net)
    found = {name: [workspace.FetchBlob(f"cpu_{place}/{name}") for place in (0, 1)] for name in ("data", "video_id")}
    ids = [number for some in found["video_id"] for number in some]
    assert len(set(ids)) == 4
    with ClipReader(str(path), VideoInputArgs.from_mapping({**arguments, "batch_size": 12})) as expected:
        batch = expected.next_batch()
    assert list(present(batch.video_id)) == list(range(12))
    for number, clip in zip(ids, np.concatenate(found["data"])):
        np.testing.assert_array_equal(clip, present(batch.data)[number])


@needs_operators
def test_the_arguments_are_written_as_they_are_given() -> None:
    from caffe2.python import core
    from utils import model_helper

    model = cnn_model("reading")
    model_helper.AddVideoInput(
        model, core.BlobReference("db"), jitter_scales=[np.int64(40), 50], random_crop=True, get_rgb=False,
        get_optical_flow=True, input_type=1, length_of=np.int32(2), video_res_type=1, crop_size=32, batch_size=1,
        decode_type=2, get_start_frame=1, get_video_id=0,
    )  # fmt: skip
    op = model.net.Proto().op[0]
    assert list(op.output) == ["data", "label", "start_frame"]
    assert get_arguments(op) == {
        "jitter_scales": [40, 50], "random_crop": 1, "get_rgb": 0, "get_optical_flow": 1, "input_type": 1,
        "length_of": 2, "video_res_type": 1, "crop_size": 32, "batch_size": 1, "decode_type": 2, "get_start_frame": 1,
        "get_video_id": 0,
    }  # fmt: skip


@needs_operators
@pytest.mark.parametrize(
    ("given", "outputs"),
    [
        ({"input_type": 2, "get_rgb": False, "get_logmels": True, "logmel_frames": 50}, ["data", "label"]),
        (
            {"input_type": 3, "get_rgb": True, "get_logmels": True, "length_rgb": 4, "scale_h": 40, "scale_w": 50},
            ["data", "logmels", "label"],
        ),
    ],
    ids=str,
)
def test_the_reader_of_sound(given: dict[str, int], outputs: list[str]) -> None:
    from caffe2.python import core
    from utils import model_helper

    model = cnn_model("reading")
    model_helper.AddVideoInput(model, core.BlobReference("db"), batch_size=1, crop_size=32, decode_type=1, **given)
    reader, stop = model.net.Proto().op
    assert (reader.type, list(reader.output)) == ("AVInput", outputs)
    assert get_arguments(reader).items() >= {name: int(value) for name, value in given.items()}.items()
    assert (stop.type, list(stop.output)) == ("StopGradient", ["data"])


@needs_operators
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"input_type": 4}, "input_type=4 is not possible"),
        ({"input_type": 2}, "get_rgb=0 and get_logmels=0 leave nothing to read"),
        ({"input_type": 3, "get_rgb": 1, "get_optical_flow": 1}, "get_optical_flow=1 is not possible with sound"),
        ({"crop": 3}, "VideoInput has no argument 'crop'"),
        ({"clip_per_video": 3, "decode_type": 0}, "clip_per_video=3 needs decode_type=1"),
        ({"get_optical_flow": 1, "length_of": 2}, "get_rgb and get_optical_flow are both set"),
    ],
    ids=str,
)
def test_wrong_reader_arguments(more: dict[str, int], says: str) -> None:
    from caffe2.python import core
    from utils import model_helper

    model = cnn_model("reading")
    with pytest.raises(UsageError) as raised:
        model_helper.AddVideoInput(model, core.BlobReference("db"), **{**READER, **more})
    assert says in str(raised.value) and not model.net.Proto().op


@needs_operators
def test_databases_that_are_none(tmp_path: Path) -> None:
    from utils.reader_utils import create_data_reader

    with pytest.raises(UsageError, match="no such database"):
        create_data_reader(cnn_model("reading"), "reader", str(tmp_path / "nowhere"))
    with pytest.raises(VmzError, match=r"is not an LMDB: it contains no data\.mdb"):
        create_data_reader(cnn_model("reading"), "reader", str(tmp_path))


def exported(path: Path, workspace: Any, number: int = 0) -> dict[str, np.ndarray]:
    """A model saved by Caffe2 itself, as train_net does it; what its blobs hold."""
    from caffe2.python.predictor import predictor_exporter

    model = cnn_model("exported")
    with device(number):
        model.FC("data", "fc", 3, 2)
        model.Softmax("fc", "softmax")
    workspace.RunNetOnce(model.param_init_net)
    names = [str(blob) for blob in model.GetAllParams("")]
    scope = f"gpu_{number}/"
    shapes = {f"{scope}softmax": (1, 2), f"{scope}data": (1, 3)}
    meta = predictor_exporter.PredictorExportMeta(
        predict_net=model.net.Proto(), parameters=names, inputs=[f"{scope}data"], outputs=[f"{scope}softmax"],
        shapes=shapes,
    )  # fmt: skip
    predictor_exporter.save_to_db("minidb", str(path), meta)
    return {name: workspace.FetchBlob(name) for name in names}


@pytest.mark.parametrize("number", [0, 3])
def test_a_predictor_export_of_caffe2(
    tmp_path: Path, workspace: Any, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    from utils.model_helper import LoadModel, getTrainingGPUs

    caplog.set_level(logging.INFO)
    path = tmp_path / "model_3.mdl"
    blobs = exported(path, workspace, number)
    workspace.ResetWorkspace()
    LoadModel(str(path), "minidb")
    assert len(blobs) == 2
    for name, array in blobs.items():
        np.testing.assert_array_equal(workspace.FetchBlob(name), array)
    assert getTrainingGPUs(str(path), "minidb") == {str(number)}
    assert f"Loading path: {path}" in caplog.text


def test_an_export_of_ours(tmp_path: Path, workspace: Any) -> None:
    from utils.model_helper import LoadModel, getTrainingGPUs

    weight = np.random.RandomState(0).randn(4, 3).astype(np.float32)
    save_mdl(tmp_path / "ours.mdl", {"fc_w": weight})
    with device():
        LoadModel(str(tmp_path / "ours.mdl"))
    np.testing.assert_array_equal(workspace.FetchBlob("gpu_0/fc_w"), weight)
    assert getTrainingGPUs(str(tmp_path / "ours.mdl"), "minidb") == {"0"}


def test_exports_that_are_none(tmp_path: Path, workspace: Any) -> None:
    from utils.model_helper import LoadModel, getTrainingGPUs

    path = tmp_path / "cut.mdl"
    exported(path, workspace)
    os.truncate(path, path.stat().st_size - 20)
    for call in (LoadModel, lambda path: getTrainingGPUs(path, "minidb")):
        with pytest.raises(VmzError, match="is truncated"):
            call(str(path))
        with pytest.raises(UsageError, match="cannot read the checkpoint"):
            call(str(tmp_path / "nowhere.mdl"))
    with pytest.raises(UsageError, match="there is no such file"):
        LoadModel(str(tmp_path / "nowhere"), "lmdb")
