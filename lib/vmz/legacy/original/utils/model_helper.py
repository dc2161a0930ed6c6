"""What programs ask of a model: its costs, its weights, its reader, and weights from an .mdl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from caffe2.python import core, scope, workspace

from vmz.checkpoints.mdl import load_mdl
from vmz.engines.caffe2_engine.programs import has_gpu, need_operators, program_logger
from vmz.errors import UsageError
from vmz.netdef.analysis import costs, totals
from vmz.netdef.net_parts import AV_INPUT, VIDEO_INPUT
from vmz.netdef.protos import NetDef
from vmz.netdef.video_outputs import network_inputs
from vmz.video.sound.arguments import reader_arguments

from .device_scopes import on_device, placed

log = program_logger("model_helper")

_COUNTED = ("Conv", "FC")
_INPUTS = {0: "rgb", 1: "optical flow", 2: "logmels", 3: "rgb and logmels"}  # by input_type
_HEARD = (2, 3)


def GetFlopsAndParams(model: Any, gpu_id: int = 0) -> tuple[float, float, float]:
    """Multiply-adds of one clip in billions, parameters in millions, interactions in billions, of one device's part.

    Those of Conv and FC, weights without biases, by the shapes of the last run. Raises UsageError before the first one,
    or where the model has nothing on the device.
    """
    ops = _counted_ops(model, gpu_id, "GetFlopsAndParams")
    net, shapes = NetDef(op=ops), {}
    for op in ops:
        for blob in (op.input[1], op.output[0]):
            if not workspace.HasBlob(blob):
                raise UsageError(f"blob {blob} has no value; run the net once before GetFlopsAndParams")
            shapes[blob] = np.shape(workspace.FetchBlob(blob))
    found = totals(costs(net, shapes))
    return found.gmacs, found.params_m, found.interactions_g


def GetModelWeights(model: Any, gpu_id: int = 0) -> dict[str, np.ndarray]:
    """{full name: array} of the weights and biases of Conv and FC of one device's part.

    Raises UsageError where the init net has not been run, or the model has nothing on the device.
    """
    found = {}
    for op in _counted_ops(model, gpu_id, "GetModelWeights"):
        for blob in op.input[1:]:
            if not workspace.HasBlob(blob):
                raise UsageError(f"blob {blob} has no value; run the init net before GetModelWeights")
            found[blob] = np.array(workspace.FetchBlob(blob))
    return found


def LoadModel(path: str, dbtype: str = "minidb") -> None:
    """Load the blobs of a predictor export, as train_net writes them, under the names that they have in it.

    They go to the GPU where there is one, unless the device scope is the CPU. Raises UsageError where the file is not
    there, VmzError where it is no such export, or cut short.
    """
    from caffe2.python.predictor import predictor_py_utils
    from caffe2.python.predictor_constants import predictor_constants

    log.info("Loading path: %s", path)
    meta = _export(path, dbtype)
    on_cpu = (scope.CurrentDeviceScope() or core.DeviceOption(workspace.GpuDeviceType)).device_type == 0
    for kind in (predictor_constants.PREDICT_INIT_NET_TYPE, predictor_constants.GLOBAL_INIT_NET_TYPE):
        net = core.Net(predictor_py_utils.GetNet(meta, kind))
        if has_gpu() and not on_cpu:
            net.RunAllOnGPU()
        if not workspace.RunNetOnce(net):
            raise UsageError(f"Caffe2 cannot run the net {kind} of {path}; its own message is above")


def getTrainingGPUs(path: str, dbtype: str) -> set[str]:
    """The numbers, as text, of the devices whose blobs a predictor export names. Raises as LoadModel does."""
    meta = _export(path, dbtype)
    names = [name for net in meta.nets for op in net.value.op for name in [*op.input, *op.output]]
    return {found.number for found in map(placed, names) if found}


def AddVideoInput(model: Any, reader: Any, **kwargs: Any) -> None:
    """Add VideoInput on `reader` and StopGradient on its clips: data, label, and, if asked for, video_id, start_frame.

    kwargs: the operator's arguments, which are written as they are, with the original's input_type: 0 for RGB, 1 for
    optical flow, 2 for log-mels, which are the clips then, and 3 for RGB and logmels; of these AVInput is the reader.
    Raises UsageError for arguments that the operator would refuse.
    """
    need_operators()
    kind = int(kwargs.get("input_type", 0) or 0)
    if kind not in _INPUTS:
        raise UsageError(f"input_type={kind} is not possible: 0 is RGB, 1 optical flow, 2 log-mels, 3 RGB and log-mels")
    arguments = {name: _plain(value) for name, value in kwargs.items()}
    operator = AV_INPUT if kind in _HEARD else VIDEO_INPUT
    args = reader_arguments(arguments, operator)
    if args.get_rgb and args.get_optical_flow:
        raise UsageError("get_rgb and get_optical_flow are both set, but there is one blob for clips, data; set one")
    log.info("outputing %s data", _INPUTS[kind])
    add = getattr(model.net, operator)
    made = add(reader, list(network_inputs(arguments, operator)), name="data", **arguments)
    model.net.StopGradient(made[0], made[0])


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _counted_ops(model: Any, gpu_id: int, for_what: str) -> list[Any]:
    ops = [op for op in model.net.Proto().op if op.type in _COUNTED]
    absent = "it has no Conv and no FC"
    weights = set(on_device((op.input[1] for op in ops), gpu_id, for_what, absent))
    return [op for op in ops if op.input[1] in weights]


def _export(path: str, dbtype: str) -> Any:
    """The MetaNetDef of an export, of which a minidb has been read to its end."""
    from caffe2.python.predictor import predictor_exporter

    if dbtype == "minidb":
        load_mdl(path)
    elif not Path(path).exists():
        raise UsageError(f"cannot read the checkpoint {path}: there is no such file")
    return predictor_exporter.load_from_db(str(path), dbtype)
