"""Conv and Relu of our library are the wheel's, in threads."""

from __future__ import annotations

import os

import pytest

from tests.ops.helpers.beside_the_wheel import compared, printed
from tests.ops.helpers.operator import needs_library

# Any kernel, stride, dilation, padding, group and order, of 1 to 3 axes. A size of padding alone is among them.
EQUAL = """
def results():
    random, found = np.random.RandomState(7), []
    number = lambda low, high, count: [int(n) for n in random.randint(low, high, count)]
    for case in range(180):
        axes = 1 + case % 3
        kernels, strides, dilations = number(1, 4, axes), number(1, 4, axes), number(1, 3, axes)
        pads, sizes = number(0, 4, 2 * axes), number(1, 12, axes)
        group, inner, outer, clips = (number(1, 4, 1)[0] for _ in range(4))
        spans = [(kernel - 1) * dilation + 1 for kernel, dilation in zip(kernels, dilations)]
        if any(size + pads[i] + pads[i + axes] < spans[i] for i, size in enumerate(sizes)):
            continue
        order = "NHWC" if case % 7 == 0 else "NCHW"
        shape = lambda first, channels, sizes: (
            (first, channels, *sizes) if order == "NCHW" else (first, *sizes, channels))
        workspace.FeedBlob("x", random.randn(*shape(clips, inner * group, sizes)).astype("f"))
        workspace.FeedBlob("w", random.randn(*shape(outer * group, inner, kernels)).astype("f"))
        workspace.FeedBlob("b", random.randn(outer * group).astype("f"))
        arguments = dict(kernels=kernels, strides=strides, dilations=dilations, pads=pads, group=group, order=order)
        found += run("Conv", ["x", "w", "b"], ["y"], **arguments)
        workspace.FeedBlob("dy", random.randn(*found[-1].shape).astype("f"))
        found += run("ConvGradient", ["x", "w", "dy"], ["dw", "db", "dx"], **arguments)
    special = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 1, -1], "f")
    for shape in ((), (0, 3), (1,), (7,), (3, 5, 11), (2, 9, 4, 40, 40)):
        workspace.FeedBlob("x", np.resize(random.permutation(special), shape).astype("f"))
        found += run("Relu", ["x"], ["y"]) + run("Relu", ["x"], ["x"])
    return found
"""

# MKL has one thread here, so that those which come with a convolution are its own.
THREADS = """
def threads_of_a_convolution():
    for name, shape in (("x", (1, 8, 6, 20, 20)), ("w", (4, 8, 3, 3, 3)), ("b", (4,))):
        workspace.FeedBlob(name, np.ones(shape, "f"))
    before = len(os.listdir("/proc/self/task"))
    run("Conv", ["x", "w", "b"], ["y"], kernels=[3, 3, 3])
    return len(os.listdir("/proc/self/task")) - before

print(threads_of_a_convolution())
load()
print(threads_of_a_convolution())
"""


@needs_library
def test_results_are_the_wheels_to_the_bit() -> None:
    assert compared(EQUAL) > 300


@needs_library
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_a_convolution_works_in_all_threads() -> None:
    assert printed(THREADS) == [0, 2]
