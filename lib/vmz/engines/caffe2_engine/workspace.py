"""Real Caffe2 as both its engine and its trainer use it: the import, our operators, a workspace, its errors.

The library of operators is `build/ops/libvmz_ops.so` of the clone (`make setup-caffe2` builds it with ops/build.sh), or
the file that VMZ_OPS_LIBRARY names.
"""

from __future__ import annotations

import itertools
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Optional

import numpy as np

from vmz.cores import caffe2_arguments
from vmz.engines.caffe2_engine.faults import Faults
from vmz.engines.caffe2_engine.here import NoCaffe2Error
from vmz.engines.caffe2_engine.surroundings import choose_mkl_path, operator_library
from vmz.errors import LabelError, UsageError, VmzError
from vmz.netdef.builder import device_option
from vmz.netdef.net_parts import copy_net, databases, video_inputs
from vmz.netdef.protos import CPU, CUDA
from vmz.stopping import held_back
from vmz.text import printable
from vmz.video.faults import SOUND_REMEDY, BadVideo, EndedEarly, WithoutSound
from vmz.video.reader import REMEDY, BadVideoError, EndOfData

# How VideoInput and SoftmaxWithLoss say that a label is none of the network's
FOREIGN_LABEL = re.compile(r"has the labels [-0-9, ]+, but num_of_class=|Label seems incorrect")
_numbers = itertools.count()
_free: list[
    str
] = []  # names of workspaces that were reset: Caffe2 never lets go of a workspace, so they are used again


@cache
@held_back()  # Caffe2 makes an error of its own of what is raised meanwhile
def import_caffe2() -> Any:
    """caffe2.python.workspace, initialised once. UsageError, in one sentence, where there is no Caffe2.

    Our operators are loaded where they are built: a net without VideoInput computes its convolutions by them too.
    """
    choose_mkl_path()
    try:
        from caffe2.python import dyndep, workspace
    except ImportError as error:
        raise NoCaffe2Error(str(error)) from error
    workspace.GlobalInit(["caffe2", "--caffe2_log_level=3", *caffe2_arguments()])
    with suppress(UsageError):  # it is not there, which load_operators says to whom it matters
        dyndep.InitOpsLibrary(str(operator_library()))
    return workspace


def load_operators() -> Path:
    """Caffe2 with VideoInput and lmdb. UsageError where their library is not built."""
    import_caffe2()
    return operator_library()


