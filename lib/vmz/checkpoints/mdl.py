"""Checkpoints as .mdl files: Caffe2's predictor export in a minidb, read and written without Caffe2.

The first record is a MetaNetDef: the nets that load and run the network, and the names of all the blobs that follow.
So a file that lacks some of them is known to be cut short, wherever it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from google.protobuf.message import DecodeError

from vmz.checkpoints.about import read_about
from vmz.checkpoints.minidb import records, write_minidb
from vmz.checkpoints.tensors import SEPARATOR, TENSOR, Assembly, serialise
from vmz.errors import VmzError
from vmz.netdef.blob_names import SCOPE, first_of_each, is_scoped, scoped
from vmz.netdef.builder import make_argument
from vmz.netdef.protos import BlobChunk, MetaNetDef, NetDef, OperatorDef
from vmz.netdef.pruning import prune
from vmz.netdef.wire import parse
from vmz.text import counted, cut, printable, quoted

# Caffe2's names (predictor_consts.proto).
META_NET_DEF, DATABASE = "!!META_NET_DEF", "!!PREDICTOR_DBREADER"
PARAMETERS, INPUTS, OUTPUTS = "PARAMETERS_BLOB_TYPE", "INPUTS_BLOB_TYPE", "OUTPUTS_BLOB_TYPE"
GLOBAL_INIT_NET, PREDICT_INIT_NET, PREDICT_NET = "GLOBAL_INIT_NET_TYPE", "PREDICT_INIT_NET_TYPE", "PREDICT_NET_TYPE"
TEXT = "std::string"  # the type of a BlobProto that holds bytes
ABOUT = "vmz_about"

Names = Union[Sequence[str], Mapping[str, Sequence[int]]]


def load_mdl(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """The blobs of a predictor export: {name without the device scope: array as stored}, in the order it lists them.

    Of several devices' copies of a blob the first one listed counts. Raises UsageError when the file is not there,
    VmzError when it is no such file, or any part of it is missing or damaged.
    """
    _, arrays = load_export(path)
    return first_of_each(arrays)


def load_export(path: Union[str, Path]) -> tuple[Head, dict[str, np.ndarray]]:
    """(what its first record says, {full name: array, in the order the export lists them}). Raises as `load_mdl`."""
    path = Path(path)
    head, content = _open(path)
    assembly = Assembly(limit=path.stat().st_size)
    for key, value in content:
        _add(path, assembly, key, value)
    listed = head.parameters
    incomplete = dict.fromkeys(assembly.incomplete())
    missing = [name for name in listed if name not in assembly.arrays or name in incomplete] or list(incomplete)
    if missing:
        raise VmzError(
            f"{path} is truncated: it lacks {len(missing)} of the {counted(len(listed), 'blob')} that it should "
            f"contain, first "
            f"{cut(printable(missing[0]))}; copy it again, or use an earlier checkpoint"
        )
    return head, {name: assembly.arrays[name] for name in dict.fromkeys([*listed, *assembly.arrays])}


def load_saved_blobs(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """The blobs that Caffe2's Save operator wrote into a minidb: {name in the file: array}. Raises as `load_mdl`."""
    path = Path(path)
    assembly = Assembly(limit=path.stat().st_size)
    for key, value in records(path):
        _add(path, assembly, key, value)
    incomplete = assembly.incomplete()
    if incomplete:
        raise VmzError(f"{path} is truncated: it lacks a part of blob {cut(printable(incomplete[0]))}; copy it again")
    return assembly.arrays


def load_mdl_about(path: Union[str, Path]) -> dict[str, Any]:
    """What `save_mdl` was given as `about`, {} in a file without. Raises as `load_mdl` does, of its first record."""
    return _about(Path(path), _open(Path(path))[0])


