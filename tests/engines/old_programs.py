"""Networks as programs of Caffe2's time built and saved them, with Caffe2's own brew and exporters.

`python -m tests.engines.old_programs FOLDER`, in the environment that has Caffe2, writes each network in a folder of
its own: in every form, with what it computed. Tests of both environments import what lies there.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CAFFE2_PYTHON = ROOT / ".venv-caffe2" / "bin" / "python"
NAMES = ("nonlocal_softmax", "nonlocal_mean", "two_stream")
RESULTS = ("softmax", "gpu_0/top_scores", "gpu_0/top_classes")
FORMS = ("folder", "pb", "pbtxt", "export", "json_pickle", "json_scoped_pickle", "json_plain_pickle", "json_saved")


def write_programs(folder: Path) -> None:
    """All networks, written by this Python's Caffe2 or by that of .venv-caffe2; FileNotFoundError without either."""
    subprocess.run(
        [str(CAFFE2_PYTHON), "-m", "tests.engines.old_programs", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=300,
        env={"PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def files_of(folder: Path, form: str) -> dict[str, Path]:
    """What import_net is given for a form."""
    return {
        "folder": {"net": folder},
        "pb": {"net": folder / "predict_net.pb", "init_net": folder / "init_net.pb"},
        "pbtxt": {"net": folder / "text" / "predict_net.pbtxt", "init_net": folder / "text" / "init_net.pbtxt"},
        "export": {"net": folder / "export.minidb"},
        "json_pickle": {"net": folder / "net.json", "weights": folder / "workspace.pkl"},
        "json_scoped_pickle": {"net": folder / "net.json", "weights": folder / "scoped.pkl"},
        "json_plain_pickle": {"net": folder / "net.json", "weights": folder / "plain.pkl"},
        "json_saved": {"net": folder / "net.json", "weights": folder / "saved.minidb"},
    }[form]


def nonlocal_block(model: Any, brew: Any, blob: Any, channels: int, inner: int, softmax: bool) -> Any:
    """A space-time non-local block in the embedded form, or with the mean of dot products."""
    name = "nonlocal_conv3_1"
    theta, phi, g = (
        brew.conv_nd(
            model,
            source,
            f"{name}_{part}",
            channels,
            inner,
            kernel=[1, 1, 1],
            weight_init=("GaussianFill", {"std": 0.3}),
        )
        for part, source in (("theta", blob), ("phi", pooled(model, brew, blob, name)), ("g", f"{blob}_pooled"))
    )
    flat = {}
    for part, value in (("theta", theta), ("phi", phi), ("g", g)):
        flat[part], flat[f"{part}_shape"] = model.net.Reshape(
            [value], [f"{name}_{part}_re", f"{name}_{part}_shape5d"], shape=[2, inner, -1]
        )
    affinity = model.net.BatchMatMul([flat["theta"], flat["phi"]], f"{name}_affinity", trans_a=1)
    if softmax:
        affinity = model.net.Scale(affinity, affinity, scale=inner**-0.5)
        weights = model.net.Softmax(affinity, f"{name}_prob", engine="CUDNN", axis=2)
    else:
        ones = model.net.ConstantFill([affinity], f"{name}_ones", value=1.0)
        count = model.net.ReduceBackSum([ones], f"{name}_count")
        zeros = model.net.ConstantFill([affinity], f"{name}_zeros", value=0.0)
        total = model.net.Add([zeros, count], f"{name}_total", broadcast=1, axis=0)
        model.net.StopGradient([total], [total])
        weights = model.net.Div([affinity, total], f"{name}_sc")
    mixed = model.net.BatchMatMul([flat["g"], weights], f"{name}_y", trans_b=1)
    mixed, _ = model.net.Reshape([mixed, flat["theta_shape"]], [f"{name}_y_re", f"{name}_y_shape3d"])
    out = brew.conv_nd(
        model, mixed, f"{name}_out", inner, channels, kernel=[1, 1, 1], weight_init=("GaussianFill", {"std": 0.3})
    )
    out = brew.spatial_bn(model, out, f"{name}_bn", channels, epsilon=1e-5, momentum=0.9, is_test=True)
    return model.net.Sum([blob, out], f"{name}_sum")


def pooled(model: Any, brew: Any, blob: Any, name: str) -> Any:
    return brew.max_pool(model, blob, f"{blob}_pooled", kernels=[1, 2, 2], strides=[1, 2, 2], pads=[0] * 6)


def nonlocal_net(softmax: bool) -> Callable[[], tuple[Any, dict[str, np.ndarray]]]:
    def build() -> tuple[Any, dict[str, np.ndarray]]:
        from caffe2.python import brew, model_helper

        model = model_helper.ModelHelper("nonlocal", arg_scope={"order": "NCHW", "use_cudnn": True})
        stem = brew.conv_nd(model, "data", "conv1", 3, 8, kernel=[3, 3, 3], strides=[1, 2, 2], pads=[1] * 6, no_bias=1)
        stem = brew.spatial_bn(model, stem, "conv1_bn", 8, is_test=True)
        stem = brew.relu(model, stem, stem)
        stem = nonlocal_block(model, brew, stem, 8, 4, softmax)
        stem = brew.transpose(model, stem, "swapped", axes=[0, 2, 1, 3, 4])
        stem = brew.transpose(model, stem, "swapped_back", axes=[0, 2, 1, 3, 4])
        pool = brew.average_pool(model, stem, "final_avg", kernels=[4, 8, 8], strides=[1, 1, 1])
        pool = brew.dropout(model, pool, "final_drop", ratio=0.5, is_test=1)
        brew.fc(model, pool, "pred", 8, 5)
        model.net.Softmax(["pred"], ["softmax"])
        return model, {"data": np.random.RandomState(3).standard_normal((2, 3, 4, 16, 16)).astype(np.float32)}

    return build


def two_stream() -> tuple[Any, dict[str, np.ndarray]]:
    """RGB and stacked flow, each a network of images; their scores are weighted and added, in a device's scope."""
    from caffe2.python import brew, core, model_helper

    model = model_helper.ModelHelper("two_stream", arg_scope={"order": "NCHW"})
    with core.NameScope("gpu_0"):
        scores = []
        for stream, channels in (("rgb", 3), ("flow", 10)):
            conv = brew.conv(model, f"{stream}_data", f"{stream}_conv1", channels, 8, kernel=5, stride=2, pad=2)
            conv = brew.relu(model, conv, conv)
            conv = brew.lrn(model, conv, f"{stream}_norm1", size=5, alpha=1e-4, beta=0.75, bias=2.0)
            pool = brew.max_pool(model, conv, f"{stream}_pool1", kernel=3, stride=2, legacy_pad=3)
            one = brew.conv(model, pool, f"{stream}_1x1", 8, 4, kernel=1)
            three = brew.group_conv(model, pool, f"{stream}_3x3", 8, 6, kernel=3, pad=1, group=2)
            both = brew.concat(model, [one, three], f"{stream}_concat")
            both = brew.prelu(model, both, f"{stream}_prelu", num_channels=10)
            deep = brew.average_pool(model, both, f"{stream}_pool5", kernel=3, stride=2, pad=1)
            brew.fc(model, deep, f"{stream}_fc6", 10 * 4 * 4, 12)
            brew.tanh(model, f"{stream}_fc6", f"{stream}_tanh")
            brew.dropout(model, f"{stream}_tanh", f"{stream}_drop", ratio=0.8, is_test=1)
            brew.fc(model, f"{stream}_drop", f"{stream}_fc8", 12, 5)
            model.net.Softmax([f"{stream}_fc8"], [f"{stream}_softmax"])
            scores.append(f"{stream}_softmax")
        model.net.Scale([scores[1]], ["flow_weighted"], scale=1.5)
        model.net.Add([scores[0], "flow_weighted"], ["fused"])
        model.net.StopGradient(["fused"], ["fused"])
        model.net.TopK(["fused"], ["top_scores", "top_classes"], k=3)
    random = np.random.RandomState(4)
    shapes = {"gpu_0/rgb_data": (2, 3, 32, 30), "gpu_0/flow_data": (2, 10, 32, 30)}
    return model, {blob: random.standard_normal(shape).astype(np.float32) for blob, shape in shapes.items()}


BUILDERS = {
    "nonlocal_softmax": nonlocal_net(True),
    "nonlocal_mean": nonlocal_net(False),
    "two_stream": two_stream,
}


def save(name: str, folder: Path) -> None:
    """Build, run and save a network as a program of that time did."""
    from caffe2.proto import caffe2_pb2
    from caffe2.python import core, workspace
    from caffe2.python.predictor import mobile_exporter, predictor_exporter
    from google.protobuf import text_format

    from vmz.netdef.json_form import net_to_json

    workspace.ResetWorkspace()
    model, feeds = BUILDERS[name]()
    for blob, array in feeds.items():
        workspace.FeedBlob(blob, array)
    workspace.RunNetOnce(model.param_init_net)
    params = [str(blob) for blob in [*model.params, *model.GetComputedParams()]]
    random = np.random.RandomState(5)
    for blob in params:  # what training would have left there
        shape = workspace.FetchBlob(blob).shape
        positive = blob.endswith(("_riv", "_s"))
        values = random.uniform(0.5, 1.5, shape) if positive else random.standard_normal(shape) * 0.2
        workspace.FeedBlob(blob, values.astype(np.float32))
    workspace.RunNetOnce(model.net)
    written = [str(blob) for op in model.net.Proto().op for blob in op.output]
    outputs = dict.fromkeys(blob for blob in written if not blob.endswith("_mask"))  # in testing there is no mask
    folder.mkdir(parents=True)
    np.savez(
        folder / "values.npz", **{blob.replace("/", "|"): workspace.FetchBlob(blob) for blob in [*feeds, *outputs]}
    )
    arrays = {blob: workspace.FetchBlob(blob) for blob in params}
    ends = [blob for blob in outputs if blob in RESULTS]
    export = predictor_exporter.PredictorExportMeta(
        predict_net=model.net.Proto(), parameters=params, inputs=list(feeds), outputs=ends
    )
    predictor_exporter.save_to_db("minidb", str(folder / "export.minidb"), export)
    workspace.RunOperatorOnce(
        core.CreateOperator("Save", params, [], absolute_path=1, db=str(folder / "saved.minidb"), db_type="minidb")
    )
    init, predict = mobile_exporter.Export(workspace, model.net, params)
    del predict.external_output[:]  # as many programs leave it
    predict.external_output.extend(ends)
    gpu = core.DeviceOption(caffe2_pb2.CUDA, 0)
    for op in predict.op:  # the file of a program that ran on a GPU
        op.device_option.CopyFrom(gpu)
        op.engine = "CUDNN" if op.type in ("Conv", "MaxPool", "SpatialBN") else op.engine
    predict.op[-1].control_input.append(ends[0])
    (folder / "text").mkdir()
    for file, net in (("predict_net", predict), ("init_net", init)):
        (folder / f"{file}.pb").write_bytes(net.SerializeToString())
        (folder / "text" / f"{file}.pbtxt").write_text(text_format.MessageToString(net))
    (folder / "net.json").write_text(json.dumps({"net": net_to_json(predict)}))
    scope = "" if "gpu_0/" in params[0] else "gpu_0/"
    pickles = {
        "workspace": {"blobs": arrays, "epoch": 3},
        "scoped": {"blobs": {f"{scope}{blob}": array for blob, array in arrays.items()}},
        "plain": {blob.rpartition("/")[2]: array for blob, array in arrays.items()},
    }
    for file, content in pickles.items():
        (folder / f"{file}.pkl").write_bytes(pickle.dumps(content, protocol=2))


def save_training(folder: Path) -> None:
    """A non-local network in training: the net with gradients and updates, one run of it, and all gradients."""
    from caffe2.python import brew, optimizer, workspace

    workspace.ResetWorkspace()
    model, feeds = nonlocal_net(True)()
    feeds["label"] = np.array([1, 3], np.int32)
    for blob, array in feeds.items():
        workspace.FeedBlob(blob, array)
    _, loss = model.net.SoftmaxWithLoss(["pred", "label"], ["train_softmax", "loss"])
    brew.accuracy(model, ["train_softmax", "label"], "accuracy")
    for op in model.net.Proto().op:  # in testing Caffe2's batch norm has no gradient: docs/reference/operators.md
        if op.type == "SpatialBN":
            del op.output[1:]
            op.type = "AffineChannel"
            del op.input[3:]
            del op.arg[:]
            op.arg.add(name="is_learnable").i = 1
    model.AddGradientOperators([loss])
    gradients = {str(blob): str(gradient) for blob, gradient in model.param_to_grad.items()}
    optimizer.build_sgd(model, base_learning_rate=1e-30, policy="fixed")  # updates that change nothing
    workspace.RunNetOnce(model.param_init_net)
    random = np.random.RandomState(6)
    for blob in gradients:
        values = random.standard_normal(workspace.FetchBlob(blob).shape) * 0.2
        workspace.FeedBlob(blob, values.astype(np.float32))
    workspace.RunNetOnce(model.net)
    folder.mkdir(parents=True)
    (folder / "train_net.pb").write_bytes(model.net.Proto().SerializeToString())
    found = {blob: workspace.FetchBlob(blob) for blob in [*feeds, *gradients, "loss", "accuracy"]}
    found.update({f"{blob}@gradient": workspace.FetchBlob(name) for blob, name in gradients.items()})
    np.savez(folder / "values.npz", **found)


if __name__ == "__main__":
    from vmz.engines.caffe2_engine.workspace import import_caffe2

    import_caffe2()
    for each in NAMES:
        save(each, Path(sys.argv[1]) / each)
    save_training(Path(sys.argv[1]) / "training")
