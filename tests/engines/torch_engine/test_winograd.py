"""F(2, 3) by itself: two outputs of four products are those of a plain sum, along each axis."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vmz.engines.torch_engine import winograd


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("length", [2, 4, 10])
def test_two_outputs_of_four_products(axis: int, length: int) -> None:
    shape = [3, length, 6] if axis == 1 else [3, 6, length]
    values, weight = torch.randn(shape).double(), torch.randn(1, 1, 3, 1).double()
    weight = weight if axis == 1 else weight.transpose(2, 3)
    padding = (1, 0) if axis == 1 else (0, 1)
    expected = F.conv2d(values[:, None], weight, None, 1, padding)[:, 0]
    parts = zip(winograd.parts_of_values(values, axis), winograd.parts_of_weight(weight, axis + 1))
    m0, m1, m2, m3 = (part * of_weight.reshape(()) for part, of_weight in parts)
    y0, y1 = winograd.every_other(expected, axis)
    torch.testing.assert_close(m0 + m1 + m2, y0, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(m1 - m2 - m3, y1, rtol=1e-12, atol=1e-12)


def test_every_other_is_a_view() -> None:
    values = torch.zeros(2, 4, 3)
    even, odd = winograd.every_other(values, 1)
    even += 1
    odd += 2
    assert values[0, :, 0].tolist() == [1, 2, 1, 2]
