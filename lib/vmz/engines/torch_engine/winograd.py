"""Winograd's F(2, 3): of three weights along an axis, two outputs by four products, where plain sums take six.

Of values d0, d1, d2, d3 that follow one another along the axis, and the weights g0, g1, g2, the outputs y0 and y1 are

    m0 = (d0 - d2) g0             m1 = (d1 + d2) (g0 + g1 + g2) / 2
    m3 = (d1 - d3) g2             m2 = (d2 - d1) (g0 - g1 + g2) / 2
    y0 = m0 + m1 + m2             y1 = m1 - m2 - m3

where each product is a convolution that reaches no further along the axis. In float32 the results are mostly nearer to
the exact ones than plain sums: fewer numbers are added. In 16 bits they are not: sums of values are rounded.

Source: S. Winograd, Arithmetic Complexity of Computations, SIAM 1980; A. Lavin and S. Gray, Fast Algorithms for
Convolutional Neural Networks, 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor

FEWEST = 4  # values along the axis. Of two, plain sums take four products as well: the others meet padding.
LARGE_WINDOW = 9  # weights of a window, from which the products outweigh the sums


def parts_of_values(inside: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(d0 - d2, d1 + d2, d2 - d1, d1 - d3) for each pair of outputs, padded by one 0 at both ends of the axis.

    inside: values with an even number along the axis; the four have half of it, and lie in the order of their axes.
    """
    others = inside.shape[axis] // 2 - 1
    d1, d2 = every_other(inside, axis)  # d0 of a pair is d2 of the one before, d3 is d1 of the next
    first, plus, minus, last = inside.new_empty((4, *d1.shape))
    torch.sub(d2.narrow(axis, 0, others), d2.narrow(axis, 1, others), out=first.narrow(axis, 1, others))
    torch.neg(d2.narrow(axis, 0, 1), out=first.narrow(axis, 0, 1))
    torch.add(d1, d2, out=plus)
    torch.sub(d2, d1, out=minus)
    torch.sub(d1.narrow(axis, 0, others), d1.narrow(axis, 1, others), out=last.narrow(axis, 0, others))
    last.narrow(axis, others, 1).copy_(d1.narrow(axis, others, 1))
    return first, plus, minus, last


def parts_of_weight(weight: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2) of three weights along an axis; the axis stays, with one."""
    g0, g1, g2 = weight.split(1, axis)
    ends, middle = (g0 + g2) / 2, g1 / 2
    return g0, ends + middle, ends - middle, g2


def every_other(values: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Those at even and those at odd places of an axis, which is even: views."""
    pairs = values.reshape(*values.shape[:axis], values.shape[axis] // 2, 2, *values.shape[axis + 1 :])
    return pairs.select(axis + 1, 0), pairs.select(axis + 1, 1)
