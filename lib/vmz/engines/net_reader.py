"""An engine's own VideoInput or AVInput as a reader: a net of nothing else, run for its batches."""

from __future__ import annotations

import dataclasses
from types import TracebackType
from typing import Any, Optional, Union

import numpy as np

from vmz.engines.registry import open_engine
from vmz.netdef.builder import NetBuilder, device_option
from vmz.netdef.inputs import VideoSource, add_video_input
from vmz.netdef.video_outputs import ALL_OUTPUTS, RECORD_INDEX, asked_outputs
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.records import key_text
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound
from vmz.video.reader import Batch, ClipReader


class NetReader:
    """What ClipReader does, by the VideoInput or AVInput of an engine: the same arguments, batches and errors."""

    def __init__(self, database: str, args: VideoInputArgs, engine: str, device: str = "cpu") -> None:
        self._engine = open_engine(engine, device)
        with VideoDatabase(database) as records:
            self._keys = [key_text(key) for key in records.keys]
        args = dataclasses.replace(args, get_record_index=1)
        self._outputs = asked_outputs(vars(args), args.operator)
        net = NetBuilder("clips", is_test=True, device=device_option())
        source = VideoSource(
            database, _operator_arguments(args), self._outputs, stop_gradient=False, operator=args.operator
        )
        add_video_input(net, source)
        self._engine.load(net.init_net, net.net, keep=self._outputs)

    def next_batch(self) -> Batch:
        """The next batch. Raises EndOfData after one pass, VmzError for a bad record."""
        self._engine.run()
        found: dict[str, np.ndarray] = {name: self._engine.fetch(name) for name in self._outputs}
        keys = [self._keys[record] for record in found[RECORD_INDEX]]
        return Batch(keys=keys, **{output.name: found.get(output.name) for output in ALL_OUTPUTS})  # type: ignore[arg-type]

    @property
    def skipped(self) -> list[BadVideo]:
        return self._engine.skipped

    @property
    def ended_early(self) -> list[EndedEarly]:
        return self._engine.ended_early

    @property
    def without_sound(self) -> list[WithoutSound]:
        return self._engine.without_sound

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
