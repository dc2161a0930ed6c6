"""VideoInput and AVInput of the PyTorch engine: they run beside the graph and hand their outputs in as inputs."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vmz.engines.torch_engine.graph.op import Op, read_ops
from vmz.errors import VmzError
from vmz.netdef.net_parts import CLIP_READERS, CREATE_DB
from vmz.netdef.video_outputs import asked_outputs
from vmz.video.normalisation import MEAN, SCALE

# Caffe2's own, of no effect on what is read
WITHOUT_EFFECT = ("cudnn_exhaustive_search", "use_cudnn", "order", "ws_nbytes_limit", "exhaustive_search")


class Reader(Protocol):
    """What vmz.video.reader.ClipReader offers."""

    skipped: list[Any]
    ended_early: list[Any]
    without_sound: list[Any]

    @property
    def position(self) -> int: ...

    def next_batch(self) -> Any: ...

    def close(self) -> None: ...


class InputOp:
    """One VideoInput or AVInput of the net with the reader that carries it out. normalised=False: see open_readers."""

    def __init__(self, op: Op, database: str, normalised: bool = True) -> None:
        from vmz.video.reader import ClipReader
        from vmz.video.sound.arguments import reader_arguments

        arguments = {name: value for name, value in op.arguments.items() if name not in WITHOUT_EFFECT}
        self.op = op
        self.fields = asked_outputs(op.arguments, op.type)
        if len(self.fields) != len(op.outputs):
            raise VmzError(f"{op} has {len(op.outputs)} outputs, but its arguments ask for {', '.join(self.fields)}")
        self.reader: Reader = ClipReader(database, reader_arguments(arguments, op.type), normalised)

    def next_batch(self) -> dict[str, np.ndarray]:
        """{output blob: array} of the next batch; EndOfData passes through."""
        batch = self.reader.next_batch()
        return {blob: getattr(batch, field) for blob, field in zip(self.op.outputs, self.fields)}


def normalised_clips(pixels: Tensor, channels_last: bool = False) -> Tensor:
    """The float32 clips (N, 3, length, crop, crop) of uint8 `pixels` (N, length, crop, crop, 3), on their device.

    The bits are those of vmz.video.normalisation.normalise. channels_last: in memory as `pixels` lie, without moving
    them, else contiguous.
    """
    mean, scale = (torch.from_numpy(values).to(pixels.device) for values in (MEAN, SCALE))
    if channels_last:
        return pixels.to(torch.float32).sub_(mean).mul_(scale).permute(0, 4, 1, 2, 3)
    clips = torch.empty_like(pixels.permute(0, 4, 1, 2, 3), dtype=torch.float32, memory_format=torch.contiguous_format)
    clips.copy_(pixels.permute(0, 4, 1, 2, 3))
    return clips.sub_(mean.view(3, 1, 1, 1)).mul_(scale.view(3, 1, 1, 1))


def open_readers(init_net: Any, net: Any, normalised: bool = True) -> list[InputOp]:
    """A reader for each VideoInput and AVInput of the net, over the database that the CreateDB of its input blob names.

    normalised=False: RGB clips come as uint8 (N, length, crop, crop, 3), for `normalised_clips` on the net's device.
    """
    databases = {}
    for op in read_ops(init_net):
        if op.type == CREATE_DB:
            if op.arg("db_type", "lmdb") != "lmdb":
                raise op.unsupported("db_type", "databases are read from lmdb")
            databases[op.outputs[0]] = op.arg("db", "")
    readers: list[InputOp] = []
    for op in read_ops(net):
        if op.type not in CLIP_READERS:
            continue
        if op.inputs[0] not in databases:
            raise VmzError(f"{op} reads {op.inputs[0]}, which no CreateDB of the param_init_net creates")
        try:
            readers.append(InputOp(op, databases[op.inputs[0]], normalised))
        except BaseException:
            for opened in readers:
                opened.reader.close()
            raise
    return readers