class Workspace:
    """A workspace of Caffe2 to itself. Failures inside Caffe2 are VmzErrors of one sentence.

    faults: what the readers of its nets report.
    """

    def __init__(self) -> None:
        self.caffe2 = import_caffe2()
        self._name: Optional[str] = None
        self.faults = Faults()

    def enter(self) -> None:
        """Make it the current one, for calls into Caffe2 that do not go through this class."""
        if self._name is None:
            self._name = _free.pop() if _free else f"vmz_{next(_numbers)}"
        self.caffe2.SwitchWorkspace(self._name, True)

    def run_once(self, net: Any) -> None:
        """Run a net that is not kept: the fills, and the opening of databases."""
        _load_operators_of(net)
        self._call(self.caffe2.C.run_net_once, net.SerializeToString())

    def create(self, net: Any) -> None:
        """Keep a net, to be run by its name; one of that name is replaced."""
        _load_operators_of(net)
        self._call(self.caffe2.C.create_net, net.SerializeToString(), True)

    def run(self, name: str) -> None:
        """Run a net that was created, once. EndOfData when a reader has given its last batch."""
        self._call(self.caffe2.C.run_net, name, 1, False)

    def has(self, blob: str) -> bool:
        self.enter()
        return bool(self.caffe2.HasBlob(blob))

    def fetch(self, blob: str) -> np.ndarray:
        """A copy of what a blob holds."""
        self.enter()
        return np.array(self.caffe2.FetchBlob(blob))

    def feed(self, blob: str, array: np.ndarray, device: Any) -> None:
        self.enter()
        self.caffe2.FeedBlob(blob, np.ascontiguousarray(array), device_option=device)

    def replace(self, blob: str, array: np.ndarray, device: Any) -> None:
        """Feed a blob that has a value already. VmzError for an array of another shape."""
        shape = self.fetch(blob).shape
        if shape != np.shape(array):
            raise VmzError(f"blob {blob} has shape {tuple(shape)} in the net, not {tuple(np.shape(array))}")
        self.feed(blob, array, device)

    @property
    def skipped(self) -> list[BadVideo]:
        """What the readers left out so far."""
        return self.faults.skipped(self._reported)

    @property
    def ended_early(self) -> list[EndedEarly]:
        """The videos so far whose reading stopped before their end."""
        return self.faults.ended_early(self._reported)

    @property
    def without_sound(self) -> list[WithoutSound]:
        """The videos so far that got zeros for their sound."""
        return self.faults.without_sound(self._reported)

    def _reported(self, blob: str) -> Any:
        return self.fetch(blob) if self.has(blob) else None

    def reset(self) -> None:
        """Drop all nets and blobs."""
        self.faults = Faults()
        if self._name is not None:
            self.enter()
            self.caffe2.ResetWorkspace()
            _free.append(self._name)
            self._name = None

    def _call(self, function: Any, *arguments: Any) -> None:
        """Call into Caffe2 below its Python layer, which prints of every error before it raises it."""
        self.enter()
        try:
            function(*arguments)
        except RuntimeError as error:
            raise self._translated(error) from error

    def _translated(self, error: RuntimeError) -> VmzError:
        """Our error for one of Caffe2's, which are of one type: their text, with C++ positions and the whole operator,
        says what they are. It is looked at nowhere else."""
        text = re.sub(r"^\[enforce fail at [^\]]*\]\s*[^.]*\.\s*", "", str(error))
        sentence = text.split("Error from operator")[0].split("\n")[0].strip().rstrip(".")
        sentence = printable(self.faults.full(sentence, self._reported) or str(error))
        if sentence.startswith("EndOfData"):
            return EndOfData(sentence.partition(": ")[2])
        if FOREIGN_LABEL.search(sentence):
            return LabelError(sentence)
        return (BadVideoError if sentence.endswith((REMEDY, SOUND_REMEDY)) else VmzError)(sentence)


def _load_operators_of(net: Any) -> None:
    if video_inputs(net) or databases(net):
        load_operators()


def parse_device(device: str) -> Any:
    """The DeviceOption of "cpu", "cuda", "cuda:N" or "auto". UsageError for one that is not here."""
    workspace = import_caffe2()
    has_gpu = bool(workspace.has_cuda_support) and workspace.NumCudaDevices() > 0
    kind, _, number = device.partition(":")
    if device == "auto":
        kind = "cuda" if has_gpu else "cpu"
    if kind == "cpu" and not number:
        return device_option(CPU)
    if kind != "cuda" or not (number or "0").isdigit():
        raise UsageError(f"unknown device {device!r}; the devices are auto, cpu, cuda and cuda:N")
    if not has_gpu or int(number or 0) >= workspace.NumCudaDevices():
        raise UsageError(f"device {device} is not available: Caffe2 sees no such GPU; use --device=cpu")
    return device_option(CUDA, int(number or 0))


def device_text(device: Any) -> str:
    """What a DeviceOption is called: "cpu" or "cuda:N"."""
    return f"cuda:{device.device_id}" if device.device_type == CUDA else "cpu"


def placed(net: Any, device: Any) -> Any:
    """A copy of the net, every op that names a device on this one."""
    copy = copy_net(net)
    for op in copy.op:
        if op.HasField("device_option"):
            op.device_option.CopyFrom(device)
    return copy


def seed_ops(net: Any, seed: int) -> None:
    """Make the random numbers of every op of the net a function of `seed` and the op's place alone."""
    for number, op in enumerate(net.op):
        op.device_option.random_seed = (seed * 100_003 + number) % 2**32 or 1  # 0 would mean: from the clock
