"""The two ops in front of a network that read clips from a database: CreateDB, and VideoInput or AVInput."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from vmz.netdef.builder import NetBuilder, make_argument
from vmz.netdef.net_parts import CREATE_DB, VIDEO_INPUT
from vmz.netdef.protos import OperatorDef
from vmz.netdef.video_outputs import LOGMELS, asked_outputs, network_inputs


@dataclass(frozen=True)
class VideoSource:
    """Where clips come from: an LMDB and the arguments of VideoInput, or of AVInput, by their operator names.

    `outputs` are the operator's outputs in its own order (see netdef/video_outputs), short blob names; by default those
    that the arguments ask for.
    """

    database: str
    arguments: Mapping[str, Any]
    outputs: Optional[tuple[str, ...]] = None
    db_type: str = "lmdb"
    reader_name: str = "test_reader"
    op_name: str = "data"
    stop_gradient: bool = field(default=True)
    operator: str = VIDEO_INPUT
    maps_in_3d: bool = False  # log-mels as one channel of several, N x 1 x 1 x rows x filters (audio_input_3d)


def add_video_input(net: NetBuilder, source: VideoSource) -> None:
    """CreateDB in the init net (without device, as the original), the reader and StopGradient on its first output."""
    reader = f"{net.name}_init/CreateDB"
    create = OperatorDef(type=CREATE_DB, name=source.reader_name, output=[reader])
    create.arg.extend([make_argument("db", source.database), make_argument("db_type", source.db_type)])
    net.init_net.op.append(create)
    outputs = source.outputs or network_inputs(source.arguments, source.operator)
    net.op(source.operator, [reader], list(outputs), op_name=source.op_name, **source.arguments)
    if source.maps_in_3d:  # what the original's net takes, and its reader does not give
        maps = outputs[asked_outputs(source.arguments, source.operator).index(LOGMELS)]
        net.op("ExpandDims", [maps], [maps], dims=[2])
    if source.stop_gradient:
        net.op("StopGradient", [outputs[0]], [outputs[0]])
