"""Convolutions with fewer products over time or height: the same numbers, as near to the exact ones as PyTorch's."""

from __future__ import annotations

from typing import Optional

import pytest
import torch
import torch.nn.functional as F

from vmz.engines.torch_engine.training import few_products
from vmz.engines.torch_engine.training.convolution import conv3d, has_gradients_by_name
from vmz.engines.torch_engine.training.few_products import HEIGHT, TIME
from vmz.engines.torch_engine.training.window import Window, gradient_by_pytorch

pytestmark = pytest.mark.skipif(
    not has_gradients_by_name(), reason="this PyTorch has no gradients of convolutions by name"
)

# axis; clips, frames, rows; kernel, stride and padding
CASES = {
    "3x3x3": (TIME, (2, 8, 11), (3, 3, 3), (1, 1, 1), (1, 1, 1)),
    "one clip of four frames": (TIME, (1, 4, 11), (3, 3, 3), (1, 1, 1), (1, 1, 1)),
    "two frames": (TIME, (3, 2, 11), (3, 3, 3), (1, 1, 1), (1, 1, 1)),
    "no padding within frames": (TIME, (2, 6, 11), (3, 3, 3), (1, 1, 1), (1, 0, 0)),
    "wide padding within frames": (TIME, (2, 4, 11), (3, 3, 3), (1, 1, 1), (1, 3, 3)),
    "another kernel": (TIME, (2, 4, 11), (3, 5, 2), (1, 1, 1), (1, 2, 1)),
    "stride within frames": (TIME, (2, 8, 11), (3, 7, 7), (1, 2, 2), (1, 3, 3)),
    "1x3x3": (HEIGHT, (2, 3, 12), (1, 3, 3), (1, 1, 1), (0, 1, 1)),
    "one frame of four rows": (HEIGHT, (1, 1, 4), (1, 3, 3), (1, 1, 1), (0, 1, 1)),
    "another width of the kernel": (HEIGHT, (2, 2, 6), (1, 3, 5), (1, 1, 1), (0, 1, 0)),
    "wide padding of the width": (HEIGHT, (2, 2, 6), (1, 3, 3), (1, 1, 1), (0, 1, 4)),
    "stride of the width": (HEIGHT, (2, 3, 8), (1, 3, 4), (1, 1, 2), (0, 1, 1)),
}
ONES = (1, 1, 1)


def drawn(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Window, int]:
    axis, (clips, frames, rows), kernel, stride, padding = CASES[name]
    random = torch.Generator().manual_seed(5)
    x = torch.randn((clips, 5, frames, rows, 10), generator=random).double()
    weight = torch.randn((6, 5, *kernel), generator=random).double()
    bias = torch.randn(6, generator=random).double()
    x, weight = (value.contiguous(memory_format=torch.channels_last_3d) for value in (x, weight))
    return x, weight, bias, Window(stride, padding, ONES, 1), axis


@pytest.mark.parametrize("name", CASES)
def test_the_same_numbers_in_float64(name: str) -> None:
    x, weight, bias, window, axis = drawn(name)
    found, expected = few_products.convolve(x, weight, bias, window, axis), F.conv3d(x, weight, bias, *window)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-11)
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    gradient = torch.randn(expected.shape).double().contiguous(memory_format=torch.channels_last_3d)
    for function, of_x in ((few_products.input_gradient, True), (few_products.weight_gradient, False)):
        own = function(gradient, x, weight, window, axis)
        torch.testing.assert_close(
            own, gradient_by_pytorch(gradient, x, weight, window, of_x=of_x), rtol=1e-12, atol=1e-11
        )


@pytest.mark.parametrize(("axis", "kernel", "padding"), [(TIME, (3, 3, 3), (1, 1, 1)), (HEIGHT, (1, 3, 3), (0, 1, 1))])
def test_errors_in_float32_are_no_larger_than_pytorchs(
    axis: int, kernel: tuple[int, ...], padding: tuple[int, ...]
) -> None:
    random = torch.Generator().manual_seed(6)
    x = torch.randn((2, 64, 8, 28, 28), generator=random).contiguous(memory_format=torch.channels_last_3d)
    weight = torch.randn((64, 64, *kernel), generator=random) / 40
    window = Window(ONES, padding, ONES, 1)
    exact = F.conv3d(x.double(), weight.double(), None, *window)
    own, pytorchs = few_products.convolve(x, weight, None, window, axis), F.conv3d(x, weight, None, *window)
    assert (own - exact).abs().max() <= 1.2 * (pytorchs - exact).abs().max()
    assert (own - exact).abs().max() <= 2e-6 * exact.abs().max()


CLIPS = (2, 4, 8, 28, 28)
AROUND, WITHIN = (1, 1, 1), (0, 1, 1)  # padding


