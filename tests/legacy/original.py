"""The original's modules as its programs import them, and models of Caffe2 with names of their own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vmz
from vmz.netdef.analysis import param_shapes
from vmz.netdef.json_form import net_to_json

SMALL = {"num_labels": 7, "num_channels": 3, "crop_size": 112, "clip_length": 8}  # of build_model

ORIGINAL = Path(vmz.__file__).with_name("legacy") / "original"
if str(ORIGINAL) not in sys.path:
    sys.path.append(str(ORIGINAL))


def cnn_model(name: str, **given: Any) -> Any:
    """A CNNModelHelper, called `name` whatever nets this process has made before."""
    from caffe2.python import cnn, core

    core.Net._net_names_used.clear()
    arguments = {"order": "NCHW", "use_cudnn": True, "cudnn_exhaustive_search": True, **given}
    logging.disable(logging.WARNING)  # that the helper is deprecated
    try:
        return cnn.CNNModelHelper(name=name, **arguments)
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def device(number: int = 0, prefix: str = "gpu") -> Iterator[None]:
    """On the CPU, in scope gpu_<number>, as the original's tools build what runs on one."""
    from caffe2.proto import caffe2_pb2
    from caffe2.python import core

    with core.NameScope(f"{prefix}_{number}"), core.DeviceScope(core.DeviceOption(caffe2_pb2.CPU, number)):
        yield


@contextmanager
def workspace_of_its_own(name: str = "original") -> Iterator[Any]:
    """An empty workspace, of which nothing is left behind."""
    from caffe2.python import workspace

    before = workspace.CurrentWorkspace()
    workspace.SwitchWorkspace(name, True)
    try:
        yield workspace
    finally:
        workspace.ResetWorkspace()
        workspace.SwitchWorkspace(before)


def parameters(model: Any) -> dict[str, Any]:
    """What the goldens record of a model beside its nets."""
    shapes = {blob: list(shape) for blob, shape in param_shapes(model.param_init_net.Proto()).items()}
    return {
        "params": [[str(blob), shapes[str(blob)]] for blob in model.GetParams("")],
        "computed_params": [[str(blob), shapes[str(blob)]] for blob in model.GetComputedParams("")],
        "all_params": [str(blob) for blob in model.GetAllParams("")],
        "weights": [str(blob) for blob in model.weights],
        "biases": [str(blob) for blob in model.biases],
        "param_to_grad": {str(blob): str(gradient) for blob, gradient in model.param_to_grad.items()},
    }


def nets(model: Any) -> tuple[Any, Any, Any]:
    """All of a model that can differ from another's: its two nets as JSON, and its parameters."""
    return net_to_json(model.net.Proto()), net_to_json(model.param_init_net.Proto()), parameters(model)
