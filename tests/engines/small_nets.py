"""Nets of a few operators, written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from vmz.netdef.builder import make_argument
from vmz.netdef.protos import NetDef, OperatorDef


def op(type_: str, inputs: str, outputs: str, **arguments: Any) -> Any:
    """An OperatorDef; `inputs` and `outputs` are names divided by spaces."""
    found = OperatorDef(type=type_, input=inputs.split(), output=outputs.split())
    found.arg.extend(make_argument(name, value) for name, value in arguments.items())
    return found


def net(*ops: Any, name: str = "small") -> Any:
    """A NetDef of operators."""
    found = NetDef(name=name)
    found.op.extend(ops)
    return found


def normalised(is_test: int = 1) -> tuple[Any, Any]:
    """(init_net, net): convolution, batch norm, ReLU in place, sum with the input of the block, head and loss."""
    init = net(
        op("MSRAFill", "", "s/a_w", shape=[4, 3, 1, 3, 3]),
        op("ConstantFill", "", "s/bn_s", shape=[4], value=1.0),
        op("ConstantFill", "", "s/bn_b", shape=[4], value=0.5),
        op("ConstantFill", "", "s/bn_rm", shape=[4], value=0.25),
        op("ConstantFill", "", "s/bn_riv", shape=[4], value=2.0),
        op("XavierFill", "", "s/fc_w", shape=[5, 4]),
        op("ConstantFill", "", "s/fc_b", shape=[5]),
    )
    outputs = "s/bn" if is_test else "s/bn s/bn_rm s/bn_riv s/bn_sm s/bn_siv"
    main = net(
        op("StopGradient", "s/data", "s/data"),
        op("Conv", "s/data s/a_w", "s/a", kernels=[1, 3, 3], pads=[0, 1, 1, 0, 1, 1], strides=[1, 2, 2], order="NCHW"),
        op("SpatialBN", "s/a s/bn_s s/bn_b s/bn_rm s/bn_riv", outputs, is_test=is_test, epsilon=1e-3, momentum=0.75),
        op("Relu", "s/bn", "s/bn"),
        op("Sum", "s/a s/bn", "s/sum"),
        op("Relu", "s/sum", "s/sum"),
        op("AveragePool", "s/sum", "s/avg", kernels=[2, 4, 4]),
        op("FC", "s/avg s/fc_w s/fc_b", "s/fc"),
        op("SoftmaxWithLoss", "s/fc s/label", "s/softmax s/loss"),
        op("Accuracy", "s/softmax s/label", "s/accuracy"),
    )
    return init, main


def clip(seed: int = 0, batch: int = 2) -> np.ndarray:
    """Something for `normalised` to look at."""
    return np.random.RandomState(seed).randn(batch, 3, 2, 8, 8).astype(np.float32)
