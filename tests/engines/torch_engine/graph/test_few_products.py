"""Convolutions with fewer products: the same numbers, as near to the exact ones, where they are sooner."""

from __future__ import annotations

from typing import Any, Optional

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.engines.small_nets import net, op
from vmz.engines.torch_engine import import_net
from vmz.engines.torch_engine.graph import few_products
from vmz.engines.torch_engine.graph.packed import Layout
from vmz.engines.torch_engine.graph.passes import channels_last, has_fused_convolutions, optimize

needs_fused = pytest.mark.skipif(not has_fused_convolutions(), reason="this PyTorch has no fused convolutions")
FULL = Layout([1, 1, 1], [1, 1, 1], [1, 1, 1], 1)
FIRST = Layout([1, 3, 3], [1, 2, 2], [1, 1, 1], 1)
WITHIN = Layout([0, 1, 1], [1, 1, 1], [1, 1, 1], 1)


def drawn(*shape: int) -> Tensor:
    return channels_last(torch.randn(shape, generator=torch.Generator().manual_seed(4)))


def found(x: Tensor, weight: Tensor, bias: Optional[Tensor], layout: Layout, axis: int, **others: Any) -> Tensor:
    parts = few_products.packed_parts(weight, layout, axis, x.shape)
    return few_products.convolve(x, parts, bias, layout, axis, **{"relu": False, **others})


@needs_fused
@pytest.mark.parametrize("frames", [4, 5, 8])
@pytest.mark.parametrize(
    ("layout", "axis", "kernel"), [(FULL, 2, (3, 3, 3)), (FULL, 3, (3, 3, 3)), (WITHIN, 3, (1, 3, 3))]
)
@pytest.mark.parametrize("with_sum", [False, True])
def test_the_same_convolution_of_clips(
    frames: int, layout: Layout, axis: int, kernel: tuple[int, ...], with_sum: bool
) -> None:
    x, weight, bias = drawn(2, 12, frames, 7, 6), drawn(10, 12, *kernel) / 10, torch.randn(10)
    plain = F.conv3d(x.double(), weight.double(), bias.double(), 1, layout.padding)
    other = drawn(*plain.shape) if with_sum else None
    expected = F.relu(plain if other is None else plain + other.double())
    own = found(x, weight, bias, layout, axis, relu=True, other=other)
    assert own.dtype == torch.float32 and own.is_contiguous(memory_format=torch.channels_last_3d)
    assert (own - expected).abs().max() <= 2e-6 * expected.abs().max()


@needs_fused
@pytest.mark.parametrize(("clips", "frames"), [(1, 4), (2, 5), (3, 6), (0, 4)])
@pytest.mark.parametrize("with_sum", [False, True])
def test_first_layers_by_pairs_of_frames(clips: int, frames: int, with_sum: bool) -> None:
    x, weight, bias = drawn(clips, 3, frames, 17, 22), drawn(10, 3, 3, 7, 7) / 10, torch.randn(10)
    plain = F.conv3d(x.double(), weight.double(), bias.double(), (1, 2, 2), (1, 3, 3))
    other = drawn(*plain.shape) if with_sum else None
    parts = few_products.packed_parts(weight, FIRST, 2, (1, *x.shape[1:]))
    own = few_products.convolve(x, parts, bias, FIRST, 2, True, other)
    expected = F.relu(plain if other is None else plain + other.double())
    assert own.dtype == torch.float32 and own.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(own.double(), expected, rtol=1e-5, atol=1e-5)


@needs_fused
def test_the_same_convolution_of_images() -> None:
    x, weight = drawn(2, 12, 8, 9), drawn(10, 12, 3, 3) / 10
    layout = Layout([1, 2], [1, 1], [1, 1], 1)
    expected = F.conv2d(x.double(), weight.double(), None, 1, (1, 2))
    assert (found(x, weight, None, layout, 2) - expected).abs().max() <= 2e-6 * expected.abs().max()


