"""Other shapes and orders, parts, fills, reductions."""

from __future__ import annotations

from math import prod
from typing import Any

from vmz.netdef.shape_rules.elementwise import broadcast
from vmz.netdef.shape_rules.registry import Shape, axis_of, channels, fail, needed, resized, rule
from vmz.netdef.window_arguments import read_pads


@rule("Reshape")
def reshape(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    wanted = needed(op, arguments, "shape", op.input[-1])
    return [resized(op, inputs[0], wanted), (len(inputs[0]),)]


@rule("ResizeLike")
def resize_like(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [resized(op, inputs[0], inputs[1])]


@rule("Shape")
def shape(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(len(arguments.get("axes") or inputs[0]),)]


@rule("Size")
def size(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [()]


@rule("Flatten")
def flatten(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    axis = axis_of(op, arguments, len(inputs[0]))
    return [(prod(inputs[0][:axis]), prod(inputs[0][axis:]))]


@rule("FlattenToVec")
def flatten_to_vec(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(prod(inputs[0]),)]


@rule("MergeDim")
def merge_dim(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(prod(inputs[0][:2]), *inputs[0][2:])]


@rule("PrependDim")
def prepend_dim(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    extent = arguments["dim_size"]
    return [(extent, inputs[0][0] // extent, *inputs[0][1:])]


@rule("Squeeze")
def squeeze(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    dims = arguments.get("dims", [])
    for axis in dims:
        if inputs[0][axis] != 1:
            raise fail(op, f"its input {op.input[0]} is {inputs[0]}, whose axis {axis} is longer than 1")
    return [tuple(side for axis, side in enumerate(inputs[0]) if axis not in dims)]


@rule("ExpandDims")
def expand_dims(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    sides = list(inputs[0])
    for axis in sorted(arguments.get("dims", [])):
        sides.insert(axis, 1)
    return [tuple(sides)]


@rule("Expand")
def expand(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [broadcast(op, inputs[0], tuple(needed(op, arguments, "shape", op.input[1])))]


@rule("Tile")
def tile(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    tiles = needed(op, arguments, "tiles", op.input[-1])
    if len(inputs) > 2:
        needed(op, arguments, "axis", op.input[2])
    axis = axis_of(op, arguments, len(inputs[0]), 0)
    return [tuple(side * tiles if place == axis else side for place, side in enumerate(inputs[0]))]


@rule("Transpose")
def transpose(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    axes = arguments.get("axes") or range(len(inputs[0]))[::-1]
    return [tuple(inputs[0][axis] for axis in axes)]


@rule("NCHW2NHWC")
def channels_last(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(inputs[0][0], *inputs[0][2:], inputs[0][1])]


@rule("NHWC2NCHW")
def channels_second(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(inputs[0][0], inputs[0][-1], *inputs[0][1:-1])]


@rule("PadImage")
def pad_image(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    top, left, bottom, right = read_pads(f"{op.type} {op.output[0]}", arguments)
    at = 1 if channels(arguments, 4) == 3 else 2
    sides = list(inputs[0])
    sides[at], sides[at + 1] = sides[at] + top + bottom, sides[at + 1] + left + right
    return [tuple(sides)]


@rule("SpaceToBatch")
def space_to_batch(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    block, pad = arguments.get("block_size", 2), arguments.get("pad", 0)
    n, c, h, w = inputs[0]
    return [(n * block**2, c, (h + 2 * pad) // block, (w + 2 * pad) // block)]


@rule("BatchToSpace")
def batch_to_space(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    block, pad = arguments.get("block_size", 2), arguments.get("pad", 0)
    n, c, h, w = inputs[0]
    return [(n // block**2, c, h * block - 2 * pad, w * block - 2 * pad)]


@rule("ResizeNearest", "ResizeNearest3D", "UpsampleBilinear")
def scaled(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    names = ("temporal", "height", "width")[-(len(inputs[0]) - 2) :]
    last = channels(arguments, len(inputs[0])) > 1
    sides = inputs[0][1:-1] if last else inputs[0][2:]
    new = [int(side * arguments.get(f"{name}_scale", 1.0)) for side, name in zip(sides, names)]
    return [(inputs[0][0], *new, inputs[0][-1]) if last else (*inputs[0][:2], *new)]


@rule("Concat", "DepthConcat")
def concat(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    added = bool(arguments.get("add_axis", 0))
    rank = len(inputs[0]) + added
    default = 3 if arguments.get("order", "NCHW") == "NHWC" else 1
    axis = axis_of(op, arguments, rank, default)
    parts = [(*part[:axis], 1, *part[axis:]) if added else part for part in inputs]
    for blob, part in zip(op.input, parts):
        if len(part) != rank or any(part[at] != parts[0][at] for at in range(rank) if at != axis):
            raise fail(op, f"{op.input[0]} is {inputs[0]} and {blob} is {part}; they differ beside axis {axis}")
    total = sum(part[axis] for part in parts)
    return [(*parts[0][:axis], total, *parts[0][axis + 1 :]), (len(parts),)]


@rule("Split", "DepthSplit")
def split(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    default = 3 if arguments.get("order", "NCHW") == "NHWC" else 1
    axis = axis_of(op, arguments, len(inputs[0]), default)
    if len(inputs) > 1:
        needed(op, arguments, "split", op.input[1])
    count, extent = len(op.output), inputs[0][axis]
    lengths = arguments.get("split") or [extent // count] * count
    if sum(lengths) != extent or len(lengths) != count:
        raise fail(op, f"its input {op.input[0]} is {inputs[0]}, which does not split along axis {axis} into {lengths}")
    before, after = inputs[0][:axis], inputs[0][axis + 1 :]
    if arguments.get("add_axis", 0):
        return [(*before, *after)] * count
    return [(*before, length, *after) for length in lengths]


@rule("Slice")
def slice_(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    starts, ends = (needed(op, arguments, name, op.input[-1]) for name in ("starts", "ends"))
    sides = list(inputs[0])
    for axis, (start, end) in enumerate(zip(starts, ends)):
        extent = sides[axis]
        start = start + extent + 1 if start < 0 else start
        end = end + extent + 1 if end < 0 else min(end, extent)
        sides[axis] = max(end - start, 0)
    return [tuple(sides)]


@rule("Glu")
def glu(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    axis = axis_of(op, arguments, len(inputs[0]), -1, "dim")
    return [tuple(side // 2 if place == axis else side for place, side in enumerate(inputs[0]))]


@rule("Gather", "BatchGather")
def gather(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    data, places = inputs
    axis = axis_of(op, arguments, len(data), 1 if op.type == "BatchGather" else 0)
    places = places[axis:] if arguments.get("match_outer", 0) else places
    return [(*data[:axis], *places, *data[axis + 1 :])]


@rule("OneHot")
def one_hot(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(inputs[0][0], int(needed(op, arguments, "classes", op.input[1])))]


FILLS = [f"GivenTensor{kind}Fill" for kind in ("", "Double", "Int", "Int64", "Int16", "Bool")]


@rule("ConstantFill", "UniformFill", "GaussianFill", *FILLS)
def fill(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    extra = arguments.get("extra_shape", [])
    extra = [extra] if isinstance(extra, int) else extra
    if inputs and not arguments.get("input_as_shape", 0):
        return [(*inputs[0], *extra)]
    wanted = needed(op, arguments, "shape", op.input[0]) if inputs else arguments.get("shape", [])
    return [(*([wanted] if isinstance(wanted, int) else wanted), *extra)]


KINDS = ("Sum", "Mean", "Max", "Min", "L1", "L2")


@rule(*(f"Reduce{kind}" for kind in KINDS), "Moments")
def reduce_axes(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    rank = len(inputs[0])
    axes = {axis % rank for axis in arguments.get("axes") or range(rank)} if rank else set()
    kept = arguments.get("keepdims", 1)
    found = [1 if axis in axes else side for axis, side in enumerate(inputs[0]) if kept or axis not in axes]
    return [tuple(found)] * len(op.output)


@rule("ReduceBackSum", "ReduceBackMean", "ReduceBackMax")
def reduce_back(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][: len(inputs[0]) - arguments.get("num_reduce_dim", 1)]]


@rule("ReduceFrontSum", "ReduceFrontMean", "ReduceFrontMax")
def reduce_front(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][arguments.get("num_reduce_dim", 1) :]]


@rule("ReduceTailSum")
def first_axis(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][:1]]


@rule("ColwiseMax", "RowwiseMax")
def matrix_max(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(inputs[0][0], inputs[0][2 if op.type == "ColwiseMax" else 1])]


@rule("LpNorm")
def one_number(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(1,)]


@rule("SumReduceLike")
def like_the_second(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[1]]


@rule("BatchMoments")
def batch_moments(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][1:2]] * 2


@rule("ArgMax", "ArgMin")
def arg_max(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    axis = axis_of(op, arguments, len(inputs[0]), -1)
    kept = (1,) if arguments.get("keepdims", 1) else ()
    return [(*inputs[0][:axis], *kept, *inputs[0][axis + 1 :])]


@rule("TopK")
def top_k(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    axis = axis_of(op, arguments, len(inputs[0]), -1)
    k = needed(op, arguments, "k", op.input[-1])
    found = (*inputs[0][:axis], k, *inputs[0][axis + 1 :])
    return [found, found, (prod(found),)][: len(op.output)]
