"""The readers of a training net on Caffe2: one a device, each with its share of the database, and where they are."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from vmz.engines.caffe2_engine.faults import Faults
from vmz.engines.caffe2_engine.training_net import ParallelNet
from vmz.engines.caffe2_engine.workspace import Workspace
from vmz.engines.trainer import classes_of
from vmz.netdef.builder import device_option, get_arguments, set_arguments
from vmz.netdef.net_parts import databases, split_readers, video_inputs
from vmz.netdef.protos import CPU, NetDef
from vmz.netdef.training_state import POSITION
from vmz.processes.shares import Share, divided


class Readers:
    """The VideoInput operators of `nets`, none where it is fed. `seed`: for what they draw, where they have none.

    The original lets all devices take the next video of one cursor. Here each takes its share of every batch of all
    devices, so that what a device gets does not depend on which was faster.
    """

    def __init__(self, nets: Optional[ParallelNet] = None, seed: int = 0) -> None:
        ops = video_inputs(nets.net) if nets else []
        self._seed = seed
        self.classes = min((classes_of(get_arguments(op)) for op in ops), default=0)  # of single labels; 0: any
        self._positions = [f"{POSITION}_{number}" for number in range(len(ops))]
        self._first = np.array([get_arguments(op).get("first_position", 0) for op in ops], np.int64)
        self._opening = NetDef(name="vmz_readers")
        if nets:
            self._opening.op.extend(databases(nets.init_net))

    def __len__(self) -> int:
        return len(self._first)

    def split(self, net: Any, faults: Faults) -> tuple[Any, Any]:
        """The training net in two: its readers, placed where they are to begin, and all the rest.

        Apart, a reader that fails does so before any parameter has changed, and the time of each is known. `faults`
        watches them.
        """
        reading, rest = split_readers(net)
        for number, op in enumerate(reading.op):
            arguments = get_arguments(op)
            if len(self) > 1:
                seed = arguments.get("seed", 0) or self._seed + 1  # all shards must draw the same
                set_arguments(op, **Share(number, len(self)).arguments(), seed=seed)
            if self._first[number]:
                set_arguments(op, first_position=int(self._first[number]))
            set_arguments(op, get_position=1)
            op.output.append(self._positions[number])
            faults.watch(op)
        return reading, rest

    def start(self, workspace: Workspace) -> None:
        """Say where the readers are before the first batch."""
        for blob, position in zip(self._positions, self._first):
            workspace.feed(blob, np.array([position], np.int64), device_option(CPU))

    def positions(self, workspace: Workspace) -> np.ndarray:
        """int64 (readers,): videos of its own stream that each has given or left out, up to the batch last used."""
        return np.array([workspace.fetch(blob).item() for blob in self._positions], np.int64)

    def move(self, workspace: Workspace, positions: np.ndarray) -> None:
        """Begin at these positions, in a net yet to be made; of another number of readers, see `divided`."""
        given = [int(videos) for videos in np.asarray(positions).reshape(-1)]
        self._first = np.array(divided(given, len(self)), np.int64)
        self.start(workspace)
        workspace.run_once(self._opening)
