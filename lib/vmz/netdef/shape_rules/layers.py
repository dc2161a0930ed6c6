"""Convolutions, poolings, products, normalisations, losses, readers."""

from __future__ import annotations

from math import prod
from typing import Any

from vmz.netdef.net_parts import CLIP_READERS
from vmz.netdef.shape_rules.elementwise import broadcast
from vmz.netdef.shape_rules.registry import Shape, axis_of, channels, fail, rule
from vmz.netdef.video_outputs import CLIPS, FLOW, FLOW_CHANNELS, LABEL, LOGMELS, RECORD_INDEX, asked_outputs
from vmz.netdef.window_arguments import read_window


@rule("SpatialBN")
def spatial_bn(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    rank = len(inputs[0])
    if rank < 2 or inputs[0][channels(arguments, rank)] != inputs[1][0]:
        raise fail(op, f"its input {op.input[0]} is {inputs[0]}, its scale has {inputs[1][0]} channels")
    return [inputs[0]] + [inputs[1]] * (len(op.output) - 1)


@rule("InstanceNorm")
def instance_norm(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    row = (inputs[0][0], inputs[0][channels(arguments, len(inputs[0]))])
    return [inputs[0], row, row]


@rule("GroupNorm")
def group_norm(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    row = (inputs[0][0], arguments.get("group", 32))
    return [inputs[0], row, row]


@rule("LayerNorm")
def layer_norm(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    row = (*inputs[0][: axis_of(op, arguments, len(inputs[0]))], 1)
    return [inputs[0], row, row]


@rule("Conv", "Conv1D", "Conv2D", "Conv3D")
def conv(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    data, weight = inputs[0], inputs[1]
    if len(data) != len(weight):
        raise fail(op, f"its input {op.input[0]} is {data}, its weight {op.input[1]} is {weight}")
    at = channels(arguments, len(data))
    if data[at] != weight[at] * arguments.get("group", 1):
        raise fail(op, f"its input {op.input[0]} is {data}, its weight {op.input[1]} is {weight}")
    return [_windows(op, arguments, data, weight[0])]


@rule("ConvTranspose")
def conv_transpose(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    data, weight = inputs[0], inputs[1]
    at = channels(arguments, len(data))
    sizes = data[1:-1] if at > 1 else data[2:]
    window = read_window(f"{op.type} {op.output[0]}", arguments)
    adj = arguments.get("adj", 0)
    adjs = arguments.get("adjs") or [arguments.get(f"adj_{side}", adj) for side in "hw"][: len(sizes)]
    new = [
        (size - 1) * window.stride[axis] + window.kernel[axis] + adjs[axis] - window.before[axis] - window.after[axis]
        for axis, size in enumerate(sizes)
    ]
    depth = weight[at] * arguments.get("group", 1)
    return [(data[0], *new, depth) if at > 1 else (data[0], depth, *new)]


POOLS = [f"{kind}Pool{axes}" for kind in ("Max", "Average") for axes in ("", "1D", "2D", "3D")]


@rule("LpPool", *POOLS)
def pool(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    data = inputs[0]
    at = channels(arguments, len(data))
    if arguments.get("global_pooling", 0):
        ones = (1,) * (len(data) - 2)
        return [(data[0], *ones, data[at]) if at > 1 else (*data[:2], *ones)]
    return [_windows(op, arguments, data, data[at])]


def _windows(op: Any, arguments: dict[str, Any], data: Shape, depth: int) -> Shape:
    """(N, depth, positions of the window ...), or with the channels last."""
    last = channels(arguments, len(data)) > 1
    sizes = data[1:-1] if last else data[2:]
    window = read_window(f"{op.type} {op.output[0]}", arguments)
    if len(window.kernel) != len(sizes):
        raise fail(op, f"its window {window.kernel} is not for its input {op.input[0]} with {sizes}")
    found = window.positions(sizes)
    if min(found) < 1:
        raise fail(op, f"its window {window.kernel} is larger than its input {op.input[0]} with {sizes}")
    return (data[0], *found, depth) if last else (data[0], depth, *found)


@rule("FC")
def fc(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    axis_w = axis_of(op, arguments, len(inputs[1]), name="axis_w")
    return _fully_connected(op, arguments, inputs, prod(inputs[1][axis_w:]), prod(inputs[1][:axis_w]))


@rule("FCTransposed")
def fc_transposed(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    axis_w = axis_of(op, arguments, len(inputs[1]), name="axis_w")
    return _fully_connected(op, arguments, inputs, prod(inputs[1][:axis_w]), prod(inputs[1][axis_w:]))


def _fully_connected(op: Any, arguments: dict[str, Any], inputs: list[Shape], into: int, out: int) -> list[Shape]:
    data = inputs[0]
    axis = axis_of(op, arguments, len(data))
    if prod(data[axis:]) != into:
        values = prod(data[axis:])
        raise fail(op, f"its input {op.input[0]} is {data}, {values} values a row, but {op.input[1]} takes {into}")
    return [(*data[:axis], out)]


@rule("BatchMatMul")
def batch_mat_mul(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    a, b = inputs
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    left = (*left[:-2], left[-1], left[-2]) if arguments.get("trans_a", 0) else left
    right = (*right[:-2], right[-1], right[-2]) if arguments.get("trans_b", 0) else right
    if left[-1] != right[-2]:
        raise fail(op, f"{op.input[0]} is {a} and {op.input[1]} is {b}, whose {left[-1]} and {right[-2]} must be equal")
    batch = broadcast(op, left[:-2], right[:-2])
    rows, columns = ((), left[-2:-1])[len(a) > 1], ((), right[-1:])[len(b) > 1]
    return [(*batch, *rows, *columns) or (1,)]


@rule("MatMul")
def mat_mul(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    sides = []
    for shape, name in zip(inputs, "ab"):
        axis = axis_of(op, arguments, len(shape), name=f"axis_{name}")
        pair = (prod(shape[:axis]), prod(shape[axis:]))
        sides.append(pair[::-1] if arguments.get(f"trans_{name}", 0) else pair)
    return [(sides[0][0], sides[1][1])]


@rule("DotProduct", "SquaredL2Distance", "L1Distance", "CosineSimilarity", "LabelCrossEntropy", "CrossEntropy")
def a_row(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][:1]]


@rule("SigmoidCrossEntropyWithLogits", "WeightedSigmoidCrossEntropyWithLogits")
def all_but_the_last(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][:-1]]


@rule("SoftmaxWithLoss")
def softmax_with_loss(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0], ()]


@rule("Accuracy", "AveragedLoss", "SumElements", "SumSqrElements")
def scalar(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [()]


@rule("MultiClassAccuracy")
def a_class(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][1:], inputs[0][1:]]


@rule("MakeTwoClass")
def two_classes(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(*inputs[0], 2)]


@rule(*CLIP_READERS)
def video_input(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    clips = len(arguments.get("clip_start_positions") or []) or arguments.get("clip_per_video", 1)
    rows = arguments["batch_size"] * clips * arguments.get("crop_per_clip", 1)
    crop = arguments["crop_size"]

    def shape(name: str) -> Shape:
        if name == CLIPS:
            return (rows, 3, arguments["length_rgb"], crop, crop)
        if name == FLOW:
            return (rows, FLOW_CHANNELS[arguments.get("flow_data_type", 0)], arguments["length_of"], crop, crop)
        if name == LOGMELS:
            return (rows, 1, arguments.get("logmel_frames", 100), arguments.get("logmel_filters", 40))
        if name == LABEL and arguments.get("do_multi_label", 0):
            return (rows, arguments["num_of_class"])
        return (arguments["batch_size"],) if name == RECORD_INDEX else (rows,)

    shapes = list(map(shape, asked_outputs(arguments, op.type)))
    return shapes + [(rows,)] * (len(op.output) - len(shapes))
