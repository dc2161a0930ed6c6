"""Functions of one number, element by element."""

from __future__ import annotations

from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.torch_engine.graph.op import NCHW_ONLY, Op, leaf, operator
from vmz.errors import VmzError


@operator("Relu")
def relu(op: Op, x: Tensor) -> Tensor:
    """max(x, 0)"""
    return F.relu(x)


@operator("ReluN", "n")
def relu_n(op: Op, x: Tensor) -> Tensor:
    """Between 0 and n (6)."""
    return torch.clamp(x, 0.0, op.arg("n", 6.0))


@operator("LeakyRelu", "alpha")
def leaky_relu(op: Op, x: Tensor) -> Tensor:
    """x, and alpha (0.01) times x below 0."""
    return F.leaky_relu(x, op.arg("alpha", 0.01))


@operator("PRelu", channels_last=(1, 1))
def prelu(op: Op, x: Tensor, slope: Tensor) -> Tensor:
    """x, and below 0 its product with the slope: one number, or one for each channel."""
    return F.prelu(x, slope)


@operator("ThresholdedRelu", "alpha")
def thresholded_relu(op: Op, x: Tensor) -> Tensor:
    """x where it is above alpha (1), else 0."""
    return F.threshold(x, op.arg("alpha", 1.0), 0.0)


@operator("Elu", "alpha")
def elu(op: Op, x: Tensor) -> Tensor:
    """x, and alpha (1) times exp(x) - 1 below 0."""
    return F.elu(x, op.arg("alpha", 1.0))


@operator("Selu", "alpha scale")
def selu(op: Op, x: Tensor) -> Tensor:
    """scale times (x, and alpha times exp(x) - 1 below 0)."""
    return torch.mul(F.elu(x, op.arg("alpha", 1.6732632423543772848170429916717)), op.arg("scale", 1.0507009873554805))


@operator("Sigmoid")
def sigmoid(op: Op, x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))"""
    return torch.sigmoid(x)


@operator("HardSigmoid", "alpha beta")
def hard_sigmoid(op: Op, x: Tensor) -> Tensor:
    """alpha (0.2) x + beta (0.5), between 0 and 1."""
    return torch.clamp(torch.add(torch.mul(x, op.arg("alpha", 0.2)), op.arg("beta", 0.5)), 0.0, 1.0)


@operator("Swish")
def swish(op: Op, x: Tensor) -> Tensor:
    """x / (1 + exp(-x))"""
    return torch.mul(x, torch.sigmoid(x))


@operator("Gelu", "fast_gelu")
def gelu(op: Op, x: Tensor) -> Tensor:
    """x times the normal distribution's share below x; with fast_gelu by a tanh that comes near it."""
    if op.arg("fast_gelu", 0):
        inner = torch.mul(torch.add(x, torch.mul(torch.pow(x, 3), 0.044715)), 0.7978845608028654)
        return torch.mul(torch.mul(x, 0.5), torch.add(torch.tanh(inner), 1.0))
    return F.gelu(x)


@operator("Softplus")
def softplus(op: Op, x: Tensor) -> Tensor:
    """log(1 + exp(x))"""
    return F.softplus(x)


@operator("Softsign")
def softsign(op: Op, x: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return F.softsign(x)


@operator("Clip", "min max")
def clip(op: Op, x: Tensor) -> Tensor:
    """Between min and max, where they are given."""
    if "min" not in op.arguments and "max" not in op.arguments:
        return x
    return torch.clamp(x, op.arg("min", None), op.arg("max", None))


@operator("Glu", "dim")
def glu(op: Op, x: Tensor) -> Tensor:
    """The first half along dim (-1) times the sigmoid of the second half."""
    return F.glu(x, op.arg("dim", -1))


@operator("Logit", "eps")
def logit(op: Op, x: Tensor) -> Tensor:
    """log(x / (1 - x)), of x between eps (1e-6) and 1 - eps."""
    return torch.logit(x, op.arg("eps", 1e-6))


@operator("LRN", "size alpha beta bias", channels_last=(1, 2))
def local_response_norm(op: Op, x: Tensor) -> tuple[Tensor, Tensor]:
    """x / scale ** beta, and scale: bias + alpha / size times the sum of squares of the `size` channels around."""
    size = op.arg("size", 0)
    if size < 1 or size % 2 == 0:
        raise op.unsupported("size", "size must be odd")
    scale = response_scale(x, size, op.arg("alpha", 0.0), op.arg("bias", 1.0))
    return torch.mul(x, torch.pow(scale, -op.arg("beta", 0.0))), scale


@leaf
def response_scale(x: Tensor, size: int, alpha: float, bias: float) -> Tensor:
    """The denominator of LRN before the power, in the shape of x."""
    squares = F.pad(torch.square(x).flatten(2).transpose(1, 2), (size // 2, size // 2))  # channels innermost
    return bias + alpha / size * squares.unfold(2, size, 1).sum(-1).transpose(1, 2).reshape(x.shape)


@operator("Not")
def logical_not(op: Op, x: Tensor) -> Tensor:
    """True for False."""
    return torch.logical_not(x)


@operator("Pow", "exponent broadcast axis")
def pow_(op: Op, x: Tensor, *exponents: Tensor) -> Tensor:
    """x to a power: the argument `exponent`, or a second input of one number."""
    if not exponents:
        if "exponent" not in op.arguments:
            raise VmzError(f"{op} has neither an argument exponent nor a second input; give one of them")
        return torch.pow(x, op.arg("exponent", 1.0))
    (exponent,) = exponents
    return torch.pow(x, exponent)


def _plain(name: str, function: Callable[[Tensor], Tensor]) -> None:
    @operator(name)
    def call(op: Op, x: Tensor) -> Tensor:
        return function(x)

    call.__doc__ = f"PyTorch's {function.__name__}."


for _name, _function in {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Asin": torch.asin,
    "Atan": torch.atan,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Log": torch.log,
    "Negative": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Rsqrt": torch.rsqrt,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqr": torch.square,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Tanh": torch.tanh,
}.items():
    _plain(_name, _function)


@operator("Cube")
def cube(op: Op, x: Tensor) -> Tensor:
    """x to the third."""
    return torch.mul(torch.square(x), x)


@operator("ChannelShuffle", "group kernel", channels_last=NCHW_ONLY)
def channel_shuffle(op: Op, x: Tensor) -> Tensor:
    """The channels of `group` groups, dealt out in turn."""
    return shuffled(x, op.arg("group", 1))


@leaf
def shuffled(x: Tensor, groups: int) -> Tensor:
    """x with channel (g, c) at place (c, g)."""
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:]).transpose(1, 2).reshape(x.shape)
