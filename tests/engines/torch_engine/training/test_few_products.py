"""Convolutions over time with fewer products: the same numbers, and as near to the exact ones as PyTorch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vmz.engines.torch_engine.training import convolution, few_products
from vmz.engines.torch_engine.training.convolution import conv3d, has_gradients_by_name
from vmz.engines.torch_engine.training.window import Window, gradient_by_pytorch

pytestmark = pytest.mark.skipif(
    not has_gradients_by_name(), reason="this PyTorch has no gradients of convolutions by name"
)

# clips, frames, kernel within frames, stride and padding within frames
CASES = {
    "3x3x3": (2, 8, (3, 3), (1, 1), (1, 1)),
    "one clip of four frames": (1, 4, (3, 3), (1, 1), (1, 1)),
    "two frames": (3, 2, (3, 3), (1, 1), (1, 1)),
    "no padding within frames": (2, 6, (3, 3), (1, 1), (0, 0)),
    "wide padding within frames": (2, 4, (3, 3), (1, 1), (3, 3)),
    "another kernel": (2, 4, (5, 2), (1, 1), (2, 1)),
    "stride within frames": (2, 8, (7, 7), (2, 2), (3, 3)),
}


def drawn(name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Window]:
    clips, frames, kernel, stride, padding = CASES[name]
    random = torch.Generator().manual_seed(5)
    x = torch.randn((clips, 5, frames, 11, 10), generator=random).double()
    weight = torch.randn((6, 5, 3, *kernel), generator=random).double()
    bias = torch.randn(6, generator=random).double()
    x, weight = (value.contiguous(memory_format=torch.channels_last_3d) for value in (x, weight))
    return x, weight, bias, Window((1, *stride), (1, *padding), (1, 1, 1), 1)


@pytest.mark.parametrize("name", CASES)
def test_the_same_numbers_in_float64(name: str) -> None:
    x, weight, bias, window = drawn(name)
    found, expected = few_products.convolve(x, weight, bias, window), F.conv3d(x, weight, bias, *window)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-11)
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    gradient = torch.randn(expected.shape).double().contiguous(memory_format=torch.channels_last_3d)
    for function, of_x in ((few_products.input_gradient, True), (few_products.weight_gradient, False)):
        own = function(gradient, x, weight, window)
        torch.testing.assert_close(
            own, gradient_by_pytorch(gradient, x, weight, window, of_x=of_x), rtol=1e-12, atol=1e-11
        )


def test_errors_in_float32_are_no_larger_than_pytorchs() -> None:
    random = torch.Generator().manual_seed(6)
    x = torch.randn((2, 64, 8, 28, 28), generator=random).contiguous(memory_format=torch.channels_last_3d)
    weight = torch.randn((64, 64, 3, 3, 3), generator=random) / 40
    window = Window((1, 1, 1), (1, 1, 1), (1, 1, 1), 1)
    exact = F.conv3d(x.double(), weight.double(), None, *window)
    own, pytorchs = few_products.convolve(x, weight, None, window), F.conv3d(x, weight, None, *window)
    assert (own - exact).abs().max() <= 1.2 * (pytorchs - exact).abs().max()
    assert (own - exact).abs().max() <= 2e-6 * exact.abs().max()


@pytest.mark.parametrize(
    ("clips", "kernel", "window", "dtype", "expected"),
    [
        ((2, 4, 8, 28, 28), (3, 3, 3), Window((1, 1, 1), (1, 1, 1), (1, 1, 1), 1), torch.float32, True),
        ((2, 4, 8, 28, 28), (3, 3, 3), Window((1, 1, 1), (1, 1, 1), (1, 1, 1), 1), torch.bfloat16, False),  # rounded
        ((2, 4, 8, 28, 28), (3, 1, 1), Window((1, 1, 1), (1, 0, 0), (1, 1, 1), 1), torch.float32, False),  # few a sum
        ((2, 4, 7, 28, 28), (3, 3, 3), Window((1, 1, 1), (1, 1, 1), (1, 1, 1), 1), torch.float32, False),  # odd
        ((4, 4, 2, 28, 28), (3, 3, 3), Window((1, 1, 1), (1, 1, 1), (1, 1, 1), 1), torch.float32, False),  # no gain
        ((2, 4, 8, 28, 28), (3, 3, 3), Window((2, 1, 1), (1, 1, 1), (1, 1, 1), 1), torch.float32, False),
        ((2, 4, 8, 28, 28), (3, 3, 3), Window((1, 1, 1), (0, 1, 1), (1, 1, 1), 1), torch.float32, False),
        ((2, 4, 8, 28, 28), (3, 3, 3), Window((1, 1, 1), (2, 1, 1), (2, 1, 1), 1), torch.float32, False),
        ((2, 4, 8, 28, 28), (3, 3, 3), Window((1, 1, 1), (1, 1, 1), (1, 1, 1), 2), torch.float32, False),
        ((1, 4, 4, 28, 28), (3, 3, 3), Window((1, 1, 1), (1, 1, 1), (1, 1, 1), 1), torch.float32, False),  # small
    ],
)
def test_what_it_suits(
    clips: tuple[int, ...], kernel: tuple[int, ...], window: Window, dtype: torch.dtype, expected: bool
) -> None:
    weight = torch.empty((6, clips[1] // window.groups, *kernel), dtype=dtype)
    assert few_products.suits(torch.empty(clips, dtype=dtype), weight, window) == expected


def test_training_uses_it_where_it_suits(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name in ("convolve", "input_gradient", "weight_gradient"):
        function = getattr(few_products, name)

        def counted(*arguments: object, name: str = name, function: object = function) -> object:
            called.append(name)
            return function(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(few_products, name, counted)
    x, weight = torch.randn(2, 3, 8, 46, 46, requires_grad=True), torch.randn(4, 3, 3, 3, 3, requires_grad=True)
    conv3d(x, weight, None, (1, 1, 1), (1, 1, 1)).sum().backward()
    assert convolution.CLIPS_APART <= 2 * 8 * 46 * 46
    assert called.count("weight_gradient") == called.count("input_gradient") == 1 and called[0] == "convolve"
