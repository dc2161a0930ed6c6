"""Columns in pairs: the same products, in an order that oneDNN multiplies sooner."""

from __future__ import annotations

from typing import Optional

import pytest
import torch
import torch.nn.functional as F

from tests.engines.small_nets import net, op
from vmz.engines.torch_engine import import_net
from vmz.engines.torch_engine.graph.passes import has_fused_convolutions, optimize
from vmz.engines.torch_engine.graph.space_to_depth import columns_in_pairs, weights_in_pairs

needs_fused = pytest.mark.skipif(
    not has_fused_convolutions(torch.bfloat16), reason="this PyTorch has no fused convolutions in bf16"
)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("padding", [0, 1, 2, 3])
@pytest.mark.parametrize("width", [7, 8, 16, 17])
def test_the_same_convolution(channels: int, kernel: int, padding: int, width: int) -> None:
    x, weight = torch.randn(2, channels, 3, 5, width).double(), torch.randn(4, channels, 2, 3, kernel).double()
    expected = F.conv3d(x, weight, None, (1, 2, 2), (1, 1, padding))
    pairs = columns_in_pairs(x, kernel, padding)
    found = F.conv3d(pairs, weights_in_pairs(weight), None, (1, 2, 1), (1, 1, 0))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert pairs.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_same_convolution_of_images() -> None:
    x, weight = torch.randn(2, 1, 9, 13).double(), torch.randn(4, 1, 3, 5).double()
    found = F.conv2d(columns_in_pairs(x, 5, 2), weights_in_pairs(weight), None, (1, 1))
    torch.testing.assert_close(found, F.conv2d(x, weight, None, (1, 2), (0, 2)), rtol=1e-12, atol=1e-12)


@needs_fused
@pytest.mark.parametrize(
    ("half", "channels", "stride", "paired"),
    [
        (torch.bfloat16, 3, 2, True),
        (torch.bfloat16, 1, 2, True),
        (torch.bfloat16, 4, 2, False),  # no padding to save
        (torch.bfloat16, 3, 1, False),  # windows share columns of a pair
        (None, 3, 2, False),  # float32 is not multiplied in pairs
    ],
)
def test_first_layers_read_pairs_where_it_gains(
    half: Optional[torch.dtype], channels: int, stride: int, paired: bool
) -> None:
    main = net(
        op("Conv", "data w b", "a", kernels=[3, 7, 7], pads=[1, 3, 3] * 2, strides=[1, stride, stride]),
        op("Relu", "a", "a"),
        op("Conv", "a v", "c", kernels=[1, 1, 1]),  # the last layer stays in float32
    )
    init = net(
        op("MSRAFill", "", "w", shape=[8, channels, 3, 7, 7]),
        op("ConstantFill", "", "b", shape=[8], value=0.5),
        op("MSRAFill", "", "v", shape=[5, 8, 1, 1, 1]),
    )
    module = import_net(main, init, outputs=["c"])
    optimized = optimize(module, [torch.randn(2, channels, 4, 16, 16)], half)
    assert (columns_in_pairs in [node.target for node in optimized.graph.nodes]) == paired
    near = 1e-5 if half is None else 0.02
    for extent in ((4, 16, 16), (3, 17, 23)):  # what it was laid out for, and another
        data = torch.randn(1, channels, *extent)
        with torch.no_grad():
            expected, found = module(data)["c"], optimized(data)["c"]
        assert found.shape == expected.shape
        assert float((found - expected).abs().max()) < near * float(expected.abs().max())


@needs_fused
def test_what_comes_before_is_read_by_others_too() -> None:
    """The blob that the first layer reads is another layer's as well: that one reads it as it was."""
    main = net(
        op("Conv", "data w", "a", kernels=[1, 3, 3], pads=[0, 1, 1] * 2, strides=[1, 2, 2]),
        op("Relu", "a", "a"),
        op("Conv", "data u", "d", kernels=[1, 1, 1], strides=[1, 2, 2]),
        op("Sum", "a d", "s"),
        op("Relu", "s", "s"),
    )
    init = net(op("MSRAFill", "", "w", shape=[8, 3, 1, 3, 3]), op("MSRAFill", "", "u", shape=[8, 3, 1, 1, 1]))
    module = import_net(main, init, outputs=["s", "a"])
    data = torch.randn(2, 3, 4, 12, 12)
    optimized = optimize(module, [data], torch.bfloat16)
    with torch.no_grad():
        expected, found = module(data), optimized(data)
    for blob in ("s", "a"):
        assert float((found[blob] - expected[blob]).abs().max()) < 0.02 * float(expected[blob].abs().max())
