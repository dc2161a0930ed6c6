"""MaxPool, Max, Min, ReduceMax and the like of our library: the wheel's to the bit, and NaN is not lost in them."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.ops.helpers.beside_the_wheel import compared, printed
from tests.ops.helpers.operator import needs_library, operator_results

# Finite values of few kinds, zeros of both signs among them, so that there are ties; +inf, which no maximum loses.
VALUES = """
def values(random, shape, with_infinity=True):
    few = np.array([0.0, -0.0, 1, -1, 2.5, -7, 1e-40, -1e-40, 3.4e38, np.inf if with_infinity else 9], "f")
    found = random.choice(few, shape) if random.rand() < 0.5 else random.randn(*shape)
    return found.astype("f")
"""

# Any kernel, stride, padding, order and legacy padding, of 1 to 3 axes, large enough for several threads and not.
POOLS = (
    VALUES
    + """
def results():
    random, found = np.random.RandomState(11), []
    number = lambda low, high, count: [int(n) for n in random.randint(low, high, count)]
    for case in range(400):
        axes = 1 + case % 3
        kernels, strides = number(1, 5, axes), number(1, 4, axes)
        pads = [min(pad, kernels[i % axes] - 1) for i, pad in enumerate(number(0, 4, 2 * axes))]
        sizes = [side + kernel for side, kernel in zip(number(0, 17 - 3 * axes, axes), kernels)]
        clips, channels = number(1, 5, 2)
        if case % 4 == 0:
            channels += 37
        order = "NHWC" if case % 5 == 0 else "NCHW"
        shape = (clips, channels, *sizes) if order == "NCHW" else (clips, *sizes, channels)
        arguments = dict(kernels=kernels, strides=strides, order=order)
        legacy = case % 11
        if legacy in (1, 2, 3):
            arguments["legacy_pad"] = legacy
        if legacy not in (1, 2):
            arguments["pads"] = pads[:axes] * 2 if legacy == 3 else pads
        if case % 13 == 0:
            arguments = dict(kernels=[1] * axes, global_pooling=1, order=order)
        workspace.FeedBlob("x", values(random, shape))
        name = "MaxPool" if case % 2 else f"MaxPool{axes}D"
        try:
            found += run(name, ["x"], ["y"], **arguments)
        except RuntimeError as error:
            found.append(np.frombuffer(str(error).split("Error from operator")[0].split("] ", 1)[1].encode(), np.uint8))
            continue
        workspace.FeedBlob("dy", random.randn(*found[-1].shape).astype("f"))
        found += run(name + "Gradient", ["x", "y", "dy"], ["dx"], **arguments)
    for shape in ((0, 3, 5, 5), (2, 3), (2, 3, 0, 5)):
        workspace.FeedBlob("x", np.zeros(shape, "f"))
        try:
            found += run("MaxPool", ["x"], ["y"], kernel=2)
        except RuntimeError as error:
            found.append(np.zeros(1))
    return found
"""
)

OTHERS = (
    VALUES
    + """
def results():
    random, found = np.random.RandomState(12), []
    for case in range(60):
        shape = tuple(int(n) for n in random.randint(1, 9 if case % 6 else 30, 3))
        for name in "abc":
            workspace.FeedBlob(name, values(random, shape, with_infinity=False))
        workspace.FeedBlob("n", random.randint(1, shape[2] + 1, shape[0] * shape[1]).astype("i"))
        for name in ("Max", "Min"):
            found += run(name, ["a", "b", "c"], ["y"]) + run(name, ["a"], ["y"])
            workspace.FeedBlob("d", workspace.FetchBlob("b"))
            found += run(name, ["d", "c"], ["d"])
        for name in ("ReduceMax", "ReduceMin"):
            for axes in ([0], [1], [-1], [0, 2], [2, 1], [0, 1, 2]):
                found += run(name, ["a"], ["y"], axes=axes, keepdims=case % 2)
            found += run(name, ["a"], ["y"])
        for name in ("ReduceFrontMax", "ReduceBackMax"):
            for axes in range(1, 4):
                found += run(name, ["a"], ["y"], num_reduce_dim=axes)
        found += run("ReduceBackMax", ["a", "n"], ["y"]) + run("RowwiseMax", ["a"], ["y"])
        found += run("ColwiseMax", ["a"], ["y"]) + run("ThresholdedRelu", ["a"], ["y"], alpha=0.5)
        for axis in (0, 1, 2, -1):
            found += run("TopK", ["a"], ["y", "i"], k=min(shape), axis=axis)
    for name in ("ReduceMin", "ReduceMax"):
        for kind in ("int32", "int64", "float64"):
            workspace.FeedBlob("x", random.randint(-9, 9, (4, 5)).astype(kind))
            found += run(name, ["x"], ["y"])
    return found
"""
)

THREADS = """
def threads_of_a_pool():
    workspace.FeedBlob("x", np.ones((1, 8, 6, 20, 20), "f"))
    before = len(os.listdir("/proc/self/task"))
    run("MaxPool", ["x"], ["y"], kernels=[2, 2, 2])
    return len(os.listdir("/proc/self/task")) - before

