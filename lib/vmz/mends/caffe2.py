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
from typing import Any, Callable

from vmz.cores import use_threads
from vmz.engines.caffe2_surroundings import choose_mkl_path, operator_library
from vmz.errors import UsageError
from vmz.mends.hooks import supply, when_imported
from vmz.mends.table import mend, report

C_EXTENSION = "caffe2.python._import_c_extension"
# Of GlobalInit, in every Caffe2: for these alone no other process is asked.
SURE_FLAGS = {"caffe2_log_level", "caffe2_omp_num_threads", "caffe2_mkl_num_threads"}
# On the CPU a copy between devices is a copy.
COPIES = {"CopyCPUToGPU", "CopyGPUToCPU", "CopyFromCPUInput", "EnsureCPUOutput"}


@mend("threads", "Caffe2's single thread: OpenMP and MKL get the cores, or what OMP_NUM_THREADS, MKL_NUM_THREADS say")
def install_threads() -> None:
    if "caffe2.python" in sys.modules or "torch" in sys.modules:
        report("threads", "Caffe2 is imported already, so its number of threads stays as it is")
        return
    given = [name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if os.environ.get(name)]
    count = use_threads()
    report("threads", f"Caffe2 computes with {count} threads" + (f", as {given[0]} says" if given else ""))


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


@mend("device-names", "caffe2_pb2.CPU and CUDA before caffe2.python is imported, and DeviceOption.cuda_gpu_id")
def install_device_names() -> None:
    when_imported("caffe2.proto.caffe2_pb2", _mend_device_names)


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


@mend("gpu", "what asks for a GPU on a machine that has none: it runs on the CPU, under the same names")
def install_gpu() -> None:
    when_imported(C_EXTENSION, _mend_c_extension)
    when_imported("caffe2.python.workspace", _mend_feeding)
    when_imported("caffe2.python.data_parallel_model", _mend_nccl)


def _has_gpu() -> bool:
    return bool(sys.modules[C_EXTENSION].num_cuda_devices())


def _on_cpu(option: Any) -> bool:
    """Move a DeviceOption from CUDA to the CPU. Returns whether it was on CUDA."""
    if option.device_type != 1:
        return False
    option.device_type = 0
    return True


def _op_on_cpu(op: Any) -> bool:
    moved = op.HasField("device_option") and _on_cpu(op.device_option)
    if op.type in COPIES:
        op.type, moved = "Copy", True
    for argument in op.arg:
        for net in [*([argument.n] if argument.HasField("n") else []), *argument.nets]:
            moved = _net_on_cpu(net) or moved
    return bool(moved)


def _net_on_cpu(net: Any) -> bool:
    moved = net.HasField("device_option") and _on_cpu(net.device_option)
    for op in net.op:
        moved = _op_on_cpu(op) or moved
    return bool(moved)


def _plan_on_cpu(plan: Any) -> bool:
    return any([_net_on_cpu(net) for net in plan.network])


def _mend_c_extension(c: Any) -> None:
    if c.num_cuda_devices():
        return
    from caffe2.proto import caffe2_pb2

    def wrapped(former: Any, kind: Any, move: Callable[[Any], bool]) -> Any:
        def call(serialised: bytes, *arguments: Any, **keywords: Any) -> Any:
            message = kind.FromString(serialised)
            if move(message):
                _report_gpu()
                serialised = message.SerializeToString()
            return former(serialised, *arguments, **keywords)

        return call

    for names, kind, move in (
        (("create_net", "run_net_once", "benchmark_net_once"), caffe2_pb2.NetDef, _net_on_cpu),
        (("run_operator_once", "run_operator_multiple"), caffe2_pb2.OperatorDef, _op_on_cpu),
        (("run_plan",), caffe2_pb2.PlanDef, _plan_on_cpu),
    ):
        for name in names:
            if hasattr(c, name):
                setattr(c, name, wrapped(getattr(c, name), kind, move))


def _report_gpu() -> None:
    report("gpu", "there is no GPU here: what the program asks of GPUs runs on the CPU")


def _mend_feeding(workspace: Any) -> None:
    if _has_gpu():
        return
    from caffe2.proto import caffe2_pb2
    from caffe2.python import scope

    former = workspace._Workspace_feed_blob

    def feed(ws: Any, name: Any, array: Any, device_option: Any = None) -> Any:
        asked = device_option if device_option is not None else scope.CurrentDeviceScope()
        if asked is not None and asked.device_type == 1:
            _report_gpu()
            device_option = caffe2_pb2.DeviceOption(device_type=0)
        return former(ws, name, array, device_option)

    workspace._Workspace_feed_blob = feed
    workspace.C.Workspace.feed_blob = feed


def _mend_nccl(data_parallel_model: Any) -> None:
    if _has_gpu():
        return
    former = data_parallel_model.Parallelize

    def parallelize(*arguments: Any, **keywords: Any) -> Any:
        if keywords.get("use_nccl"):
            _report_gpu()
            keywords["use_nccl"] = False
        return former(*arguments, **keywords)

    data_parallel_model.Parallelize = parallelize
