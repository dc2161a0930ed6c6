"""The part of a net that computes given blobs from others: what prediction needs of a net made for more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vmz.netdef.protos import NetDef, OperatorDef


def prune(net: Any, inputs: Iterable[str], outputs: Iterable[str]) -> Any:
    """A copy of `net` with the ops that `outputs` depend on, starting from `inputs` (full names) and parameters.

    Ops that make an input (a reader) are left out. A SoftmaxWithLoss whose loss nobody wants becomes a Softmax, which
    needs no label. External inputs are those that are left, in the net's order; external outputs are `outputs`.
    """
    given, wanted = set(inputs), list(outputs)
    needed, kept = set(wanted), []
    for op in reversed(net.op):
        made = needed.intersection(op.output)
        if not made or (made & given and not made.intersection(op.input)):
            continue
        op = _without_loss(op, needed)
        needed.difference_update(op.output)
        needed.update(op.input)
        kept.append(op)
    pruned = NetDef()
    pruned.CopyFrom(net)
    for field in ("op", "external_input", "external_output"):
        pruned.ClearField(field)
    pruned.op.extend(reversed(kept))
    order = [blob for op in pruned.op for blob in op.input]
    pruned.external_input.extend(blob for blob in dict.fromkeys(order) if blob in needed)
    pruned.external_output.extend(wanted)
    return pruned


def _without_loss(op: Any, needed: set[str]) -> Any:
    if op.type != "SoftmaxWithLoss" or needed.intersection(op.output[1:]):
        return op
    softmax = OperatorDef(type="Softmax", input=op.input[:1], output=op.output[:1], name=op.name)
    if op.HasField("device_option"):
        softmax.device_option.CopyFrom(op.device_option)
    if op.engine:
        softmax.engine = op.engine
    return softmax