@needs_fused
@pytest.mark.parametrize("clips", [0, 1, 5])
def test_clips_one_after_another(clips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More clips than are computed at a time, and none."""
    monkeypatch.setattr(few_products, "AT_ONCE", 2 * 2 * 12 * 4 * 7 * 6)  # two clips
    x, weight, bias = drawn(clips, 12, 4, 7, 6), drawn(10, 12, 3, 3, 3) / 10, torch.randn(10)
    other = drawn(clips, 10, 4, 7, 6)
    parts = few_products.packed_parts(weight, FULL, 2, (2, *x.shape[1:]))
    own = few_products.convolve(x, parts, bias, FULL, 2, False, other)
    expected = F.conv3d(x.double(), weight.double(), bias.double(), 1, 1) + other.double()
    assert own.shape == expected.shape
    torch.testing.assert_close(own.double(), expected, rtol=1e-5, atol=1e-5)


@needs_fused
@pytest.mark.parametrize(
    ("read", "weights", "scale", "layout"),
    [((1, 64, 8, 28, 28), (64, 64, 3, 3, 3), 40, FULL), ((1, 3, 8, 112, 112), (64, 3, 3, 7, 7), 20, FIRST)],
)
def test_errors_are_no_larger_than_those_of_plain_sums(
    read: tuple[int, ...], weights: tuple[int, ...], scale: int, layout: Layout
) -> None:
    x, weight = drawn(*read), drawn(*weights) / scale
    exact = F.conv3d(x.double(), weight.double(), None, layout.stride, layout.padding)
    packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *layout, x.shape)
    plain = torch.ops.mkldnn._convolution_pointwise.default(x, packed, None, *layout, "none", [], "")
    own, reference = ((values - exact).abs() for values in (found(x, weight, None, layout, 2), plain))
    assert own.max() <= reference.max() and own.mean() <= reference.mean()
    assert own.max() <= 2e-6 * exact.abs().max()


@pytest.mark.parametrize(
    ("extent", "kernel", "layout", "axis"),
    [
        ((1, 64, 8, 28, 28), (3, 3, 3), FULL, 2),
        ((1, 64, 8, 28, 28), (1, 3, 3), WITHIN, 3),
        ((1, 64, 7, 28, 28), (3, 3, 3), FULL, 3),  # an odd number of frames: over the height
        ((1, 64, 2, 28, 28), (3, 3, 3), FULL, 3),  # of two frames nothing is saved
        ((1, 64, 7, 27, 28), (3, 3, 3), FULL, None),
        ((1, 64, 2, 14, 14), (3, 3, 3), FULL, None),  # few positions
        ((1, 16, 8, 28, 28), (3, 3, 3), FULL, None),  # few channels
        ((1, 3, 8, 112, 112), (3, 7, 7), FIRST, 2),
        ((2, 3, 32, 64, 128), (3, 7, 7), FIRST, 2),
        ((1, 3, 8, 90, 90), (3, 7, 7), FIRST, None),  # a small picture
        ((1, 3, 7, 112, 112), (3, 7, 7), FIRST, None),
        ((1, 3, 8, 112, 112), (1, 7, 7), FIRST._replace(padding=[0, 3, 3]), None),
        ((1, 3, 8, 112, 112), (3, 7, 7), FIRST._replace(stride=[2, 2, 2]), None),
        ((1, 3, 8, 112, 112), (3, 3, 3), FIRST._replace(padding=[1, 1, 1]), None),  # a small window
        ((1, 3, 112, 112), (3, 7), Layout([1, 3], [1, 2], [1, 1], 1), None),
        ((1, 64, 8, 28, 28), (3, 1, 1), Layout([1, 0, 0], [1, 1, 1], [1, 1, 1], 1), None),  # a small window
        ((1, 64, 8, 28, 28), (3, 3, 3), FULL._replace(padding=[0, 0, 0]), None),
        ((1, 64, 8, 28, 28), (3, 3, 3), FULL._replace(stride=[1, 2, 2]), None),
        ((1, 64, 8, 28, 28), (3, 3, 3), FULL._replace(padding=[2, 2, 2], dilation=[2, 2, 2]), None),
        ((1, 64, 8, 28, 28), (3, 3, 3), FULL._replace(groups=2), None),
    ],
)
def test_where_it_gains(extent: tuple[int, ...], kernel: tuple[int, ...], layout: Layout, axis: Optional[int]) -> None:
    weight = torch.empty(8, extent[1] // layout.groups, *kernel)
    assert few_products.axis_of(extent, weight, layout) == axis
    assert few_products.axis_of(extent, weight.bfloat16(), layout) is None  # sums of values would be rounded


def block(sum_of: str) -> tuple[Any, Any]:
    """(net, init_net): two convolutions of 3x3x3, and a sum."""
    main = net(
        op("Conv", "data w", "a", kernels=[3, 3, 3], pads=[1] * 6),
        op("Relu", "a", "a"),
        op("Conv", "a v", "c", kernels=[3, 3, 3], pads=[1] * 6),
        op("Sum", sum_of, "s"),
        op("Relu", "s", "s"),
        op("Conv", "s u", "d", kernels=[1, 1, 1]),
    )
    init = net(
        op("MSRAFill", "", "w", shape=[32, 32, 3, 3, 3]),
        op("MSRAFill", "", "v", shape=[32, 32, 3, 3, 3]),
        op("MSRAFill", "", "u", shape=[8, 32, 1, 1, 1]),
    )
    return main, init


@needs_fused
@pytest.mark.parametrize("wanted", [["d"], ["d", "a", "s"], ["d", "c"]])
@pytest.mark.parametrize(("sum_of", "sums"), [("c a", 0), ("a c", 0), ("c data", 0), ("c c", 1)])
def test_nets_take_it_with_the_sum_that_follows(sum_of: str, sums: int, wanted: list[str]) -> None:
    main, init = block(sum_of)
    module = import_net(main, init, outputs=wanted)
    optimized = optimize(module, [torch.randn(1, 32, 4, 12, 12)])
    targets = [node.target for node in optimized.graph.nodes]
    assert targets.count(few_products.convolve) == 2
    assert targets.count(torch.add) == (1 if "c" in wanted else sums)  # a result that is asked for stays
    for extent in ((4, 12, 12), (3, 11, 9), (1, 5, 5)):  # what it was laid out for, and others
        data = torch.randn(2, 32, *extent)
        with torch.no_grad():
            expected, own = module(data), optimized(data)
        for blob in wanted:
            assert own[blob].shape == expected[blob].shape
            assert float((own[blob] - expected[blob]).abs().max()) <= 5e-6 * float(expected[blob].abs().max())
