from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.fx import GraphModule

from tests.engines.small_nets import clip, net, normalised, op
from tests.goldens.golden_nets import golden_net
from tests.support.generated_weights import generated_weights
from vmz.engines.torch_engine import import_net
from vmz.engines.torch_engine.graph import passes
from vmz.engines.torch_engine.graph.passes import has_fused_convolutions, optimize


def called(module: GraphModule) -> list[Any]:
    return [node.target for node in module.graph.nodes if node.op == "call_function"]


def both(main: Any, init: Any, outputs: list[str], *inputs: torch.Tensor) -> tuple[GraphModule, float]:
    """The optimized module, and the largest relative difference of its outputs from those of the plain one."""
    module = import_net(main, init, outputs=outputs)
    optimized = optimize(module, inputs)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        expected, found = module(*inputs), optimized(*inputs)
        assert list(found) == outputs
        again = optimized(*inputs)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(torch.equal(found[name], again[name]) for name in outputs)
    return optimized, max(
        float((expected[name] - found[name]).abs().max() / expected[name].abs().max()) for name in outputs
    )


@pytest.fixture(params=[True, False], ids=["fused", "not fused"])
def fused(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param and not has_fused_convolutions():
        pytest.skip("this PyTorch has no fused convolutions")
    monkeypatch.setattr(passes, "has_fused_convolutions", lambda half=None: request.param)
    return bool(request.param)


def block(relu_after_sum: bool = True) -> tuple[Any, Any]:
    """A convolution, and a residual block of two on top of it, with batch norms."""
    init, main = net(), net()
    for name, channels in (("a", 3), ("b", 8), ("c", 8)):
        init.op.extend(
            [
                op("MSRAFill", "", f"{name}_w", shape=[8, channels, 3, 3, 3]),
                op("UniformFill", "", f"{name}_s", shape=[8], min=0.5, max=1.5),
                op("GaussianFill", "", f"{name}_b", shape=[8]),
                op("GaussianFill", "", f"{name}_rm", shape=[8]),
                op("UniformFill", "", f"{name}_riv", shape=[8], min=0.5, max=1.5),
            ]
        )
    pads = [1] * 6
    main.op.extend(
        [
            op("Conv", "data a_w", "a", kernels=[3, 3, 3], pads=pads),
            op("SpatialBN", "a a_s a_b a_rm a_riv", "a_bn", is_test=1, epsilon=1e-3),
            op("Relu", "a_bn", "a_bn"),
            op("Conv", "a_bn b_w", "b", kernels=[3, 3, 3], pads=pads),
            op("SpatialBN", "b b_s b_b b_rm b_riv", "b_bn", is_test=1, epsilon=1e-3),
            op("Relu", "b_bn", "b_bn"),
            op("Conv", "b_bn c_w", "c", kernels=[3, 3, 3], pads=pads),
            op("SpatialBN", "c c_s c_b c_rm c_riv", "c_bn", is_test=1, epsilon=1e-3),
            op("Sum", "a_bn c_bn", "sum"),
        ]
    )
    if relu_after_sum:
        main.op.append(op("Relu", "sum", "sum"))
    return init, main


@pytest.mark.parametrize("relu", [True, False])
def test_a_residual_block_becomes_its_convolutions(fused: bool, relu: bool) -> None:
    init, main = block(relu)
    optimized, difference = both(main, init, ["sum"], torch.from_numpy(clip()))
    assert difference < 1e-6
    assert F.batch_norm not in called(optimized)
    if fused:
        assert len(called(optimized)) == 4  # the layout of the input, then three convolutions


@pytest.mark.parametrize(
    "outputs", [["a"], ["a_bn@1"], ["a_bn"], ["b"], ["b_bn"], ["sum@8"], ["a_bn", "sum"], ["a", "b", "sum"]]
)
def test_what_is_asked_for_is_not_fused_away_or_overwritten(fused: bool, outputs: list[str]) -> None:
    init, main = block()
    assert both(main, init, outputs, torch.from_numpy(clip()))[1] < 1e-6


def test_inputs_are_not_overwritten(fused: bool) -> None:
    main = net(
        op("Conv", "x w", "y", kernels=[1, 1, 1]), op("Sum", "x y", "z"), op("Relu", "z", "z"), op("Relu", "x", "r")
    )
    init = net(op("MSRAFill", "", "w", shape=[3, 3, 1, 1, 1]))
    x = torch.randn(2, 3, 2, 4, 4)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    before = x.clone()
    assert both(main, init, ["z", "r"], x)[1] < 1e-6
    assert torch.equal(x, before)


def test_a_batch_norm_that_trains_is_left_alone() -> None:
    init, main = normalised(is_test=0)
    optimized = optimize(import_net(main, init, outputs=["softmax"]), [torch.from_numpy(clip())])
    assert F.batch_norm in called(optimized)


def test_other_shapes_than_it_was_made_for(fused: bool) -> None:
    init, main = block()
    module = import_net(main, init, outputs=["sum"])
    optimized = optimize(module, [torch.from_numpy(clip(batch=4))])
    for shape in ((1, 3, 2, 8, 8), (3, 3, 5, 6, 10)):
        data = torch.randn(shape)
        with torch.no_grad():
            torch.testing.assert_close(optimized(data)["sum"], module(data)["sum"], rtol=1e-5, atol=1e-5)


NETS = {
    "net_009_r2df_10_test_patched": (1, 3, 8, 112, 112),
    "net_203_ir_csn_101_test": (1, 3, 4, 112, 112),
    "net_209_ip_csn_101_test": (1, 3, 8, 112, 112),
    "net_168_c3d_10_test": (1, 3, 16, 112, 112),
}


@pytest.mark.parametrize("file", NETS)
def test_golden_nets_keep_their_scores(file: str, fused: bool) -> None:
    golden = golden_net(file)
    full = {blob.rpartition("/")[2]: blob for blob, _ in golden.shapes}
    values = {full[name]: torch.from_numpy(array) for name, array in generated_weights(golden.shapes).items()}
    channels = values[next(blob for blob in values if blob.endswith(("conv1_w", "conv1a_w")))].shape[1]
    data = torch.from_numpy(np.random.RandomState(0).randn(*NETS[file]).astype(np.float32))[:, :channels]
    module = import_net(golden.net, values=values, outputs=["final_avg" if "c3d" not in file else "fc7"])
    with torch.no_grad():
        (expected,), (found,) = module(data).values(), optimize(module, [data])(data).values()
    assert float((expected - found).abs().max() / expected.abs().max()) < 2e-6
