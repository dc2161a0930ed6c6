"""The part of a net that computes given blobs from others: what prediction needs of a net made for more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vmz.netdef.builder import make_argument
from vmz.netdef.net_parts import copy_net, copy_op
from vmz.netdef.protos import DATA_TYPES, OperatorDef

NO_LABEL = "vmz_no_label"


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
    pruned = copy_net(net, reversed(kept))
    for field in ("external_input", "external_output"):
        pruned.ClearField(field)
    order = [blob for op in pruned.op for blob in op.input]
    pruned.external_input.extend(blob for blob in dict.fromkeys(order) if blob in needed)
    pruned.external_output.extend(wanted)
    return pruned


def split(net: Any, outputs: Iterable[str]) -> tuple[Any, Any]:
    """Two copies of `net`: the ops that `outputs` (full names) depend on, and the others, which may run after them.

    A SoftmaxWithLoss whose loss is not among them gets the label 0 for every row in the first net, and is in the second
    one too: its softmax has other last digits than a Softmax has, and labels that are no class would be an error.
    """
    needed = set(outputs)
    parts: tuple[list[Any], list[Any]] = ([], [])
    for op in reversed(net.op):
        made = needed.intersection(op.output)
        if not made:
            parts[1].append(op)
            continue
        needed.difference_update(op.output)
        if op.type == "SoftmaxWithLoss" and not made.intersection(op.output[1:]) and len(op.input) > 1:
            parts[1].append(op)
            op, fill = _with_label_0(op)
            parts[0].extend([op, fill])
        else:
            parts[0].append(op)
        needed.update(blob for blob in op.input if blob != NO_LABEL)
    first, rest = (_of_ops(net, reversed(ops)) for ops in parts)
    return first, rest


def _with_label_0(op: Any) -> tuple[Any, Any]:
    copy = copy_op(op)
    copy.input[1] = NO_LABEL
    fill = OperatorDef(type="ConstantFill", input=[op.input[1]], output=[NO_LABEL])
    fill.arg.extend([make_argument("value", 0), make_argument("dtype", DATA_TYPES["INT32"])])
    if op.HasField("device_option"):
        fill.device_option.CopyFrom(op.device_option)
    return copy, fill


def _of_ops(net: Any, ops: Iterable[Any]) -> Any:
    copy = copy_net(net, ops)
    for field in ("external_input", "external_output"):
        copy.ClearField(field)
    made: set[str] = set()
    for op in copy.op:
        copy.external_input.extend(blob for blob in op.input if blob not in made and blob not in copy.external_input)
        made.update(op.output)
    return copy


def _without_loss(op: Any, needed: set[str]) -> Any:
    if op.type != "SoftmaxWithLoss" or needed.intersection(op.output[1:]):
        return op
    softmax = OperatorDef(type="Softmax", input=op.input[:1], output=op.output[:1], name=op.name)
    if op.HasField("device_option"):
        softmax.device_option.CopyFrom(op.device_option)
    if op.engine:
        softmax.engine = op.engine
    return softmax
