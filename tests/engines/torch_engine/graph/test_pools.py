"""Pools done sooner: the same numbers, and the layout stays."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from tests.engines.small_nets import net, op
from vmz.engines.torch_engine import import_net
from vmz.engines.torch_engine.graph import pools
from vmz.engines.torch_engine.graph.passes import channels_last, has_fused_convolutions, optimize
from vmz.engines.torch_engine.precision import layers_take_bf16

needs_bf16 = pytest.mark.skipif(not layers_take_bf16(), reason="this PyTorch has not all layers in bf16")
SIZES = list(product((1, 4, 5), (6, 7), (9,)))
WINDOWS = [
    ((1, 3, 3), (1, 2, 2), (0, 1, 1)),  # pool1 of the networks
    ((2, 2, 2), (2, 2, 2), (0, 0, 0)),  # of C3D
    ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ((3, 1, 2), (3, 2, 1), (1, 0, 1)),
    ((1, 1, 1), (1, 2, 3), (0, 0, 0)),
    ((1, 5, 5), (1, 4, 4), (0, 2, 2)),
]


def rectified(*shape: int) -> torch.Tensor:
    return channels_last(torch.randn(shape, generator=torch.Generator().manual_seed(1)).relu_().bfloat16())


@needs_bf16
@pytest.mark.parametrize("window", WINDOWS)
def test_max_pools_of_clips_are_those_of_pytorch(window: tuple[pools.Window, pools.Window, pools.Window]) -> None:
    compared = 0
    for size in SIZES:
        if any(extent + 2 * pad < kernel for extent, kernel, pad in zip(size, window[0], window[2])):
            continue
        x = rectified(2, 5, *size)
        found = pools.max_of_rectified(x, *window)
        assert torch.equal(found, F.max_pool3d(x.float(), *window).bfloat16())
        assert found.is_contiguous(memory_format=torch.channels_last_3d)
        compared += 1
    assert compared >= 4


@needs_bf16
def test_max_pools_of_images_float32_and_infinities() -> None:
    image = rectified(2, 5, 8, 9)
    image[1, 2] = float("inf")
    found = pools.max_of_rectified(image, (3, 3), (2, 2), (1, 1))
    assert torch.equal(found, F.max_pool2d(image.float(), 3, 2, 1).bfloat16()) and found.isinf().any()
    clips = rectified(1, 3, 2, 6, 6).float()
    assert torch.equal(pools.max_of_rectified(clips, *WINDOWS[0]), F.max_pool3d(clips, *WINDOWS[0]))


def test_a_mean_over_everything_and_over_windows() -> None:
    x = channels_last(torch.randn(2, 40, 4, 7, 7))
    whole = pools.average(x, (4, 7, 7), (1, 1, 1), (0, 0, 0), count_include_pad=False)
    assert whole.shape == (2, 40, 1, 1, 1)
    torch.testing.assert_close(whole, x.double().mean((2, 3, 4), keepdim=True).float(), rtol=1e-6, atol=1e-7)
    larger = channels_last(torch.randn(2, 40, 4, 9, 9))  # fully convolutional: the window moves
    kept = pools.average(larger, (4, 7, 7), (1, 1, 1), (0, 0, 0), count_include_pad=False)
    assert torch.equal(kept, F.avg_pool3d(larger, (4, 7, 7), 1))
    line = torch.randn(2, 40, 9)
    assert torch.equal(pools.average(line, (7,), (1,), (0,)), F.avg_pool1d(line, 7, 1))
    padded = pools.average(x, (4, 7, 7), (1, 1, 1), (0, 3, 3), count_include_pad=False)
    assert torch.equal(padded, F.avg_pool3d(x, (4, 7, 7), 1, (0, 3, 3), count_include_pad=False))


@pytest.mark.parametrize("relu", [True, False])
def test_only_what_a_relu_gave_is_compared_as_integers(relu: bool) -> None:
    if not has_fused_convolutions(torch.bfloat16):
        pytest.skip("this PyTorch has no fused convolutions in bf16")
    main = net(op("Conv", "data w", "a", kernels=[3, 3, 3], pads=[1] * 6))
    main.op.extend([op("Relu", "a", "a")] if relu else [])
    main.op.append(op("MaxPool", "a", "p", kernels=[1, 3, 3], strides=[1, 2, 2], pads=[0, 1, 1] * 2))
    module = import_net(main, net(op("MSRAFill", "", "w", shape=[8, 3, 3, 3, 3])), outputs=["p"])
    data = torch.randn(2, 3, 4, 8, 8) - 1
    optimized = optimize(module, [data], torch.bfloat16)
    assert (pools.max_of_rectified in [node.target for node in optimized.graph.nodes]) == relu
    with torch.no_grad():
        expected, found = module(data)["p"], optimized(data)["p"]
    assert (expected < 0).any() != relu
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
