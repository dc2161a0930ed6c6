"""The two ops in front of a network that read clips from a database: CreateDB and VideoInput."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vmz.netdef.builder import NetBuilder, make_argument
from vmz.netdef.protos import OperatorDef


@dataclass(frozen=True)
class VideoSource:
    """Where clips come from: an LMDB and the VideoInput operator's arguments by their operator names.

    `outputs` are the operator's outputs in its own order (see VideoInput in docs/networks.md), short blob names.
    """

    database: str
    arguments: Mapping[str, Any]
    outputs: tuple[str, ...] = ("data", "label")
    db_type: str = "lmdb"
    reader_name: str = "test_reader"
    op_name: str = "data"
    stop_gradient: bool = field(default=True)


def add_video_input(net: NetBuilder, source: VideoSource) -> None:
    """CreateDB in the init net (without device, as the original), VideoInput and StopGradient on the clips."""
    reader = f"{net.name}_init/CreateDB"
    create = OperatorDef(type="CreateDB", name=source.reader_name, output=[reader])
    create.arg.extend([make_argument("db", source.database), make_argument("db_type", source.db_type)])
    net.init_net.op.append(create)
    net.op("VideoInput", [reader], list(source.outputs), op_name=source.op_name, **source.arguments)
    if source.stop_gradient:
        net.op("StopGradient", [source.outputs[0]], [source.outputs[0]])
