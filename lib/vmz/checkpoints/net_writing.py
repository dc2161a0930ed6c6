"""A network written as Caffe2's programs read it: predict_net and init_net, a predictor export, JSON, weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

from vmz.errors import UsageError, VmzError
from vmz.files import atomic_write
from vmz.netdef.builder import make_argument
from vmz.netdef.json_form import net_to_json
from vmz.netdef.net_parts import copy_net
from vmz.netdef.protos import NetDef, OperatorDef

FILLS = {
    np.dtype(np.float32): "GivenTensorFill",
    np.dtype(np.float64): "GivenTensorDoubleFill",
    np.dtype(np.int32): "GivenTensorIntFill",
    np.dtype(np.int64): "GivenTensorInt64Fill",
    np.dtype(np.bool_): "GivenTensorBoolFill",
}
LONGEST = 2**31 - 1  # bytes of a protobuf message


def given_net(blobs: Mapping[str, np.ndarray], inputs: Sequence[str] = ()) -> Any:
    """An init net that fills `blobs`, and `inputs` with a zero, as Caffe2's mobile_exporter does.

    VmzError for a type that no fill has.
    """
    net = NetDef(name="init")
    for name, array in blobs.items():
        array = np.asarray(array)
        if array.dtype not in FILLS:
            raise VmzError(
                f"blob {name} is an array of {array.dtype}, which no Caffe2 fill creates; cast it to float32"
            )
        op = net.op.add(type=FILLS[array.dtype], output=[name])
        shape, values = op.arg.add(name="shape"), op.arg.add(name="values")
        shape.ints.extend(array.shape)
        field = values.floats if array.dtype.kind == "f" else values.ints
        field.extend((array.astype(np.int64) if array.dtype.kind == "b" else array).reshape(-1).tolist())
    for name in inputs:
        fill = OperatorDef(type="GivenTensorFill", output=[name])
        fill.arg.extend([make_argument("shape", [1, 1]), make_argument("values", [0.0])])
        net.op.append(fill)
    return net


def predict_net(net: Any, inputs: Sequence[str], blobs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Any:
    """A copy of a net with `inputs`, then `blobs`, as its external inputs, and `outputs`."""
    copy = copy_net(net)
    for field, names in (("external_input", [*inputs, *blobs]), ("external_output", outputs)):
        copy.ClearField(field)
        getattr(copy, field).extend(names)
    return copy


def init_path(path: Path) -> Path:
    """The file of the init net beside that of a predict net: init_net.pb of predict_net.pb, x_init.pb of x.pb."""
    stem = path.stem.replace("predict", "init") if "predict" in path.stem else f"{path.stem}_init"
    return path.with_name(f"{stem}{path.suffix}")


def write_nets(path: Path, net: Any, init_net: Any) -> list[Path]:
    """Both nets, binary or, as .pbtxt, as text; returns the two files. VmzError for more than a protobuf holds."""
    paths = [path, init_path(path)]
    for file, message in zip(paths, (net, init_net)):
        if message.ByteSize() > LONGEST:
            raise VmzError(f"{file} would be larger than 2 GiB, the limit of protobuf; write a .mdl instead")
        text = path.suffix.lower() == ".pbtxt"
        with atomic_write(file) as stream:
            stream.write(text_format.MessageToString(message).encode() if text else message.SerializeToString())
    return paths


def write_net_json(path: Path, net: Any) -> None:
    """The net in our JSON form, without weights. UsageError for an argument that JSON has no form for."""
    for number, op in enumerate(net.op):
        for argument in op.arg:
            if argument.HasField("n") or argument.nets or argument.HasField("t") or argument.tensors:
                raise UsageError(
                    f"{path} cannot be JSON: operator {op.type} (number {number}) has a net or tensor as its argument "
                    f"{argument.name}; write .pb or .mdl"
                )
    with atomic_write(path, "w") as stream:
        json.dump({"net": net_to_json(net)}, stream)
        stream.write("\n")
