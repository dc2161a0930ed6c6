"""Shapes that stay, and those of two values that are matched axis by axis."""

from __future__ import annotations

from typing import Any

from vmz.netdef.shape_rules.registry import Shape, fail, rule

SAME = """
    Relu ReluN LeakyRelu PRelu ThresholdedRelu Elu Selu Sigmoid HardSigmoid Swish Gelu Softplus Softsign Clip Logit Pow
    Abs Acos Asin Atan Ceil Cos Cosh Cube Erf Exp Floor Log Negative Reciprocal Rsqrt Sign Sin Sinh Sqr Sqrt Tan Tanh
    StopGradient Cast Scale Softmax ElementwiseLinear RowMul StumpFunc ChannelShuffle Normalize NormalizeL1 Not
    AffineChannel AffineNd AffineChannelNd Copy CopyCPUToGPU CopyFromCPUInput CopyGPUToCPU CopyOnDeviceLike
    EnsureCPUOutput EnsureDense NanCheck Alias HalfToFloat FloatToHalf WeightedSum
"""


@rule(*SAME.split())
def same(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0]]


@rule("Dropout", "LRN")
def same_twice(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[0]] * len(op.output)


@rule("Sum", "Mean", "Max", "Min")
def equal(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    for blob, shape in zip(op.input, inputs):
        if shape != inputs[0]:
            raise fail(op, f"{op.input[0]} is {inputs[0]} and {blob} is {shape}; they must be equal")
    return [inputs[0]]


@rule("Where")
def where(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    return [inputs[1]]


@rule("Add", "Sub", "Mul", "Div", "EQ", "NE", "LT", "LE", "GT", "GE", "And", "Or", "Xor")
def matched(op: Any, arguments: dict[str, Any], inputs: list[Shape]) -> list[Shape]:
    """With `broadcast` the first input's shape; else both are matched from the last axis."""
    if arguments.get("broadcast", 0):
        return [inputs[0]]
    return [broadcast(op, *inputs)]


def broadcast(op: Any, a: Shape, b: Shape) -> Shape:
    """The shape that two have when matched from the last axis."""
    rank = max(len(a), len(b))
    found = []
    for left, right in zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b):
        if left != right and 1 not in (left, right):
            raise fail(op, f"{op.input[0]} is {a} and {op.input[1]} is {b}; they cannot be matched axis by axis")
        found.append(left if right == 1 else right)
    return tuple(found)
