"""The VideoInput operator of the PyTorch engine: runs beside the graph and hands its outputs in as inputs."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from vmz.engines.torch_engine.graph.op import Op, read_ops
from vmz.errors import VmzError
from vmz.netdef.net_parts import CREATE_DB, VIDEO_INPUT
from vmz.netdef.video_outputs import asked_outputs

# Caffe2's own, of no effect on what is read
WITHOUT_EFFECT = ("cudnn_exhaustive_search", "use_cudnn", "order", "ws_nbytes_limit", "exhaustive_search")


class Reader(Protocol):
    """What vmz.video.reader.ClipReader offers."""

    skipped: list[Any]
    ended_early: list[Any]

    @property
    def position(self) -> int: ...

    def next_batch(self) -> Any: ...

    def close(self) -> None: ...


class InputOp:
    """One VideoInput of the net with the reader that carries it out."""

    def __init__(self, op: Op, database: str) -> None:
        from vmz.video.arguments import VideoInputArgs
        from vmz.video.reader import ClipReader

        arguments = {name: value for name, value in op.arguments.items() if name not in WITHOUT_EFFECT}
        self.op = op
        self.fields = asked_outputs(op.arguments)
        if len(self.fields) != len(op.outputs):
            raise VmzError(f"{op} has {len(op.outputs)} outputs, but its arguments ask for {', '.join(self.fields)}")
        self.reader: Reader = ClipReader(database, VideoInputArgs.from_mapping(arguments))

    def next_batch(self) -> dict[str, np.ndarray]:
        """{output blob: array} of the next batch; EndOfData passes through."""
        batch = self.reader.next_batch()
        return {blob: getattr(batch, field) for blob, field in zip(self.op.outputs, self.fields)}


def open_readers(init_net: Any, net: Any) -> list[InputOp]:
    """A reader for each VideoInput of the net, over the database that the CreateDB of its input blob names."""
    databases = {}
    for op in read_ops(init_net):
        if op.type == CREATE_DB:
            if op.arg("db_type", "lmdb") != "lmdb":
                raise op.unsupported("db_type", "databases are read from lmdb")
            databases[op.outputs[0]] = op.arg("db", "")
    readers: list[InputOp] = []
    for op in read_ops(net):
        if op.type != VIDEO_INPUT:
            continue
        if op.inputs[0] not in databases:
            raise VmzError(f"{op} reads {op.inputs[0]}, which no CreateDB of the param_init_net creates")
        try:
            readers.append(InputOp(op, databases[op.inputs[0]]))
        except BaseException:
            for opened in readers:
                opened.reader.close()
            raise
    return readers
