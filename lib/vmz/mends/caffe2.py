"""What a program of that time finds missing in the pinned wheel's Caffe2, or on a machine without a GPU."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache, partial
from types import ModuleType
from typing import Any

from vmz.cores import use_threads
from vmz.engines.caffe2_engine.surroundings import choose_mkl_path, operator_library
from vmz.errors import UsageError
from vmz.mends.gpu import C_EXTENSION
from vmz.mends.hooks import supply, when_imported
from vmz.mends.table import mend, report
from vmz.text import counted

# Of GlobalInit, in every Caffe2: for these alone no other process is asked.
SURE_FLAGS = {"caffe2_log_level", "caffe2_omp_num_threads", "caffe2_mkl_num_threads"}


@mend("threads", "Caffe2's single thread: OpenMP and MKL get the cores, or what OMP_NUM_THREADS, MKL_NUM_THREADS say")
def install_threads() -> None:
    if "caffe2.python" in sys.modules or "torch" in sys.modules:
        report("threads", "Caffe2 is imported already, so its number of threads stays as it is")
        return
    given = [name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if os.environ.get(name)]
    count = use_threads()
    report("threads", f"Caffe2 computes with {counted(count, 'thread')}" + (f", as {given[0]} says" if given else ""))


@mend("mkl", "MKL's slow path on AMD processors: MKL_DEBUG_CPU_TYPE=5")
def install_mkl() -> None:
    if choose_mkl_path():
        report("mkl", "an AMD processor: MKL_DEBUG_CPU_TYPE=5")


@mend("operators", "the operator VideoInput and the database type lmdb, which the wheel lacks: our library")
def install_operators() -> None:
    def after_workspace(_: ModuleType) -> None:
        if "caffe2.python.core" not in sys.modules:  # else it is on its way, and what follows it comes later
            __import__("caffe2.python.core")

    when_imported("caffe2.python.core", _load_operators)
    when_imported("caffe2.python.workspace", after_workspace)


def _load_operators(core: Any) -> None:
    """As dyndep.InitOpsLibrary does, which may be what is just importing core."""
    try:
        path = operator_library()
    except UsageError as error:
        report("operators", f"VideoInput and lmdb are missing: {error}")
        return
    from caffe2.python import extension_loader

    with extension_loader.DlopenGuard():
        ctypes.CDLL(str(path))
    core.RefreshRegisteredOperators()
    report("operators", f"VideoInput and lmdb come from {path}")


@mend("global-init", "workspace.GlobalInit with flags that this Caffe2 does not have")
def install_global_init() -> None:
    when_imported(C_EXTENSION, _mend_global_init)


def _mend_global_init(c: Any) -> None:
    former = c.global_init

    def global_init(arguments: Sequence[str]) -> Any:
        kept, dropped = _known_flags([str(argument) for argument in arguments])
        if dropped:
            report("global-init", f"this Caffe2 has no flag {' '.join(dropped)}: left out")
        return former(kept)

    c.global_init = global_init
    workspace: Any = sys.modules.get("caffe2.python.workspace")
    if hasattr(workspace, "GlobalInit"):
        workspace.GlobalInit = global_init


def _known_flags(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Arguments of GlobalInit: those that Caffe2 takes, and the others, of which one would keep it from starting."""
    kept, dropped = arguments[:1], list[str]()
    rest = arguments[1:]
    while rest:
        piece = [rest.pop(0)]
        if piece[0].startswith("--") and "=" not in piece[0] and rest and not rest[0].startswith("--"):
            piece.append(rest.pop(0))  # its value
        name = piece[0].partition("=")[0][2:]
        is_known = piece[0].startswith("--") and (name in SURE_FLAGS or name in _flags_of_caffe2())
        (kept if is_known else dropped).extend(piece)
    return kept, dropped


@cache
def _flags_of_caffe2() -> frozenset[str]:
    """All flags, as another process prints them: --help ends the process that asks."""
    command = "from caffe2.python import workspace; workspace.GlobalInit(['caffe2', '--help'])"
    ran = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    return frozenset(re.findall(r"(?m)^ +(\w+): \(", ran.stdout + ran.stderr))


@mend("checkpoint", "data_parallel_model.FinalizeAfterCheckpoint of a model that Parallelize did not make")
def install_checkpoint() -> None:
    when_imported("caffe2.python.data_parallel_model", _mend_checkpoint)


def _mend_checkpoint(data_parallel_model: Any) -> None:
    former = data_parallel_model.FinalizeAfterCheckpoint

    def finalize(model: Any, *arguments: Any, **keywords: Any) -> Any:
        if not hasattr(model, "_shared_model") and len(getattr(model, "_devices", None) or [0]) == 1:
            report("checkpoint", "FinalizeAfterCheckpoint of a model on one device: there is nothing to synchronise")
            return None
        return former(model, *arguments, **keywords)

    data_parallel_model.FinalizeAfterCheckpoint = finalize


@mend("device-names", "caffe2_pb2.CUDA before caffe2.python, DeviceOption.cuda_gpu_id, workspace.SetDefaultGPUID ...")
def install_device_names() -> None:
    when_imported("caffe2.proto.caffe2_pb2", _mend_device_names)
    when_imported("caffe2.python.workspace", _mend_workspace_names)


def _mend_device_names(protos: Any) -> None:
    names = ("CPU", "CUDA", "MKLDNN", "OPENGL", "OPENCL", "IDEEP", "HIP")
    makers = {name: partial(getattr, protos, f"PROTO_{name}") for name in names}
    supply(protos, makers, "device-names")
    if not hasattr(protos.DeviceOption, "cuda_gpu_id"):
        protos.DeviceOption.cuda_gpu_id = property(_device_id, _set_device_id)


def _device_id(option: Any) -> int:
    report("device-names", "DeviceOption.cuda_gpu_id is device_id now")
    return int(option.device_id)


def _set_device_id(option: Any, number: int) -> None:
    report("device-names", "DeviceOption.cuda_gpu_id is device_id now")
    option.device_id = number


def _mend_workspace_names(workspace: Any) -> None:
    """What earlier releases said of GPUs. The default GPU is gone: a scope names the device."""
    names = {
        "GetCudaPeerAccessPattern": lambda: workspace.GetGpuPeerAccessPattern,
        "GetDefaultGPUID": lambda: lambda: 0,
        "SetDefaultGPUID": lambda: lambda number: None,
    }
    supply(workspace, names, "device-names")