def read_mdl(path: Union[str, Path]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `load_mdl` and `load_mdl_about` give, of a file that is read once."""
    head, arrays = load_export(path)
    return first_of_each(arrays), _about(Path(path), head)


def _about(path: Path, head: Head) -> dict[str, Any]:
    return {} if head.about is None else read_about(path, head.about)


def save_mdl(
    path: Union[str, Path],
    blobs: Mapping[str, np.ndarray],
    net: Any = None,
    scope: str = SCOPE,
    inputs: Names = (),
    outputs: Sequence[str] = (),
    about: Optional[Mapping[str, Any]] = None,
) -> None:
    """Write a predictor export that Caffe2's predictor_exporter loads; it appears whole or not at all.

    blobs: {name: array of numbers}, written inside `scope` ("" for none). net: a NetDef with full blob names, of which
    the part that leads from `inputs` to `outputs` is kept; without it the file holds a net of no ops. inputs: full
    names, or {full name: shape} where Caffe2's loader shall set the shapes of the zeros that it puts there. about:
    anything JSON can hold. ValueError for a net that needs a blob which is neither given nor an input.
    """
    held = {name if is_scoped(name) else scoped(name, scope): array for name, array in blobs.items()}
    predict = NetDef(name="predict") if net is None else prune(net, inputs, outputs)
    used = [name for name in inputs if net is None or name in predict.external_input]
    unknown = [name for name in predict.external_input if name not in held and name not in used]
    if unknown:
        raise ValueError(f"the net of {path} reads {unknown[0]}, which is neither among the blobs nor an input")
    del predict.external_input[:]
    predict.external_input.extend([*used, *held])
    meta = MetaNetDef()
    for key, names in ((PARAMETERS, list(held)), (INPUTS, used), (OUTPUTS, list(outputs))):
        meta.blobs.add(key=key).value.extend(names)
    shapes = inputs if isinstance(inputs, Mapping) else {}
    meta.nets.add(key=PREDICT_INIT_NET).value.CopyFrom(_zeros(used, shapes))
    meta.nets.add(key=GLOBAL_INIT_NET).value.CopyFrom(_loader(list(held)))
    meta.nets.add(key=PREDICT_NET).value.CopyFrom(predict)
    if about is not None:
        meta.applicationSpecificInfo.add(key=ABOUT, value=json.dumps(about))
    write_minidb(path, _records(meta, held))


def _records(meta: Any, blobs: Mapping[str, np.ndarray]) -> Iterator[tuple[str, bytes]]:
    """The MetaNetDef comes first: Caffe2 reads a database forward only."""
    first = BlobChunk(name=META_NET_DEF, type=TEXT, content=meta.SerializeToString())
    yield META_NET_DEF, first.SerializeToString()
    for name, array in blobs.items():
        yield from serialise(name, array)


def _loader(names: list[str]) -> Any:
    """The net that loads the blobs from the database that the export is read from."""
    net = NetDef(name="global-init", external_input=[DATABASE], external_output=names)
    net.op.append(OperatorDef(type="Load", input=[DATABASE], output=names))
    return net


def _zeros(names: list[str], shapes: Mapping[str, Sequence[int]]) -> Any:
    """The net that makes the inputs, because Caffe2 creates no net before they are there; empty where no shape is."""
    net = NetDef(name="predict-init", external_input=names)
    for name in names:
        op = OperatorDef(type="ConstantFill", output=[name])
        op.arg.extend([make_argument("shape", list(shapes.get(name, [0]))), make_argument("value", 0.0)])
        net.op.append(op)
    return net


@dataclass(frozen=True)
class Head:
    """What the first record says.

    parameters: the names of all blobs. names: {INPUTS or another key: names of blobs}. nets: {PREDICT_NET or another
    key: NetDef}. about: what `save_mdl` was given, as JSON.
    """

    parameters: list[str]
    names: dict[str, list[str]]
    nets: dict[str, Any]
    about: Optional[str]


def _head(meta: Any) -> Optional[Head]:
    """None where it names no parameters."""
    named = [(blobs.key, list(blobs.value)) for blobs in meta.blobs]
    if not any(key.startswith(PARAMETERS) for key, _ in named):
        return None
    parameters = [name for key, names in named if key.startswith(PARAMETERS) for name in names]
    nets = {entry.key: entry.value for entry in meta.nets}
    about = next((entry.value for entry in meta.applicationSpecificInfo if entry.key == ABOUT), None)
    return Head(parameters, dict(named), nets, about)


def _add(path: Path, assembly: Assembly, key: str, value: bytes) -> None:
    try:
        blob = parse(BlobChunk, value)
        if blob.type != TENSOR:
            raise VmzError(f"it is a {cut(printable(blob.type)) or 'nothing'}, but blobs are arrays of numbers")
        assembly.add(key.partition(SEPARATOR)[0], blob.tensor)
    except (DecodeError, VmzError) as error:
        raise VmzError(
            f"{path}: record {cut(printable(key))} is damaged or of an unknown kind: {cut(printable(str(error)))}"
        ) from error


def _open(path: Path) -> tuple[Head, Iterator[tuple[str, bytes]]]:
    """The head of an export, and the records that follow it."""
    content = records(path)
    key, value = next(content)
    try:
        blob = parse(BlobChunk, value)
        head = _head(parse(MetaNetDef, blob.content))
    except DecodeError as error:
        raise VmzError(f"{path} is damaged: its first record, {quoted(key)}, cannot be read") from error
    if key.partition(SEPARATOR)[0] != META_NET_DEF or head is None:
        raise VmzError(
            f"{path} is a minidb, but not a checkpoint: the first record of a predictor export is {META_NET_DEF}, here "
            f"it is {quoted(key)}"
        )
    return head, content
