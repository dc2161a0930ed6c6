from __future__ import annotations

import math

import pytest
import torch

from tests.engines.small_nets import net, op
from vmz.engines.torch_engine.graph.fills import run_fills
from vmz.errors import VmzError
from vmz.netdef.protos import NetDef


def filled(type_: str, seed: int = 0, blob: str = "gpu_0/w", **arguments: object) -> torch.Tensor:
    return run_fills(net(op(type_, "", blob, **arguments)), seed)[blob]


# Figures of real Caffe2 (torch 1.10.2): std of MSRAFill, bound of XavierFill.
@pytest.mark.parametrize(
    ("shape", "std", "bound"),
    [([64, 32, 3, 3, 3], 0.0340, 0.0589), ([64, 1, 3, 3, 3], 0.0340, 1 / 3), ([101, 512], 0.1407, 0.0765)],
)
def test_spread_is_caffe2s(shape: list[int], std: float, bound: float) -> None:
    msra, xavier = filled("MSRAFill", shape=shape), filled("XavierFill", shape=shape)
    assert math.isclose(msra.std(), std, rel_tol=0.05) and abs(msra.mean()) < 0.1 * std
    assert 0.97 * bound < xavier.abs().max() <= bound * 1.001 and math.isclose(
        xavier.std(), bound / 3**0.5, rel_tol=0.05
    )


def test_the_other_fills() -> None:
    gaussian = filled("GaussianFill", shape=[400, 400], mean=2.0, std=0.01)
    assert math.isclose(gaussian.std(), 0.01, rel_tol=0.02) and math.isclose(gaussian.mean(), 2.0, abs_tol=1e-3)
    uniform = filled("UniformFill", shape=[10000], min=-1.0, max=3.0)
    assert -1 <= uniform.min() < -0.99 and 2.99 < uniform.max() <= 3
    assert torch.equal(filled("ConstantFill", shape=[2, 3], value=0.5), torch.full((2, 3), 0.5))
    assert torch.equal(filled("ConstantFill", shape=[1]), torch.zeros(1))
    assert filled("ConstantFill", shape=[1], value=0).dtype == torch.int64  # as in Caffe2: see tests/operators
    count = filled("ConstantFill", shape=[1], value=7, dtype=10)
    assert count.dtype == torch.int64 and count.item() == 7
    assert filled("GivenTensorFill", shape=[2, 2], values=[1.0, 2.0, 3.0, 4.0]).tolist() == [[1, 2], [3, 4]]
    assert filled("GivenTensorIntFill", shape=[2], values=[1, 2]).dtype == torch.int32


def test_values_depend_on_seed_and_name_only() -> None:
    first = op("MSRAFill", "", "gpu_0/a_w", shape=[8, 4])
    second = op("MSRAFill", "", "gpu_0/b_w", shape=[8, 4])
    both, swapped = run_fills(net(first, second), 5), run_fills(net(second, first), 5)
    assert torch.equal(both["gpu_0/a_w"], swapped["gpu_0/a_w"])
    assert torch.equal(both["gpu_0/a_w"], filled("MSRAFill", 5, "gpu_1/a_w", shape=[8, 4]))
    assert not torch.equal(both["gpu_0/a_w"], both["gpu_0/b_w"])
    assert not torch.equal(both["gpu_0/a_w"], filled("MSRAFill", 6, "a_w", shape=[8, 4]))


def test_bad_fills() -> None:
    with pytest.raises(VmzError, match=r"operator FancyFill .*output gpu_0/w.* is not supported in a param_init_net"):
        filled("FancyFill", shape=[1])
    with pytest.raises(VmzError, match="argument input_as_shape=1 is not supported"):
        filled("ConstantFill", shape=[1], input_as_shape=1)
    with pytest.raises(VmzError, match="shaped by another blob"):
        run_fills(net(op("ConstantFill", "x", "y", value=1.0)))


@pytest.mark.parametrize(
    ("kind", "shape", "said"),
    [
        ("ConstantFill", [-5, 3], "is not a shape: sides are integers, 0 or more"),
        ("ConstantFill", [1 << 20, 1 << 20], "a net may fill 268435456 at most"),
        ("XavierFill", [1 << 40], "a net may fill 268435456 at most"),
        ("GivenTensorFill", [500], "do not fit it"),
        ("XavierFill", [0, 0], "do not fit it"),
        ("MSRAFill", [4], "do not fit it"),
    ],
)
def test_shapes_that_no_fill_can_have_are_a_sentence(kind: str, shape: list[int], said: str) -> None:
    net = NetDef()
    op = net.op.add(type=kind, output=["w"])
    op.arg.add(name="shape", ints=shape)
    with pytest.raises(VmzError, match=said) as caught:
        run_fills(net)
    assert kind in str(caught.value) and len(str(caught.value)) < 400
