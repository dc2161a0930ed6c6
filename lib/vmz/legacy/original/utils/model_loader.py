"""Weights from pickles, fitted to the blobs of the caller's model, in the current workspace of Caffe2."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from caffe2.python import core, scope, workspace

from vmz.checkpoints import matching
from vmz.checkpoints.pickles import load_pickle
from vmz.engines.caffe2_engine.programs import has_gpu, program_logger
from vmz.errors import UsageError, VmzError
from vmz.netdef.blob_names import unscoped

from .device_scopes import on, on_device, placed

log = program_logger("model_loader")


def unscope_name(blob_name: Any) -> str:
    """The name of a blob without its scopes: conv1_w for gpu_0/conv1_w."""
    return unscoped(str(blob_name))


def scoped_name(blob_name: str) -> str:
    """The name of a blob in the current name scope."""
    return str(scope.CurrentNameScope()) + blob_name


def FlipBGR2RGB(source_blob: np.ndarray) -> np.ndarray:
    """Reverse the input channels of a convolution's weights."""
    return source_blob[:, ::-1]


def CollapseBlob(source_blob: np.ndarray, target_shape: Iterable[int], blob_name: str) -> np.ndarray:
    """3-D weights of one frame as 2-D ones of `target_shape`. UsageError where they do not fit."""
    shape = tuple(target_shape)
    if np.ndim(source_blob) != 5 or len(shape) != 4:
        raise _unfit("collapse", blob_name, source_blob, shape)
    array = matching.adapt(np.asarray(source_blob), shape)[0]
    if array is None:
        raise _unfit("collapse", blob_name, source_blob, shape)
    log.info("collapsing %s", blob_name)
    return array


def InflateBlob(
    source_blob: np.ndarray, target_shape: Iterable[int], blob_name: str, inflating_opt: int = 1
) -> np.ndarray:
    """2-D weights, or 3-D ones of one frame, as 3-D ones of `target_shape`. UsageError where they do not fit.

    inflating_opt: 1 repeats them in all T frames, divided by T; any other puts them in the centre one, 0 elsewhere.
    """
    shape = tuple(target_shape)
    if np.ndim(source_blob) not in (4, 5) or len(shape) != 5:
        raise _unfit("inflate", blob_name, source_blob, shape)
    centre = inflating_opt != 1
    if centre:
        _check_centre(blob_name, shape)
    array = matching.adapt(np.asarray(source_blob), shape, centre)[0]
    if array is None:
        raise _unfit("inflate", blob_name, source_blob, shape)
    if centre:
        log.info("center initializing %s", blob_name)
    else:
        log.info("inflating %s to T=%s", blob_name, shape[2])
    return array


def LoadModelFromPickleFile(
    model: Any,
    pkl_file: str,
    use_gpu: Any = True,
    root_gpu_id: int = 0,
    bgr2rgb: Any = False,
    inflating: Any = True,
    collapsing: Any = True,
    center_init: Any = False,
) -> None:
    """Load the weights of a pickle into the model's blobs on device `root_gpu_id`, by name; logs what became of each.

    The model's init net must have been run. Blobs are those in scope gpu_<root_gpu_id>, or cpu_<root_gpu_id>, or none.
    Other shapes are adapted: inflated along time unless `inflating` is 0 (with `center_init` in the centre frame),
    collapsed unless `collapsing` is 0, an FC made a 1x1x1 convolution. bgr2rgb: the first convolution takes B, G, R.
    They go to the device where the init net made the blob; use_gpu is for blobs that it did not make.
    A blob that the file lacks keeps its initial value, and so does a classifier of another shape. Raises UsageError
    where the file is not there or the blobs are not, VmzError for a file that is damaged or of another network.
    """
    stored = load_pickle(pkl_file)
    params = list(map(str, model.GetAllParams("")))
    for param in params:
        if not workspace.HasBlob(param):
            log.info("%s is not in the workspace", param)
    # The model's own, and those of the same names that another model has on this device
    named = [on(kind, root_gpu_id, unscope_name(param)) for param in params for kind in ("gpu", "cpu")]
    known = [blob for blob in [*params, *named] if workspace.HasBlob(blob)]
    there = on_device(known, root_gpu_id, "LoadModelFromPickleFile", "run the model's init net first")
    wanted = [(blob, np.shape(workspace.FetchBlob(blob))) for blob in there]
    fitted, report = matching.match(stored, wanted, bool(center_init), bool(bgr2rgb))
    _check(report, pkl_file, bool(center_init), dict(wanted))
    devices, device = _devices(model), _device(use_gpu, root_gpu_id)
    for blob, _ in wanted:
        name = unscope_name(blob)
        how = report.adapted.get(name, "")
        if name in report.missing:
            log.info("%s not found", name)
        elif name in report.mismatched:
            log.warning("%s found, but it is %s there and %s here: it keeps its initial value", name,
                        *report.mismatched[name])  # fmt: skip
        elif how.startswith(("inflated", "2-D to 3-D")) and not inflating:
            log.info("%s found, but inflating is ignored", name)
        elif how.startswith("3-D to 2-D") and not collapsing:
            log.info("%s found, but collapsing is ignored", name)
        else:
            log.info("copying %s%s", name, f" ({how})" if how else "")
            workspace.FeedBlob(blob, fitted[blob], device_option=devices.get(blob, device))


