"""What a NetDef computes, without running it: the shape of every blob, multiply-adds, parameters.

Counting follows the original's GetFlopsAndParams: only Conv and FC, weights without biases, one clip. "Interactions"
are the pairs of input channels that each filter sees (CSN, arXiv:1904.02811), not multiplied by positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, prod
from typing import Any, Callable, Optional

from vmz.errors import VmzError
from vmz.netdef.builder import get_arguments

Shape = tuple[int, ...]


class ShapeError(VmzError):
    """An op cannot take the shapes it is given."""


@dataclass(frozen=True)
class OpCost:
    """One op: the shape of its first output; weights, multiply-adds a clip and interactions of Conv and FC."""

    kind: str
    blob: str
    shape: Shape
    weights: int = 0
    macs: int = 0
    interactions: int = 0


@dataclass(frozen=True)
class Totals:
    """GMACs a clip, parameters in millions (weights of Conv and FC), interactions in billions."""

    gmacs: float
    params_m: float
    interactions_g: float


def param_shapes(init_net: Any) -> dict[str, Shape]:
    """The shapes of the blobs that the fill ops of an init net make."""
    shapes: dict[str, Shape] = {}
    for op in init_net.op:
        arguments = get_arguments(op)
        if "shape" in arguments:
            shapes.update({blob: tuple(arguments["shape"]) for blob in op.output})
    return shapes


def infer_shapes(net: Any, inputs: Mapping[str, Sequence[int]]) -> dict[str, Shape]:
    """The shape of every blob of `net`, given those of its external inputs (parameters included).

    Raises ShapeError, naming op and blob, where shapes do not fit or an operator's shape rule is not known.
    """
    shapes: dict[str, Shape] = {blob: tuple(shape) for blob, shape in inputs.items()}
    for op in net.op:
        rule = _RULES.get(op.type)
        if rule is None:
            raise ShapeError(
                f"no shape rule for operator {op.type} (output {op.output[0]}); known: {', '.join(_RULES)}"
            )
        missing = [blob for blob in op.input if blob not in shapes]
        if missing and op.type not in _READERS:
            raise ShapeError(f"{op.type} {op.output[0]}: the shape of its input {missing[0]} is not known; give it")
        found = rule(op, get_arguments(op), [shapes.get(blob, ()) for blob in op.input])
        shapes.update(zip(op.output, found))
    return shapes


def costs(net: Any, shapes: Mapping[str, Shape]) -> list[OpCost]:
    """Every op with what it costs for one clip (the first axis is not counted)."""
    found = []
    for op in net.op:
        blob, shape = op.output[0], shapes[op.output[0]]
        if op.type in ("Conv", "FC"):
            weight = shapes[op.input[1]]
            positions = prod(shape[2:]) if op.type == "Conv" else 1
            interactions = weight[0] * comb(weight[1], 2) if op.type == "Conv" else 0
            found.append(OpCost(op.type, blob, shape, prod(weight), prod(weight) * positions, interactions))
        else:
            found.append(OpCost(op.type, blob, shape))
    return found


def totals(found: Sequence[OpCost]) -> Totals:
    """The sums, added up op by op in billions (and millions) as the original does, so that its last digits come out."""
    gmacs = params = interactions = 0.0
    for cost in found:
        gmacs += cost.macs / 1e9
        params += cost.weights / 1e6
        interactions += cost.interactions / 1e9
    return Totals(gmacs, params, interactions)


# Shape rules: (op, arguments, input shapes) -> output shapes.

Rule = Callable[[Any, dict[str, Any], list[Shape]], list[Shape]]
_RULES: dict[str, Rule] = {}
_READERS = ("VideoInput",)  # their input is a database, which has no shape


def _rule(*kinds: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for kind in kinds:
            assert kind not in _RULES, kind
            _RULES[kind] = rule
        return rule

    return register


def _fail(op: Any, why: str) -> ShapeError:
    return ShapeError(f"{op.type} {op.output[0]}: {why}")


@_rule("SpatialBN")
def _same_with_statistics(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    if len(inputs[0]) < 2 or inputs[0][1] != inputs[1][0]:
        raise _fail(op, f"its input {op.input[0]} is {inputs[0]}, its scale has {inputs[1][0]} channels")
    return [inputs[0]] + [inputs[1]] * (len(op.output) - 1)


@_rule("Relu", "Sigmoid", "StopGradient", "Cast", "Scale", "Softmax", "ElementwiseLinear", "Copy")
def _same(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0]]


@_rule("Dropout")
def _same_twice(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0]] * len(op.output)


@_rule("Sum")
def _sum(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    for blob, shape in zip(op.input, inputs):
        if shape != inputs[0]:
            raise _fail(op, f"{op.input[0]} is {inputs[0]} and {blob} is {shape}; they must be equal")
    return [inputs[0]]


@_rule("Conv")
def _conv(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    data, weight = inputs[0], inputs[1]
    if len(data) != len(weight) or data[1] != weight[1] * arguments.get("group", 1):
        raise _fail(op, f"its input {op.input[0]} is {data}, its weight {op.input[1]} is {weight}")
    return [(data[0], weight[0], *_slide(op, arguments, data[2:]))]


@_rule("MaxPool", "AveragePool")
def _pool(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [(*inputs[0][:2], *_slide(op, arguments, inputs[0][2:]))]


def _slide(op: Any, arguments: dict[str, Any], sizes: Shape) -> Shape:
    """Positions of a sliding window on each axis; Caffe2 writes either lists or one number for all axes."""
    axes = len(sizes)
    kernels = arguments.get("kernels") or [arguments["kernel"]] * axes
    strides = arguments.get("strides") or [arguments.get("stride", 1)] * axes
    pads = arguments.get("pads") or [arguments.get("pad", 0)] * 2 * axes
    found = []
    for axis, size in enumerate(sizes):
        room = size + pads[axis] + pads[axis + axes] - kernels[axis]
        if room < 0:
            raise _fail(op, f"its window {tuple(kernels)} is larger than its input {op.input[0]} with {sizes}")
        found.append(room // strides[axis] + 1)
    return tuple(found)


@_rule("FC")
def _fc(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    data, weight = inputs[0], inputs[1]
    if prod(data[1:]) != prod(weight[1:]):
        raise _fail(
            op, f"its input {op.input[0]} is {data}, {prod(data[1:])} values a row, but {op.input[1]} takes {weight[1]}"
        )
    return [(data[0], weight[0])]


@_rule("SoftmaxWithLoss")
def _softmax_with_loss(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0], ()]


@_rule("Accuracy")
def _scalar(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [()]


@_rule("SigmoidCrossEntropyWithLogits")
def _loss_a_row(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][:1]]


@_rule("Transpose")
def _transpose(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [tuple(inputs[0][axis] for axis in arguments["axes"])]


@_rule("Reshape")
def _reshape(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    wanted, size = list(arguments["shape"]), prod(inputs[0])
    if -1 in wanted:
        rest = prod(side for side in wanted if side != -1)
        wanted[wanted.index(-1)] = size // rest
    if prod(wanted) != size:
        raise _fail(op, f"its input {op.input[0]} is {inputs[0]}, which is no {tuple(arguments['shape'])}")
    return [tuple(wanted), (len(inputs[0]),)]


@_rule("ReduceBackMean")
def _reduce_back_mean(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0][: -arguments.get("num_reduce_dim", 1)]]


@_rule("VideoInput")
def _video_input(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    clips = len(arguments.get("clip_start_positions") or []) or arguments.get("clip_per_video", 1)
    rows = arguments["batch_size"] * clips * arguments.get("crop_per_clip", 1)
    crop = arguments["crop_size"]
    shapes: list[Shape] = []
    if arguments.get("get_rgb", 1):
        shapes.append((rows, 3, arguments["length_rgb"], crop, crop))
    if arguments.get("get_optical_flow", 0):
        channels = {0: 2, 1: 3, 2: 3, 3: 5}[arguments.get("flow_data_type", 0)]
        shapes.append((rows, channels, arguments["length_of"], crop, crop))
    shapes.append((rows, arguments["num_of_class"]) if arguments.get("do_multi_label", 0) else (rows,))
    return shapes + [(rows,)] * (len(op.output) - len(shapes))


def analyse(net: Any, init_net: Any, inputs: Optional[Mapping[str, Sequence[int]]] = None) -> list[OpCost]:
    """Shapes and costs in one call: `inputs` are the shapes of the fed blobs, parameters come from the init net."""
    return costs(net, infer_shapes(net, {**param_shapes(init_net), **(inputs or {})}))
