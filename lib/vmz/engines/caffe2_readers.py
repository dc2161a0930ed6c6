"""The readers of a training net on Caffe2: one a device, each with its share of the database, and where they are."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from vmz.engines.caffe2_training_net import ParallelNet
from vmz.engines.caffe2_workspace import Workspace
from vmz.errors import VmzError
from vmz.netdef.builder import device_option, get_arguments, make_argument
from vmz.netdef.protos import CPU, NetDef
from vmz.video.reader import BadVideo


class Readers:
    """The VideoInput operators of `nets`, none where it is fed. `seed`: for what they draw, where they have none.

    The original lets all devices take the next video of one cursor. Here each takes its share of every batch of all
    devices, so that what a device gets does not depend on which was faster.
    """

    def __init__(self, nets: Optional[ParallelNet] = None, seed: int = 0) -> None:
        ops = [op for op in nets.net.op if op.type == "VideoInput"] if nets else []
        self._seed = seed
        self._skipped = [f"vmz_skipped_{number}" for number in range(len(ops))]
        self._positions = [f"vmz_position_{number}" for number in range(len(ops))]
        self._first = np.array([get_arguments(op).get("first_position", 0) for op in ops], np.int64)
        self._opening = NetDef(name="vmz_readers")
        if nets:
            self._opening.op.extend(op for op in nets.init_net.op if op.type == "CreateDB")

    def __len__(self) -> int:
        return len(self._first)

    def placed(self, net: Any) -> Any:
        """A copy of the training net whose readers begin where they are to, and tell where they are."""
        net = NetDef.FromString(net.SerializeToString())
        for number, op in enumerate(op for op in net.op if op.type == "VideoInput"):
            arguments = get_arguments(op)
            if len(self) > 1:
                _set(op, "shard_index", number)
                _set(op, "shard_count", len(self))
                _set(op, "seed", arguments.get("seed", 0) or self._seed + 1)  # all shards must draw the same
            if self._first[number]:
                _set(op, "first_position", int(self._first[number]))
            _set(op, "get_position", 1)
            _set(op, "get_skipped", 1)
            op.output.extend([self._positions[number], self._skipped[number]])
        return net

    def positions(self, workspace: Workspace) -> np.ndarray:
        """int64 (readers,): videos of its own stream that each has given or left out, up to the batch last used."""
        return np.array([self._position(workspace, number) for number in range(len(self))], np.int64)

    def move(self, workspace: Workspace, positions: np.ndarray) -> None:
        """Begin at these positions, in a net yet to be made. VmzError for those of another number of readers."""
        positions = np.asarray(positions, np.int64).reshape(-1)
        if len(positions) != len(self):
            raise VmzError(
                f"the state is of {len(positions)} devices that read, this run has {len(self)}; go on with as many"
            )
        self._first = positions
        for blob, position in zip(self._positions, positions):
            workspace.feed(blob, np.array([position]), device_option(CPU))
        workspace.run_once(self._opening)

    def _position(self, workspace: Workspace, number: int) -> int:
        blob = self._positions[number]
        return int(workspace.fetch(blob).item() if workspace.has(blob) else self._first[number])

    def skipped(self, workspace: Workspace) -> list[BadVideo]:
        """What all of them left out."""
        return workspace.skipped(self._skipped)


def _set(op: Any, name: str, value: int) -> None:
    """Give the op an argument, in place of one of that name."""
    for argument in [argument for argument in op.arg if argument.name == name]:
        op.arg.remove(argument)
    op.arg.append(make_argument(name, value))