@pytest.mark.parametrize(
    ("clips", "kernel", "window", "dtype", "expected"),
    [
        (CLIPS, (3, 3, 3), Window(ONES, AROUND, ONES, 1), torch.float32, TIME),
        (CLIPS, (3, 3, 3), Window(ONES, AROUND, ONES, 1), torch.bfloat16, None),  # rounded
        (CLIPS, (3, 1, 1), Window(ONES, (1, 0, 0), ONES, 1), torch.float32, None),  # few a sum
        ((2, 4, 7, 28, 28), (3, 3, 3), Window(ONES, AROUND, ONES, 1), torch.float32, None),  # odd
        ((4, 4, 2, 28, 28), (3, 3, 3), Window(ONES, AROUND, ONES, 1), torch.float32, None),  # no gain
        (CLIPS, (3, 3, 3), Window((2, 1, 1), AROUND, ONES, 1), torch.float32, None),
        (CLIPS, (3, 3, 3), Window(ONES, WITHIN, ONES, 1), torch.float32, None),
        (CLIPS, (3, 3, 3), Window(ONES, (2, 1, 1), (2, 1, 1), 1), torch.float32, None),
        (CLIPS, (3, 3, 3), Window(ONES, AROUND, ONES, 2), torch.float32, None),
        ((1, 4, 4, 28, 28), (3, 3, 3), Window(ONES, AROUND, ONES, 1), torch.float32, None),  # small
        (CLIPS, (1, 3, 3), Window(ONES, WITHIN, ONES, 1), torch.float32, HEIGHT),
        ((2, 4, 7, 28, 27), (1, 3, 3), Window(ONES, WITHIN, ONES, 1), torch.float32, HEIGHT),
        ((2, 4, 8, 27, 28), (1, 3, 3), Window(ONES, WITHIN, ONES, 1), torch.float32, None),  # odd
        (CLIPS, (1, 1, 9), Window(ONES, (0, 0, 4), ONES, 1), torch.float32, None),
        (CLIPS, (1, 3, 3), Window((2, 1, 1), WITHIN, ONES, 1), torch.float32, None),
        (CLIPS, (1, 3, 3), Window((1, 2, 2), WITHIN, ONES, 1), torch.float32, None),
        (CLIPS, (1, 3, 3), Window(ONES, AROUND, ONES, 1), torch.float32, None),  # more frames than it reads
        (CLIPS, (1, 3, 3), Window(ONES, (0, 2, 1), (1, 2, 1), 1), torch.float32, None),
        ((2, 4, 1, 28, 28), (1, 3, 3), Window(ONES, WITHIN, ONES, 1), torch.float32, None),  # small
    ],
)
def test_the_axis_that_suits(
    clips: tuple[int, ...], kernel: tuple[int, ...], window: Window, dtype: torch.dtype, expected: Optional[int]
) -> None:
    weight = torch.empty((6, clips[1] // window.groups, *kernel), dtype=dtype)
    assert few_products.axis_of(torch.empty(clips, dtype=dtype), weight, window) == expected


# channels, frames, rows; kernel, padding; whether the weights' gradient gains
TRAINED = {
    "time": ((3, 8, 46), (3, 3, 3), AROUND, True),
    "time, fewer positions": ((3, 8, 44), (3, 3, 3), AROUND, False),
    "height": ((64, 4, 24), (1, 3, 3), WITHIN, True),
    "height, fewer channels": ((63, 4, 24), (1, 3, 3), WITHIN, False),
}


@pytest.mark.parametrize("name", TRAINED)
def test_training_uses_it_where_it_suits(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (channels, frames, rows), kernel, padding, with_weights = TRAINED[name]
    called = []
    for part in ("convolve", "input_gradient", "weight_gradient"):
        function = getattr(few_products, part)

        def counted(*arguments: object, name: str = part, function: object = function) -> object:
            called.append(name)
            return function(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(few_products, part, counted)
    x = torch.randn(2, channels, frames, rows, rows, requires_grad=True)
    weight = torch.randn(4, channels, *kernel, requires_grad=True)
    y = conv3d(x, weight, None, ONES, padding)
    y.sum().backward()
    assert called[0] == "convolve" and called.count("input_gradient") == 1
    assert called.count("weight_gradient") == with_weights
    expected = F.conv3d(x, weight, None, ONES, padding)
    gradients = x.grad, weight.grad
    x.grad = weight.grad = None
    expected.sum().backward()
    for own, pytorchs in zip((y, *gradients), (expected, x.grad, weight.grad)):
        assert own is not None and pytorchs is not None
        assert (own - pytorchs).abs().max() <= 1e-5 * pytorchs.abs().max()
