"""An engine's own VideoInput as a reader: a net of nothing else, run for its batches."""

from __future__ import annotations

import dataclasses
from types import TracebackType
from typing import Any, Optional, Union

import numpy as np

from vmz.engines.registry import open_engine
from vmz.netdef.builder import NetBuilder, device_option
from vmz.netdef.inputs import VideoSource, add_video_input
from vmz.video.arguments import VideoInputArgs
from vmz.video.database import VideoDatabase
from vmz.video.faults import BadVideo, EndedEarly
from vmz.video.reader import Batch, ClipReader
from vmz.video.records import key_text

# In the operator's order, each with the argument that asks for it
OUTPUTS = {
    "data": "get_rgb",
    "flow": "get_optical_flow",
    "label": None,
    "video_id": "get_video_id",
    "start_frame": "get_start_frame",
    "record_index": "get_record_index",
}


class NetReader:
    """What ClipReader does, by the VideoInput of an engine: the same arguments, batches and errors."""

    def __init__(self, database: str, args: VideoInputArgs, engine: str, device: str = "cpu") -> None:
        self._engine = open_engine(engine, device)
        with VideoDatabase(database) as records:
            self._keys = [key_text(key) for key in records.keys]
        args = dataclasses.replace(args, get_record_index=1)
        self._outputs = tuple(name for name, asked in OUTPUTS.items() if asked is None or getattr(args, asked))
        net = NetBuilder("clips", is_test=True, device=device_option())
        add_video_input(net, VideoSource(database, _operator_arguments(args), self._outputs, stop_gradient=False))
        self._engine.load(net.init_net, net.net, keep=self._outputs)

    def next_batch(self) -> Batch:
        """The next batch. Raises EndOfData after one pass, VmzError for a bad record."""
        self._engine.run()
        found: dict[str, np.ndarray] = {name: self._engine.fetch(name) for name in self._outputs}
        keys = [self._keys[record] for record in found["record_index"]]
        return Batch(
            data=found.get("data"),
            label=found["label"],
            video_id=found.get("video_id"),
            start_frame=found.get("start_frame"),
            record_index=found["record_index"],
            keys=keys,
            flow=found.get("flow"),
        )

    @property
    def skipped(self) -> list[BadVideo]:
        return self._engine.skipped

    @property
    def ended_early(self) -> list[EndedEarly]:
        return self._engine.ended_early

    def close(self) -> None:
        """Close the reader. Closing twice is harmless."""
        self._engine.close()

    def __enter__(self) -> NetReader:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def open_reader(database: str, args: VideoInputArgs, engine: str, device: str = "cpu") -> Union[ClipReader, NetReader]:
    """The reader behind an engine's VideoInput. The PyTorch engine's is ClipReader, which needs no net around it."""
    return ClipReader(database, args) if engine == "pytorch" else NetReader(database, args, engine, device)


def _operator_arguments(args: VideoInputArgs) -> dict[str, Any]:
    """The arguments that are not the operator's defaults."""
    values = {field.name: (getattr(args, field.name), field.default) for field in dataclasses.fields(args)}
    return {name: list(v) if isinstance(v, tuple) else v for name, (v, default) in values.items() if v != default}
