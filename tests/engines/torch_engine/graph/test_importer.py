from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.engines.small_nets import clip, net, normalised, op
from tests.goldens.golden_nets import golden_net
from tests.goldens.recordings import golden_names
from vmz.engines.torch_engine import import_net
from vmz.engines.torch_engine.graph.importer import input_blobs
from vmz.errors import VmzError


def test_state_dict_is_keyed_by_blob() -> None:
    init, main = normalised()
    module = import_net(main, init, outputs=["softmax"])
    assert isinstance(module, torch.fx.GraphModule)
    assert set(module.state_dict()) == {blob for op_ in init.op for blob in op_.output}
    assert {name for name, _ in module.named_buffers()} == {"s/bn_rm", "s/bn_riv"}
    assert input_blobs(module) == ["s/data"]
    assert all({"blob", "op"} <= set(node.meta) for node in module.graph.nodes if node.op != "output")
    state = {name: value + 1 for name, value in module.state_dict().items()}
    module.load_state_dict(state)
    torch.testing.assert_close(module.state_dict()["s/a_w"], state["s/a_w"])


def test_numbers_are_those_of_the_same_layers_by_hand() -> None:
    init, main = normalised()
    module = import_net(main, init, outputs=["s/softmax", "loss", "accuracy"])
    data, label = torch.from_numpy(clip()), torch.tensor([1, 3], dtype=torch.int32)
    found = module(data, label)
    values = dict(module.state_dict())
    a = F.conv3d(data, values["s/a_w"], None, (1, 2, 2), (0, 1, 1))
    bn = F.relu((a - 0.25) / (2 + 1e-3) ** 0.5 + 0.5)
    logits = F.relu(a + bn).mean((2, 3, 4)) @ values["s/fc_w"].T + values["s/fc_b"]
    torch.testing.assert_close(found["s/softmax"], logits.softmax(1))
    torch.testing.assert_close(found["loss"], F.cross_entropy(logits, label.long()))
    assert found["accuracy"].dtype == torch.float32
    assert found["accuracy"] == (logits.argmax(1) == label).float().mean()


def test_overwritten_blobs_give_the_last_value_and_earlier_ones_on_request() -> None:
    init, main = normalised()
    found = import_net(main, init, outputs=["bn", "bn@2", "sum@4", "sum"])(torch.from_numpy(clip()))
    assert found["bn@2"].min() < 0 <= found["bn"].min()
    torch.testing.assert_close(F.relu(found["bn@2"]), found["bn"])
    torch.testing.assert_close(F.relu(found["sum@4"]), found["sum"])


def test_by_default_every_blob_that_nothing_reads_comes_out() -> None:
    init, main = normalised()
    assert set(import_net(main, init)(torch.from_numpy(clip()), torch.tensor([0, 1]))) == {"s/loss", "s/accuracy"}
    main.external_output.append("s/fc")
    assert set(import_net(main, init)(torch.from_numpy(clip()))) == {"s/fc"}


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (["nothing"], "no blob nothing in the net"),
        (["bn@1"], "operator 1 does not write blob s/bn; what is written is s/bn@2, s/bn@3"),
        (["bn@x"], "operator x does not write"),
    ],
)
def test_unknown_outputs(outputs: list[str], says: str) -> None:
    init, main = normalised()
    with pytest.raises(VmzError, match=says):
        import_net(main, init, outputs=outputs)


def test_short_names_must_be_clear() -> None:
    twins = net(op("Relu", "a/x", "a/y"), op("Relu", "b/x", "b/y"))
    with pytest.raises(VmzError, match="blob y is ambiguous: it may be a/y, b/y"):
        import_net(twins, outputs=["y"])
    found = import_net(twins, outputs=["a/y", "b/y"])(torch.tensor([-1.0]), torch.tensor([2.0]))
    assert found == {"a/y": torch.tensor([0.0]), "b/y": torch.tensor([2.0])}


def test_training_updates_running_statistics_as_caffe2_does() -> None:
    init, main = normalised(is_test=0)
    module = import_net(main, init, outputs=["a", "bn@2", "bn_rm", "bn_sm", "bn_siv", "loss"])
    data = torch.from_numpy(clip())
    found = module(data, torch.tensor([1, 2]))
    a = found["a"].detach().transpose(0, 1).flatten(1)
    state = module.state_dict()
    torch.testing.assert_close(state["s/bn_rm"], 0.75 * 0.25 + 0.25 * a.mean(1))
    torch.testing.assert_close(state["s/bn_riv"], 0.75 * 2.0 + 0.25 * a.var(1, unbiased=True))
    torch.testing.assert_close(found["bn_sm"], a.mean(1))
    torch.testing.assert_close(found["bn_siv"], (a.var(1, unbiased=False) + 1e-3) ** -0.5)
    found["loss"].backward()
    gradient = dict(module.named_parameters())["s/a_w"].grad
    assert gradient is not None and gradient.abs().max() > 0


def test_running_statistics_are_updated_even_where_nobody_asks() -> None:
    init, main = normalised(is_test=0)
    module = import_net(main, init, outputs=["loss"])
    module(torch.from_numpy(clip()), torch.tensor([1, 2]))
    assert (module.state_dict()["s/bn_rm"] != 0.25).all()


def test_dropout() -> None:
    train = import_net(net(op("Dropout", "x", "y mask", ratio=0.25, is_test=0)), outputs=["y", "mask"])
    torch.manual_seed(0)
    found = train(torch.ones(10000))
    assert found["mask"].dtype == torch.bool
    assert abs(found["mask"].float().mean() - 0.75) < 0.02
    torch.testing.assert_close(found["y"], found["mask"] / 0.75)
    test = net(op("Dropout", "x", "x mask", is_test=1))
    torch.testing.assert_close(import_net(test, outputs=["x"])(torch.ones(3))["x"], torch.ones(3))
    with pytest.raises(VmzError, match="blob mask is not computed"):
        import_net(test, outputs=["mask"])


@pytest.mark.parametrize("file", [name[len("nets/") : -len(".json.gz")] for name in golden_names("nets/*.json.gz")])
def test_every_golden_net_imports(file: str) -> None:
    """All operators and arguments of all nets are known, forward; train nets are taken up to their losses."""
    golden = golden_net(file)
    losses = [
        blob for op_ in golden.net.op for blob in op_.output if op_.type in ("SoftmaxWithLoss", "Accuracy", "Sigmoid")
    ]
    outputs = losses if file.startswith("trainnet") else None
    values = {blob: torch.empty(shape) for blob, shape in golden.shapes}
    module = import_net(golden.net, outputs=outputs, values=values)
    assert set(module.state_dict()) == set(values)


def test_a_golden_runs_the_same_twice() -> None:
    golden = golden_net("net_009_r2df_10_test_patched")
    module = import_net(golden.net, golden.init_net, outputs=["softmax"], seed=3)
    again = import_net(golden.net, golden.init_net, outputs=["softmax"], seed=3)
    other = import_net(golden.net, golden.init_net, outputs=["softmax"], seed=4)
    data = torch.from_numpy(np.random.RandomState(0).randn(1, 3, 8, 112, 112).astype(np.float32))
    with torch.no_grad():
        scores = [each(data)["softmax"] for each in (module, again, other)]
    assert torch.equal(scores[0], scores[1])
    assert not torch.allclose(scores[0], scores[2])
    assert abs(float(scores[0].sum()) - 1) < 1e-5
