"""The reference engine: real Caffe2's workspace, from the pinned wheel, with our VideoInput and lmdb operators.

The library of operators is `build/ops/libvmz_ops.so` of the clone (`make setup-caffe2` builds it with ops/build.sh), or
the file that VMZ_OPS_LIBRARY names.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Optional

import numpy as np

from vmz.engines.engine import Engine, full_name
from vmz.errors import UsageError, VmzError
from vmz.netdef.builder import get_arguments, make_argument
from vmz.netdef.protos import CPU, CUDA, NetDef
from vmz.video.reader import BadVideo, EndOfData

OPS_LIBRARY = Path(__file__).resolve().parents[3] / "build" / "ops" / "libvmz_ops.so"
_numbers = itertools.count()


@cache
def import_caffe2() -> Any:
    """caffe2.python.workspace, initialised once. UsageError, in one sentence, where there is no Caffe2."""
    if _is_amd():  # MKL 2020 takes a slow path there unless it is told otherwise before its first call
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")
    try:
        from caffe2.python import workspace
    except ImportError as error:
        raise UsageError(
            f"engine caffe2 is not available in Python {sys.version_info[0]}.{sys.version_info[1]} here ({error}); "
            "make setup-caffe2 makes .venv-caffe2, which has it; or use --engine=pytorch"
        ) from error
    workspace.GlobalInit(["caffe2", "--caffe2_log_level=3"])
    return workspace


@cache
def load_operators() -> Path:
    """Register VideoInput and lmdb with Caffe2. UsageError where their library is not built."""
    import_caffe2()
    from caffe2.python import dyndep

    path = Path(os.environ.get("VMZ_OPS_LIBRARY", OPS_LIBRARY))
    if not path.is_file():
        raise UsageError(f"no operator library at {path}; ops/build.sh builds it, or VMZ_OPS_LIBRARY names another")
    dyndep.InitOpsLibrary(str(path))
    return path


class Caffe2Engine(Engine):
    """A workspace of Caffe2 to itself; the nets run as they are, op for op, on the device asked for."""

    def __init__(self, device: str = "cpu") -> None:
        self._caffe2 = import_caffe2()
        self._device = _device_option(self._caffe2, device)
        self._workspace = f"vmz_{next(_numbers)}"
        self._net: Any = None
        self._parts: dict[str, Any] = {}  # the net in two: what reads, and the rest, so that the time of each is known
        self._seconds: dict[str, float] = {}
        self._created = False
        self._blobs: dict[str, None] = {}
        self._fills: dict[str, None] = {}
        self._computed: dict[str, str] = {}
        self._skipped: list[str] = []  # blobs that hold what the readers left out
        self._databases: list[str] = []

    def load(
        self,
        init_net: Any,
        net: Any,
        weights: Optional[Mapping[str, np.ndarray]] = None,
        seed: int = 0,
        keep: Sequence[str] = (),
    ) -> None:
        self.close()
        init_net, net = self._placed(init_net), self._placed(net)
        for op in [*init_net.op, *net.op]:
            self._blobs.update(dict.fromkeys([*op.input, *op.output]))
        if any(op.type in ("VideoInput", "CreateDB") for op in [*init_net.op, *net.op]):
            load_operators()
        self._databases = [get_arguments(op)["db"] for op in init_net.op if op.type == "CreateDB"]
        for number, op in enumerate(op for op in net.op if op.type == "VideoInput"):
            self._skipped.append(f"vmz_skipped_{number}")
            op.arg.append(make_argument("get_skipped", 1))
            op.output.append(self._skipped[-1])
        for number, op in enumerate(init_net.op):
            op.device_option.random_seed = (seed * 100_003 + number) % 2**32 or 1  # 0 would mean: from the clock
        self._fills = dict.fromkeys(blob for op in init_net.op for blob in op.output)
        self._computed = {blob: op.type for op in net.op for blob in op.output}
        self._enter()
        self._call(self._caffe2.C.run_net_once, init_net.SerializeToString())
        self._net, self._parts = net, _parts(net)
        self._seconds = dict.fromkeys(("read", "net"), 0.0)
        for name, array in (weights or {}).items():
            self._set_parameter(full_name(name, self._fills), array)

    def feed(self, blob: str, array: np.ndarray) -> None:
        name = full_name(blob, self._blobs)
        if name in self._fills:
            self._set_parameter(name, array)
        elif name in self._computed and self._computed[name] != "StopGradient":
            raise UsageError(f"blob {name} cannot be fed: operator {self._computed[name]} computes it")
        else:
            self._enter()
            self._caffe2.FeedBlob(name, np.ascontiguousarray(array), device_option=self._device)

    def run(self) -> None:
        if self._net is None:
            raise UsageError("the engine has no net to run; call load first")
        self._enter()
        if not self._created:
            missing = [blob for blob in self._net.external_input if not self._caffe2.HasBlob(blob)]
            if missing:
                raise UsageError(f"blob {missing[0]} has no value: no operator computes it; feed it before run")
            for part in self._parts.values():
                self._call(self._caffe2.C.create_net, part.SerializeToString(), True)
            self._created = True
        for kind, part in self._parts.items():
            started = time.perf_counter()
            self._call(self._caffe2.C.run_net, part.name, 1, False)
            self._seconds[kind] += time.perf_counter() - started

    def fetch(self, blob: str) -> np.ndarray:
        name = full_name(blob, self._blobs)
        self._enter()
        if not self._caffe2.HasBlob(name):
            raise UsageError(f"blob {name} has no value yet; call run before fetch")
        return np.array(self._caffe2.FetchBlob(name))

    def blobs(self) -> list[str]:
        return list(self._blobs)

    @property
    def skipped(self) -> list[BadVideo]:
        self._enter()
        rows = [row for blob in self._skipped if self._caffe2.HasBlob(blob) for row in self._caffe2.FetchBlob(blob)]
        return [BadVideo(_text(key), _text(path) or None, _text(reason)) for key, path, reason in rows]

    @property
    def seconds(self) -> Mapping[str, float]:
        return dict(self._seconds)

    def close(self) -> None:
        if self._net is not None:
            self._enter()
            self._caffe2.ResetWorkspace()
        self._net, self._created = None, False
        for known in (self._blobs, self._fills, self._computed, self._skipped):
            known.clear()

    def _enter(self) -> None:
        self._caffe2.SwitchWorkspace(self._workspace, True)

    def _placed(self, net: Any) -> Any:
        """A copy of the net, every op that names a device on ours."""
        copy = NetDef.FromString(net.SerializeToString())
        for op in copy.op:
            if op.HasField("device_option"):
                op.device_option.CopyFrom(self._device)
        return copy

    def _set_parameter(self, name: str, array: np.ndarray) -> None:
        self._enter()
        shape = tuple(self._caffe2.FetchBlob(name).shape)
        if shape != tuple(np.shape(array)):
            raise VmzError(f"blob {name} has shape {shape} in the net, not {tuple(np.shape(array))}")
        self._caffe2.FeedBlob(name, np.ascontiguousarray(array), device_option=self._device)

    def _call(self, function: Any, *arguments: Any) -> None:
        """Call into Caffe2 below its Python layer, which prints of every error before it raises it."""
        try:
            function(*arguments)
        except RuntimeError as error:
            raise self._translated(error) from error

    def _translated(self, error: RuntimeError) -> VmzError:
        """Our error for one of Caffe2's, whose message carries C++ positions and the whole operator.

        The operator names a bad record by its key; which database that is in, only the net knows.
        """
        text = re.sub(r"^\[enforce fail at [^\]]*\]\s*[^.]*\.\s*", "", str(error))
        sentence = text.split("Error from operator")[0].split("\n")[0].strip().rstrip(".")
        if "EndOfData" in text:
            return EndOfData(sentence)
        if sentence.startswith("record ") and self._databases:
            sentence = f"{', '.join(self._databases)}, {sentence}"
        return VmzError(sentence or str(error))


def _parts(net: Any) -> dict[str, Any]:
    """{"read": the net's VideoInputs, where it has any, "net": its other ops}: they depend on databases only."""
    parts = {"net": NetDef.FromString(net.SerializeToString())}
    readers = [op for op in net.op if op.type == "VideoInput"]
    if readers:
        reading = NetDef.FromString(net.SerializeToString())
        reading.name = f"{net.name}_readers"
        del reading.op[:]
        reading.op.extend(readers)
        computing = [op for op in net.op if op.type != "VideoInput"]
        del parts["net"].op[:]
        parts["net"].op.extend(computing)
        parts["net"].external_input.extend(blob for op in readers for blob in op.output)
        parts = {"read": reading, **parts}
    return parts


def _device_option(workspace: Any, device: str) -> Any:
    """The DeviceOption of "cpu", "cuda", "cuda:N" or "auto". UsageError for one that is not here."""
    from vmz.netdef.builder import device_option

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


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