print(threads_of_a_pool())
load()
print(threads_of_a_pool())
"""


@needs_library
def test_pools_are_the_wheels_to_the_bit() -> None:
    assert compared(POOLS) > 600


@needs_library
def test_the_others_are_the_wheels_to_the_bit() -> None:
    assert compared(OTHERS) > 1500


@needs_library
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_a_pool_works_in_all_threads() -> None:
    assert printed(THREADS) == [0, 2]


def largest(x: np.ndarray, kernels: list[int], strides: list[int], pads: list[int]) -> np.ndarray:
    """The definition. x: (clips, channels, *sides)."""
    axes = len(kernels)
    sides = [(side + pads[i] + pads[i + axes] - kernels[i]) // strides[i] + 1 for i, side in enumerate(x.shape[2:])]
    found = np.empty((*x.shape[:2], *sides), x.dtype)
    for at in np.ndindex(*sides):
        begin = [position * stride - pad for position, stride, pad in zip(at, strides, pads)]
        window = tuple(slice(max(first, 0), first + kernel) for first, kernel in zip(begin, kernels))
        taken, filled = (slice(None), slice(None), *window), (slice(None), slice(None), *at)
        values = x[taken]
        found[filled] = values.reshape(*x.shape[:2], -1).max(axis=2)
    return found


@needs_library
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("share", [0.02, 0.6])
def test_windows_with_nan_and_of_nothing_but_infinities(axes: int, order: str, share: float) -> None:
    random = np.random.RandomState(axes)
    for _ in range(12):
        kernels, strides = random.randint(1, 4, axes).tolist(), random.randint(1, 4, axes).tolist()
        pads = [random.randint(0, kernels[i % axes]) for i in range(2 * axes)]
        x = random.randn(3, 41, *(random.randint(0, 6, axes) + kernels)).astype(np.float32)
        for odd in (np.nan, -np.nan, np.inf, -np.inf, -np.inf):
            x[random.rand(*x.shape) < share / 4] = odd
        given = np.moveaxis(x, 1, -1) if order == "NHWC" else x
        (y,) = operator_results("MaxPool", [given], kernels=kernels, strides=strides, pads=pads, order=order)
        y = np.moveaxis(y, -1, 1) if order == "NHWC" else y
        np.testing.assert_array_equal(y, largest(x, kernels, strides, pads))
        (y,) = operator_results("MaxPool", [given], global_pooling=1, kernels=[1] * axes, order=order)
        np.testing.assert_array_equal(y.reshape(x.shape[:2]), x.reshape(*x.shape[:2], -1).max(axis=2))


@needs_library
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_maxima_and_minima_are_those_of_numpy(odd: float, kind: type) -> None:
    random = np.random.RandomState(5)
    a, b, c = (
        np.where(random.rand(4, 5, 6) < 0.3, odd, random.randn(4, 5, 6)).astype(np.dtype(kind)) for _ in range(3)
    )
    a[1], a[:, 2], a[..., 3] = odd, odd, odd
    for name, of_two, of_axes in (("Max", np.maximum, np.max), ("Min", np.minimum, np.min)):
        if kind == np.float32:
            (y,) = operator_results(name, [a, b, c])
            np.testing.assert_array_equal(y, of_two(of_two(a, b), c))
        for axes in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)):
            (y,) = operator_results(f"Reduce{name}", [a], axes=axes, keepdims=0)
            np.testing.assert_array_equal(y, of_axes(a, axis=axes))
    if kind == np.float32:
        for count in (1, 2, 3):
            (y,) = operator_results("ReduceFrontMax", [a], num_reduce_dim=count)
            np.testing.assert_array_equal(y, a.max(axis=tuple(range(count))))
            (y,) = operator_results("ReduceBackMax", [a], num_reduce_dim=count)
            np.testing.assert_array_equal(y, a.max(axis=tuple(range(3 - count, 3))))
        np.testing.assert_array_equal(operator_results("RowwiseMax", [a])[0], a.max(axis=2))
        np.testing.assert_array_equal(operator_results("ColwiseMax", [a])[0], a.max(axis=1))


@needs_library
def test_values_beyond_a_length_do_not_count() -> None:
    x = np.array([[1, 2, np.nan], [np.nan, 4, 5]], np.float32)
    for lengths, expected in (([2, 1], [2, np.nan]), ([3, 3], [np.nan, np.nan])):
        (y,) = operator_results("ReduceBackMax", [x, np.array(lengths, np.int32)])
        np.testing.assert_array_equal(y, np.array(expected, np.float32))
        (y,) = operator_results("ReduceFrontMax", [x.T.copy(), np.array(lengths, np.int32)])
        np.testing.assert_array_equal(y, np.array(expected, np.float32))


@needs_library
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("as_input", [False, True])
def test_the_first_of_the_largest_is_nan(axis: int, as_input: bool) -> None:
    x = np.random.RandomState(3).randn(4, 5, 6).astype(np.float32)
    x[1, 2, 3] = x[3, 0, 5] = np.nan
    k = [np.array([2], np.int64)] if as_input else []
    y = operator_results("TopK", [x, *k], outputs=2, axis=axis, **({} if as_input else {"k": 2}))[0]
    first = y.take(0, axis=axis)
    np.testing.assert_array_equal(np.isnan(first), np.isnan(x).any(axis=axis))