def BroacastParameters(model: Any, src_gpu: int, gpus: Iterable[int]) -> None:
    """Copy what the device `src_gpu` has of the model's parameters and running statistics to the devices `gpus`.

    Raises UsageError where the model has no parameter on that device.
    """
    gpus = list(gpus)
    log.info("Broadcasting parameters from gpu %s to gpu: %s", src_gpu, ",".join(map(str, gpus)))
    found, devices = 0, _devices(model)
    for param in map(str, [*model.params, *model.GetComputedParams("")]):
        place = placed(param)
        if place is None or place.number != str(src_gpu):
            continue
        found += 1
        array = workspace.FetchBlob(param)
        for gpu in gpus:
            target = on(place.kind, gpu, place.name)
            if target != param:
                log.info("broadcast %s -> %s", param, target)
                device = devices.get(target, _device(place.kind == "gpu", gpu))
                workspace.FeedBlob(target, array, device_option=device)
    if not found:
        raise UsageError(
            f"the model has no parameter on device {src_gpu}: none is in scope gpu_{src_gpu} or cpu_{src_gpu}"
        )


def _devices(model: Any) -> dict[str, Any]:
    """Where the model's init net puts each blob: what is loaded into it must be there too."""
    return {blob: op.device_option for op in model.param_init_net.Proto().op for blob in op.output}


def _device(use_gpu: Any, number: int) -> Any:
    """The GPU when asked for and there, or else the CPU: for a blob that the init net does not make."""
    if use_gpu and has_gpu():
        return core.DeviceOption(workspace.GpuDeviceType, int(number))
    return core.DeviceOption(core.caffe2_pb2.CPU)


def _check(report: matching.Report, source: str, center_init: bool, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise for a file that fills nothing, or whose trunk is of another network."""
    others = [name for name in report.mismatched if not matching.is_classifier(name)]
    if others:
        have, want = report.mismatched[others[0]]
        raise VmzError(
            f"{source} is the checkpoint of another network: {others[0]} is {have} in the file and {want} in "
            "the network"
        )
    if not (report.copied or report.adapted):
        raise VmzError(f"{source} has none of the model's {len(shapes)} blobs; give a checkpoint of this network")
    for blob, shape in shapes.items():
        if center_init and "in the centre" in report.adapted.get(unscope_name(blob), ""):
            _check_centre(unscope_name(blob), shape)


def _check_centre(blob_name: str, shape: tuple[int, ...]) -> None:
    if shape[2] % 2 == 0:
        raise UsageError(
            f"{blob_name} has {shape[2]} frames, an even number without a centre; leave center_init out, "
            "then all frames get equal parts"
        )


def _unfit(what: str, blob_name: str, source_blob: np.ndarray, shape: tuple[int, ...]) -> UsageError:
    wanted = "one frame of 5-D weights, all other sizes equal, to 4-D" if what == "collapse" else (
        "4-D weights, or one frame of 5-D ones, all other sizes equal, to 5-D"
    )  # fmt: skip
    return UsageError(f"cannot {what} {blob_name} from {np.shape(source_blob)} to {shape}; it takes {wanted}")
