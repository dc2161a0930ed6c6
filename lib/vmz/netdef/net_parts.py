"""A net taken apart: a copy of it, the operators that read a database, its readers and the rest, its classifier."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Optional

from vmz.netdef.protos import NetDef, OperatorDef

VIDEO_INPUT, AV_INPUT, CREATE_DB = "VideoInput", "AVInput", "CreateDB"
CLIP_READERS = (VIDEO_INPUT, AV_INPUT)  # ours
# Operators that give a net its input: run before the rest, outside of a graph. Ours, and those of other programs.
READERS = (
    *(*CLIP_READERS, "CustomizedVideoInput", "ImageInput", "TensorProtosDBInput"),
    *("DequeueBlobs", "SafeDequeueBlobs"),
)
CLASSIFIERS = ("FC", "Conv")  # the operator where the trunk ends, seen from the loss


def copy_net(net: Any, ops: Optional[Iterable[Any]] = None) -> Any:
    """A NetDef of ours that is the same as `net`, which may be of another protobuf's class; with `ops` in place of its
    operators where they are given."""
    copy = NetDef.FromString(net.SerializeToString())
    if ops is not None:
        del copy.op[:]
        copy.op.extend(ops)
    return copy


def copy_op(op: Any) -> Any:
    """An OperatorDef of ours that is the same."""
    return OperatorDef.FromString(op.SerializeToString())


def video_inputs(net: Any) -> list[Any]:
    """The net's operators that read clips, in its order."""
    return [op for op in net.op if op.type in CLIP_READERS]


def databases(init_net: Any) -> list[Any]:
    """The init net's operators that open databases, in its order."""
    return [op for op in init_net.op if op.type == CREATE_DB]


def split_readers(net: Any) -> tuple[Any, Any]:
    """Two copies of the net: its readers of clips alone, called <name>_readers, and all else, which takes that.

    They depend on databases only, so that they can run before the rest.
    """
    readers = video_inputs(net)
    reading, rest = copy_net(net, readers), copy_net(net, (op for op in net.op if op.type not in CLIP_READERS))
    reading.name = f"{net.name}_readers"
    del reading.external_input[:]
    reading.external_input.extend(blob for op in readers for blob in op.input)
    rest.external_input.extend(blob for op in readers for blob in op.output)
    return reading, rest


def classifier_parameters(net: Any, scores: str, parameters: Collection[str]) -> set[str]:
    """Those of `parameters` (full names) that lie between the trunk and `scores`, the net's loss or its scores: of the
    last FC or Conv, and of what follows it. Empty where there are none."""
    ops = list(net.op)
    found: set[str] = set()
    pending = [(scores, len(ops))]
    while pending:
        blob, before = pending.pop()
        place = next((place for place in reversed(range(before)) if blob in ops[place].output), None)
        if place is not None:
            found.update(set(parameters).intersection(ops[place].input))
            if ops[place].type not in CLASSIFIERS:
                pending.extend((source, place) for source in ops[place].input)
    return found
