"""A machine without a GPU: what an old program asks of one runs on the CPU, under the names that it gave."""

from __future__ import annotations

import sys
from typing import Any, Callable

from vmz.mends.hooks import when_imported
from vmz.mends.table import mend, report

C_EXTENSION = "caffe2.python._import_c_extension"
# On the CPU a copy between devices is a copy.
COPIES = {"CopyCPUToGPU", "CopyGPUToCPU", "CopyFromCPUInput", "EnsureCPUOutput"}
# NCCL's operators, which are of GPUs alone.
SUMS, BROADCAST = {"NCCLAllreduce", "NCCLReduce"}, "NCCLBroadcast"


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
    return _nccl_on_cpu(net) or bool(moved)


def _nccl_on_cpu(net: Any) -> bool:
    """Write NCCL's operators as sums and copies. Returns whether there were any."""
    if not any(op.type in SUMS or op.type == BROADCAST for op in net.op):
        return False
    ops = [each for op in net.op for each in _as_copies(op)]
    del net.op[:]
    net.op.extend(ops)
    return True


def _as_copies(op: Any) -> list[Any]:
    if op.type not in SUMS and op.type != BROADCAST:
        return [op]
    ops = []
    if op.type == BROADCAST:
        source = op.input[next((argument.i for argument in op.arg if argument.name == "root"), 0)]
    else:
        source = f"{op.output[0]}_nccl_sum"  # of its own: an output may be any of the inputs
        ops.append(type(op)(type="Sum", input=op.input, output=[source]))
    return ops + [type(op)(type="Copy", input=[source], output=[blob]) for blob in op.output if blob != source]


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

    predictor = c.Predictor

    def make_predictor(*nets: bytes) -> Any:
        messages = [caffe2_pb2.NetDef.FromString(net) for net in nets]
        if any([_net_on_cpu(net) for net in messages]):
            _report_gpu()
        return predictor(*[net.SerializeToString() for net in messages])

    c.Predictor = make_predictor
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

    workspace.GetGPUMemoryInfo = lambda number=0: {"free": 0, "used": 0, "total": 0}  # was of no argument, an array
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
