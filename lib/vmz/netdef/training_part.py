"""A training net without its training: the operators before the gradients."""

from __future__ import annotations

from typing import Any

from vmz.netdef.net_parts import copy_net

UPDATES = (
    *("Iter", "AtomicIter", "LearningRate", "MomentumSGD", "MomentumSGDUpdate", "Adagrad", "Adam", "Adadelta"),
    *("RmsProp", "Ftrl", "Lars", "YellowFin", "NCCLAllreduce", "Allreduce", "NCCLBroadcast", "Broadcast"),
)
FORWARD = ("StopGradient", "ZeroGradient")


def forward_part(net: Any) -> tuple[Any, list[Any]]:
    """(a copy of `net` without gradients, updates and what they need alone, the operators that were left out)."""
    behind: set[str] = set()  # blobs that training writes
    training: list[bool] = []
    for op in net.op:
        is_gradient = op.is_gradient_op or (op.type.endswith("Gradient") and op.type not in FORWARD)
        is_training = is_gradient or op.type in UPDATES or bool(behind.intersection(op.input))
        training.append(is_training)
        if is_training:
            behind.update(set(op.output) - set(op.input))
        else:
            behind.difference_update(op.output)
    last_read = {blob: number for number, op in enumerate(net.op) for blob in op.input}
    last_used = {blob: number for number, op in enumerate(net.op) for blob in op.input if not training[number]}
    for number, op in enumerate(net.op):  # the 1 that a loss's gradient begins with, which Caffe2 does not mark
        if op.type == "ConstantFill" and len(op.input) == 1 and not training[number]:
            is_read = any(last_read.get(blob, -1) > number for blob in op.output)
            training[number] = is_read and all(last_used.get(blob, -1) <= number for blob in op.output)
    if not any(training):
        return net, []
    copy = copy_net(net, (op for op, is_training in zip(net.op, training) if not is_training))
    kept = {blob for op in copy.op for blob in (*op.output, *op.input)}
    outputs = [blob for blob in net.external_output if blob in kept]
    del copy.external_output[:]
    copy.external_output.extend(outputs)
    return copy, [op for op, is_training in zip(net.op, training) if is_training]
