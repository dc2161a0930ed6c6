"""Networks that Caffe2's brew built and its exporters saved: imported from every form, compared blob for blob."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vmz
from tests.engines.old_programs import CAFFE2_PYTHON, FORMS, NAMES, files_of, write_programs
from tests.engines.small_nets import clip, net, normalised, op
from tests.support.in_process import tool
from vmz.checkpoints.old_nets import read_old_net
from vmz.engines.torch_engine.graph.importer import input_blobs
from vmz.engines.torch_engine.graph.old_nets import import_old_net
from vmz.engines.torch_engine.graph.passes import optimize
from vmz.errors import UsageError, VmzError
from vmz.netdef.analysis import infer_shapes

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not CAFFE2_PYTHON.exists():
        pytest.skip("no .venv-caffe2: make setup-caffe2")
    folder = tmp_path_factory.mktemp("programs")
    write_programs(folder)
    return folder


def values_of(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "values.npz") as archive:
        return {name.replace("|", "/"): archive[name] for name in archive.files}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_every_form_gives_every_blob(programs: Path, name: str, form: str) -> None:
    values = values_of(programs / name)
    files: dict[str, Any] = {**files_of(programs / name, form)}
    inputs = [blob for blob in values if blob.endswith("data")]
    computed = [blob for blob in values if blob not in inputs]
    module = vmz.import_net(**files, outputs=computed)
    assert set(input_blobs(module)) == set(inputs)
    with torch.no_grad():
        found = module(*(torch.from_numpy(values[blob]) for blob in input_blobs(module)))
    assert len(computed) >= 20
    for blob in computed:
        expected, ours = values[blob], found[blob].numpy()
        assert expected.shape == ours.shape and expected.dtype == ours.dtype, blob
        assert np.abs(expected - ours).max() <= TOLERANCE * max(np.abs(expected).max(), 1e-12), blob


@pytest.mark.parametrize("name", NAMES)
def test_outputs_by_default_are_those_that_the_file_names(programs: Path, name: str) -> None:
    module = vmz.import_net(programs / name)
    found = module(*(torch.from_numpy(values_of(programs / name)[blob]) for blob in input_blobs(module)))
    assert set(found) == ({"softmax"} if name != "two_stream" else {"gpu_0/top_scores", "gpu_0/top_classes"})


def test_gradients_go_through_to_inputs_and_parameters(programs: Path) -> None:
    folder = programs / "nonlocal_softmax"
    module = vmz.import_net(folder, outputs=["softmax"])
    data = torch.from_numpy(values_of(folder)["data"]).requires_grad_(True)
    module(data)["softmax"][:, 0].sum().backward()
    parameters = dict(module.named_parameters())
    for gradient in (data.grad, parameters["nonlocal_conv3_1_theta_w"].grad, parameters["conv1_w"].grad):
        assert gradient is not None and gradient.abs().max() > 0


def test_a_training_net_of_caffe2_gives_its_loss_and_all_its_gradients(programs: Path) -> None:
    """Caffe2 by its gradient operators, the module by autograd."""
    values = values_of(programs / "training")
    wanted = {blob.partition("@")[0]: array for blob, array in values.items() if blob.endswith("@gradient")}
    found = import_old_net(programs / "training" / "train_net.pb", weights={name: values[name] for name in wanted})
    assert {op.type for op in found.left_out} >= {"ConvGradient", "BatchMatMul", "LearningRate"}
    assert {"loss", "accuracy"} <= set(found.outputs)
    assert not any("grad" in name for name in found.outputs)
    assert len(wanted) >= 13
    given = {blob: torch.from_numpy(values[blob]) for blob in found.inputs}
    results = found.module(*given.values())
    assert abs(results["loss"].item() - float(values["loss"])) <= TOLERANCE * float(values["loss"])
    assert float(results["accuracy"]) == float(values["accuracy"])
    results["loss"].backward()
    parameters = dict(found.module.named_parameters())
    assert set(parameters) == set(wanted)
    for name, expected in wanted.items():
        gradient = parameters[name].grad
        assert gradient is not None
        if name == "nonlocal_conv3_1_phi_b":  # adds one number to a row of the softmax: 0 but for rounding
            assert max(np.abs(gradient.numpy()).max(), np.abs(expected).max()) < 1e-10
            continue
        assert np.abs(gradient.numpy() - expected).max() <= TOLERANCE * np.abs(expected).max(), name


@pytest.mark.parametrize("name", NAMES)
def test_shapes_are_known_without_running(programs: Path, name: str) -> None:
    values = values_of(programs / name)
    old = read_old_net(programs / name / "export.minidb")
    shapes = {blob: array.shape for blob, array in {**old.blobs, **values}.items()}
    inputs = {blob: shape for blob, shape in shapes.items() if blob in old.net.external_input}
    found = infer_shapes(old.net, inputs)
    assert {blob: found[blob] for blob in values} == {blob: array.shape for blob, array in values.items()}


@pytest.mark.parametrize("name", NAMES)
def test_the_passes_keep_the_results(programs: Path, name: str) -> None:
    values = values_of(programs / name)
    module = vmz.import_net(programs / name)
    inputs = [torch.from_numpy(values[blob]) for blob in input_blobs(module)]
    with torch.no_grad():
        found = optimize(module, inputs)(*inputs)
    for blob, value in found.items():
        assert np.abs(value.numpy() - values[blob]).max() <= TOLERANCE * np.abs(values[blob]).max(), blob


@pytest.mark.skipif(not hasattr(torch, "export"), reason="this PyTorch has no torch.export")
def test_shapes_that_blobs_hold_can_be_exported(programs: Path, tmp_path: Path) -> None:
    folder = programs / "nonlocal_mean"
    values = values_of(folder)
    convert = tool("convert_net.py")
    assert convert([f"--net={folder}", "--input_shape=data=2,3,4,16,16", f"--output={tmp_path / 'a.pt2'}"]) == 0
    found = torch.export.load(tmp_path / "a.pt2").module()(torch.from_numpy(values["data"]))["softmax"]
    assert np.abs(found.detach().numpy() - values["softmax"]).max() <= TOLERANCE


def test_a_core_net_of_the_running_program(programs: Path) -> None:
    pytest.importorskip("caffe2.python.core")
    from caffe2.python import core

    main = core.Net("main")
    main.Relu(["x"], ["y"])
    assert torch.equal(vmz.import_net(main)(torch.tensor([-1.0, 2.0]))["y"], torch.tensor([0.0, 2.0]))


def test_import_vmz_alone_is_light() -> None:
    code = "import sys, vmz; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# What is refused, and what is told


def test_every_missing_operator_is_named_with_its_place() -> None:
    bad = net(
        op("Foo", "a b", "c"), op("Relu", "x", "d"), op("Conv", "d w", "e", kernel=2, bar=1), op("LSTM", "e", "f g")
    )
    with pytest.raises(VmzError) as caught:
        vmz.import_net(bad)
    message = str(caught.value)
    assert message.startswith("the PyTorch engine cannot run 3 of the operators of the net small: ")
    for part in (
        "number 0 Foo (inputs a, b; outputs c)",
        "number 2 Conv (inputs d, w; outputs e): argument bar=1 is not supported",
        "number 3 LSTM (inputs e; outputs f, g)",
    ):
        assert part in message
    assert "\n" not in message
    assert torch.equal(vmz.import_net(bad, outputs=["d"])(torch.tensor([-1.0, 1.0]))["d"], torch.tensor([0.0, 1.0]))


def test_one_missing_operator_is_named_with_its_net() -> None:
    with pytest.raises(VmzError, match=r"1 of the operators of the net small: number 0 If \(inputs a; outputs b\)"):
        vmz.import_net(net(op("If", "a", "b")))


def test_parameters_without_values_are_refused() -> None:
    _, main = normalised()
    with pytest.raises(
        UsageError, match="no values for 7 of its parameters, first s/a_w: give the init net, or weights"
    ):
        vmz.import_net(main)
    with pytest.raises(UsageError, match="no values for 6 of its parameters, first s/bn_s"):
        vmz.import_net(main, weights={"a_w": np.zeros((4, 3, 1, 3, 3), np.float32)})


def test_weights_of_another_shape_are_refused() -> None:
    init, main = normalised()
    with pytest.raises(VmzError, match=r"blob s/fc_b has shape \(6,\) in the weights, and \(5,\) in the init net"):
        vmz.import_net(main, init, {"fc_b": np.zeros(6, np.float32)})


def test_weights_go_over_the_init_nets_and_what_nothing_reads_is_told() -> None:
    init, main = normalised()
    bias = np.arange(5, dtype=np.float32)
    found = import_old_net(main, init, {"gpu_3/fc_b": bias, "fc_b_momentum": bias}, outputs=["softmax"])
    assert np.array_equal(found.blobs["s/fc_b"], bias)
    assert list(found.unused) == ["fc_b_momentum"]
    assert found.module(torch.from_numpy(clip()))["softmax"].shape == (2, 5)


def training_net() -> tuple[Any, Any]:
    """A net with its gradients, an update and its rate."""
    init, main = normalised(is_test=0)
    main.op.extend(
        [
            op("ConstantFill", "s/loss", "s/loss_grad", value=1.0),
            op("SoftmaxWithLossGradient", "s/fc s/label s/softmax s/loss_grad", "s/fc_grad"),
            op("FCGradient", "s/avg s/fc_w s/fc_grad", "s/fc_w_grad s/fc_b_grad s/avg_grad"),
            op("Iter", "iter", "iter"),
            op("LearningRate", "iter", "lr", policy="fixed", base_lr=-0.1),
            op("WeightedSum", "s/fc_w one s/fc_w_grad lr", "s/fc_w"),
        ]
    )
    main.op[-6].is_gradient_op = True
    return init, main


def test_a_training_net_is_taken_without_its_training() -> None:
    init, main = training_net()
    found = import_old_net(main, init)
    assert list(found.outputs) == ["s/loss", "s/accuracy"]
    assert [each.type for each in found.left_out][1:3] == ["SoftmaxWithLossGradient", "FCGradient"]
    assert len(found.left_out) == 6
    loss = found.module(torch.from_numpy(clip()), torch.tensor([1, 2]))["s/loss"]
    loss.backward()
    assert dict(found.module.named_parameters())["s/fc_w"].grad is not None


def test_a_reader_becomes_an_input() -> None:
    main = net(op("CustomizedVideoInput", "reader", "data label", batch_size=2), op("Relu", "data", "y"))
    module = vmz.import_net(main, outputs=["y"])
    assert input_blobs(module) == ["data"]


def test_operators_of_the_init_net_run_and_those_that_nothing_needs_do_not() -> None:
    init = net(
        op("ConstantFill", "", "w0", shape=[2, 3], value=2.0),
        op("Scale", "w0", "w", scale=3.0),
        op("GivenTensorFill", "", "b", shape=[2], values=[1.0, 2.0]),
        op("CreateBlobsQueue", "", "queue", num_blobs=1),
    )
    module = vmz.import_net(net(op("FC", "x w b", "y")), init)
    assert torch.equal(module(torch.ones(1, 3))["y"], torch.tensor([[19.0, 20.0]]))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty; download or copy it again"),
        (b"\x08\x07\x12\x04onnx", "is not a net of Caffe2, or is damaged|contains no net of Caffe2|ONNX"),
        (b"layer { name: 'conv1' }", "contains no net of Caffe2: a net of Caffe2 has operators"),
        (b'{"weights": 1}', "is JSON, but not a net in the form of print_net.py --json"),
        (b'{"net"', "is not a net of Caffe2|is not JSON"),
        (b"\x89PNG\r\n", "is a picture, not a net of Caffe2; the forms are predict_net.pb"),
        (pickle.dumps({"a": 1}, 2), "is a pickle of blobs, not a net; give it as the weights"),
        (b"<html>", "is a web page"),
        (b"op { type: 'Relu' input: 'a' ", "is not a net of Caffe2, or is damaged"),
        (net(op("GaussianFill", "", "a", shape=[1])).SerializeToString(), "only fills blobs: it is an init net"),
    ],
)
def test_files_that_are_no_nets(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "some.net"
    path.write_bytes(content)
    with pytest.raises(VmzError, match=says) as caught:
        vmz.import_net(path)
    assert "\n" not in str(caught.value)


def test_files_and_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the net .*none.pb: No such file"):
        vmz.import_net(tmp_path / "none.pb")
    with pytest.raises(UsageError, match=r"is a folder without predict_net\.pb"):
        vmz.import_net(tmp_path)
    with pytest.raises(UsageError, match="a int is not a net; give a NetDef"):
        vmz.import_net(3)


def test_a_cut_protobuf_is_refused(tmp_path: Path) -> None:
    init, main = normalised()
    path = tmp_path / "predict_net.pb"
    path.write_bytes(main.SerializeToString()[:-7])
    with pytest.raises(UsageError, match="is not a net of Caffe2, or is damaged"):
        vmz.import_net(path, init)


def test_a_net_in_json_without_weights_takes_them_from_its_own_init_net(tmp_path: Path) -> None:
    from vmz.netdef.json_form import net_to_json

    init, main = normalised()
    path = tmp_path / "net.json"
    path.write_text(json.dumps({"net": net_to_json(main), "param_init_net": net_to_json(init)}))
    again = vmz.import_net(path, outputs=["softmax"], seed=4)
    expected = vmz.import_net(main, init, outputs=["softmax"], seed=4)
    assert torch.equal(again(torch.from_numpy(clip()))["softmax"], expected(torch.from_numpy(clip()))["softmax"])


def test_a_text_that_is_nested_deeply_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net.pbtxt"
    path.write_text('op { arg { name: "a" ' + "nets { op { arg { " * 3000 + "} } }" * 3000 + "} }")
    with pytest.raises(UsageError, match="its content is nested too deeply"):
        import_old_net(path)


def test_blobs_whose_names_are_no_identifiers() -> None:
    """torch.fx cuts the underscores off names like __x__."""
    for name in ("____", "__x__", "\u4e2d", "1", "/", "s/"):
        module = vmz.import_net(net(op("Relu", name, "y")))
        assert module(torch.tensor([-1.0, 2.0]))["y"].tolist() == [0.0, 2.0], name
