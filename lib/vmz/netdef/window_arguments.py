"""The arguments that place a window: kernel, stride, pad and dilation, in the spellings that Caffe2 takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from vmz.errors import VmzError

NOTSET, VALID, SAME, CAFFE = 0, 1, 2, 3  # legacy_pad; CAFFE: the last partial window counts, as in the first Caffe


class Window(NamedTuple):
    """A sliding window, one number an axis; `before` and `after` are the pads at both ends."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    dilation: tuple[int, ...]
    legacy: int = NOTSET

    def pads(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """(before, after) for each axis of an input of `sizes`."""
        found = []
        for axis, size in enumerate(sizes):
            stride, before, after, reach = self.stride[axis], self.before[axis], self.after[axis], self.reach(axis)
            if self.legacy == SAME:
                needed = max((-(-size // stride) - 1) * stride + reach - size, 0)
                before, after = needed // 2, needed - needed // 2
            elif self.legacy == CAFFE:
                steps = -(-(size + before + after - reach) // stride)
                if before and steps * stride >= size + before:  # a window may not begin in the padding behind
                    steps -= 1
                after = steps * stride + reach - size - before
            found.append((before, after))
        return found

    def reach(self, axis: int) -> int:
        """How far a window extends along an axis."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def positions(self, sizes: Sequence[int]) -> list[int]:
        """How many windows fit along each axis; 0 or less where none does."""
        ends = self.pads(sizes)
        return [(size + sum(ends[axis]) - self.reach(axis)) // self.stride[axis] + 1 for axis, size in enumerate(sizes)]


def read_window(what: str, arguments: Mapping[str, Any]) -> Window:
    """The window of a Conv or a pooling. A single `kernel` means two axes, as in Caffe2. VmzError about `what`."""
    kernel = _per_axis(what, arguments, "kernel", 0, None)
    axes = len(kernel)
    legacy = arguments.get("legacy_pad", NOTSET)
    if legacy not in (NOTSET, VALID, SAME, CAFFE):
        raise VmzError(
            f"{what}: argument legacy_pad={legacy!r} is not one of 0, 1 (VALID), 2 (SAME) and 3 (as in the first Caffe)"
        )
    pads = read_pads(what, arguments, axes)
    if legacy in (VALID, SAME) and any(pads):
        raise VmzError(f"{what}: argument legacy_pad={legacy} leaves no room for pads={list(pads)} beside it")
    stride = _per_axis(what, arguments, "stride", 1, axes)
    dilation = _per_axis(what, arguments, "dilation", 1, axes)
    return Window(kernel, stride, tuple(pads[:axes]), tuple(pads[axes:]), dilation, legacy)


def read_pads(what: str, arguments: Mapping[str, Any], axes: int = 2) -> list[int]:
    """Begins, then ends: top, left, bottom, right of two axes. VmzError about `what`."""
    pads = arguments.get("pads")
    if pads is None:
        pads = read_sides(what, arguments, "pad", "tlbr", 0) if axes == 2 else [arguments.get("pad", 0)] * 2 * axes
    if len(pads) != 2 * axes:
        raise VmzError(f"{what}: argument pads={pads} must have {2 * axes} numbers, begins then ends")
    if min(pads) < 0:
        raise VmzError(f"{what}: argument pads={list(pads)} must not be negative")
    return list(pads)


def read_sides(what: str, arguments: Mapping[str, Any], name: str, sides: str, default: int) -> list[int]:
    """`stride=2`, or `stride_h=2, stride_w=2`: one number for each of `sides`.

    VmzError where only some of them are given, or beside the one for all: Caffe2 takes no notice of them then.
    """
    given = [f"{name}_{side}" for side in sides if f"{name}_{side}" in arguments]
    if not given:
        return [arguments.get(name, default)] * len(sides)
    if len(given) < len(sides) or name in arguments:
        every = ", ".join(f"{name}_{side}" for side in sides)
        raise VmzError(
            f"{what}: argument {given[0]}={arguments[given[0]]} has no effect in Caffe2; give {every}, or {name}"
        )
    return [arguments[each] for each in given]


def _per_axis(what: str, arguments: Mapping[str, Any], name: str, default: int, axes: Optional[int]) -> tuple[int, ...]:
    """`kernels=[1, 3, 3]`, `kernel=3` or `kernel_h=3, kernel_w=3`."""
    values: Any = arguments.get(f"{name}s")
    if values is None:
        two = axes in (None, 2)
        values = (
            read_sides(what, arguments, name, "hw", default) if two else [arguments.get(name, default)] * (axes or 0)
        )
    if axes is not None and len(values) == 1:
        values = values * axes
    if not values or (axes is not None and len(values) != axes) or min(values) < 1:
        raise VmzError(
            f"{what}: argument {name}s={list(values)} must be {axes or 'one, two or three'} positive numbers"
        )
    return tuple(values)
