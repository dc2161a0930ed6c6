"""The operator library in the real Caffe2's workspace, as the tests of this folder use it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmz.cores import caffe2_arguments
from vmz.netdef.net_parts import VIDEO_INPUT
from vmz.netdef.video_outputs import asked_outputs

LIBRARY = Path(
    os.environ.get("VMZ_OPS_LIBRARY", Path(__file__).resolve().parents[3] / "build" / "ops" / "libvmz_ops.so")
)

try:
    from caffe2.python import core, dyndep, workspace
except ImportError:
    core = dyndep = workspace = None

WHY_NOT = ""
if workspace is None:
    WHY_NOT = "THE C++ OPERATORS ARE NOT TESTED: this Python has no Caffe2 (torch 1.10.2 on Python 3.9)"
elif not LIBRARY.exists():
    WHY_NOT = f"THE C++ OPERATORS ARE NOT TESTED: {LIBRARY} is not built; run ops/build.sh or set VMZ_OPS_LIBRARY"
else:
    workspace.GlobalInit(["tests", "--caffe2_log_level=3", *caffe2_arguments()])
    dyndep.InitOpsLibrary(str(LIBRARY))

needs_library = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
needs_opencv = pytest.mark.skipif(
    not WHY_NOT and b"libopencv_video" not in LIBRARY.read_bytes(),
    reason="FLOW AND IMAGES OF THE C++ OPERATOR ARE NOT TESTED: it was built without OpenCV (libopencv-video-dev)",
)


REPORTS = ("position", "skipped", "ended_early", "without_sound")  # last, in this order


def output_names(args: dict[str, Any], operator: str = VIDEO_INPUT) -> list[str]:
    """Outputs of an operator that reads clips with these arguments, in its order."""
    return [*asked_outputs(args, operator), *(name for name in REPORTS if args.get(f"get_{name}"))]


class Operator:
    """A net of one VideoInput or AVInput on a database. Every `run` gives its outputs by name, as arrays."""

    def __init__(
        self,
        database: Any,
        args: dict[str, Any],
        db_type: str = "lmdb",
        net_type: str = "simple",
        operator: str = VIDEO_INPUT,
    ) -> None:
        workspace.ResetWorkspace()
        self.open(database, db_type)
        net = core.Net("read")
        net.Proto().type = net_type
        self.outputs = output_names(args, operator)
        getattr(net, operator)(["reader"], self.outputs, **args)
        self.net = net
        workspace.CreateNet(net)

    @staticmethod
    def open(database: Any, db_type: str = "lmdb", **shard: int) -> None:
        init = core.Net("open")
        init.CreateDB([], "reader", db=str(database), db_type=db_type, **shard)
        workspace.RunNetOnce(init)

    def run(self) -> dict[str, np.ndarray]:
        workspace.RunNet(self.net)
        return self.fetch()

    def fetch(self) -> dict[str, np.ndarray]:
        return {name: workspace.FetchBlob(name) for name in self.outputs}

    def skipped(self) -> list[tuple[str, str, str]]:
        """(key, path, reason) of every record that gave no clips, also after an error."""
        return self._table("skipped")

    def without_sound(self) -> list[tuple[str, str, str]]:
        """(key, path, reason) of every video so far that got zeros for its sound."""
        return self._table("without_sound")

    @staticmethod
    def _table(blob: str) -> list[tuple[str, str, str]]:
        table = np.asarray(workspace.FetchBlob(blob), object).reshape(-1, 3)
        return [tuple(entry.decode() for entry in row) for row in table]


@contextmanager
def opened(database: Any, args: dict[str, Any], **how: str) -> Iterator[Operator]:
    """An Operator whose net and blobs are gone at the end of the block."""
    try:
        yield Operator(database, args, **how)
    finally:
        workspace.ResetWorkspace()


def operator_results(name: str, inputs: Sequence[np.ndarray], outputs: int = 1, **arguments: Any) -> list[np.ndarray]:
    """What an operator of Caffe2 gives for these inputs."""
    given = [f"in{number}" for number in range(len(inputs))]
    made = [f"out{number}" for number in range(outputs)]
    for blob, array in zip(given, inputs):
        workspace.FeedBlob(blob, np.ascontiguousarray(array))
    workspace.RunOperatorOnce(core.CreateOperator(name, given, made, **arguments))
    return [workspace.FetchBlob(blob) for blob in made]
