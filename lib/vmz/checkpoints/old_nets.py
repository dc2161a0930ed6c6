"""Networks as old Caffe2 programs left them, read without Caffe2: the net, its init net and what blobs hold.

The forms: predict_net.pb and init_net.pb (binary, or text as .pbtxt), a folder of the two, a predictor export in a
minidb (.mdl, .minidb), JSON as `print_net.py --json` writes it; and for weights a pickled workspace or the minidb of a
Save operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from vmz.checkpoints.foreign import content_type, foreign_kind, refuse_foreign
from vmz.checkpoints.mdl import INPUTS, OUTPUTS, PREDICT_NET, load_export, load_saved_blobs
from vmz.checkpoints.pickles import load_workspace
from vmz.checkpoints.values import check_values
from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import parse_json
from vmz.files import open_input
from vmz.netdef.blob_names import first_of_each, unscoped
from vmz.netdef.json_form import net_from_json
from vmz.netdef.net_parts import copy_net
from vmz.netdef.protos import NetDef
from vmz.netdef.wire import parse
from vmz.text import counted, quoted

MOST_BLOBS = 4096  # inputs or outputs of one operator
PREDICT_FILES = ("predict_net.pb", "predict_net.pbtxt")
INIT_FILES = ("init_net.pb", "init_net.pbtxt", "param_init_net.pb")
FORMS = "predict_net.pb, predict_net.pbtxt, a folder of these, .mdl, .minidb, .json"
Source = Union[str, Path, Any]  # a file, or a NetDef


@dataclass
class OldNet:
    """net, init_net: NetDef. blobs: {full name: array}. inputs, outputs: as the file says, or nothing."""

    net: Any
    init_net: Any = field(default_factory=NetDef)
    blobs: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    form: str = "NetDef"


def read_old_net(net: Source, init_net: Optional[Source] = None, weights: Optional[Source] = None) -> OldNet:
    """A network from files in any of the forms, or from NetDefs.

    weights: a file, or {blob: array}; its names may lack the net's scope, or have one that the net lacks. UsageError
    for a file that is not there or of another kind, VmzError for a damaged one and for a blob of another shape.
    """
    found = _network(net)
    if init_net is not None:
        found.init_net = _init_net(init_net)
    if weights is not None:
        blobs = dict(weights) if isinstance(weights, Mapping) else read_blobs(weights)
        wanted = dict.fromkeys([blob for op in found.net.op for blob in op.input])
        found.blobs.update(named_as(wanted, blobs))
    _check_names(found)
    check_values("the network" if not isinstance(net, (str, Path)) else net, found.blobs)
    return found


def _check_names(found: OldNet) -> None:
    """VmzError where a name has line ends or the like, which no message could show in a line and no form could keep, or
    where an operator has more inputs or outputs than any needs.
    """
    for net in (found.net, found.init_net):
        for op in net.op:
            if max(len(op.input), len(op.output)) > MOST_BLOBS:
                raise VmzError(
                    f"operator {quoted(op.type)} of the net {quoted(net.name)} has {counted(len(op.input), 'input')} "
                    f"and "
                    f"{counted(len(op.output), 'output')}; {MOST_BLOBS} are the most that VMZ reads"
                )
        names = [
            name for op in net.op for name in (op.type, *op.input, *op.output, *(argument.name for argument in op.arg))
        ]
        for name in (*names, *net.external_input, *net.external_output, *found.inputs, *found.outputs):
            if not isinstance(name, str) or not name.isprintable():  # bytes: what is no UTF-8, in some protobufs
                raise VmzError(
                    f"the net {quoted(net.name)} is damaged: {quoted(name)} is not a valid name of a blob or operator"
                )


def read_blobs(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """{name in the file: array} of a pickled workspace, a predictor export, or the minidb of a Save operator."""
    kind = content_type(path)
    if kind == "pickle":
        return load_workspace(path)
    if kind == "minidb":
        return load_export(path)[1]
    if Path(path).suffix.lower() in (".minidb", ".mdl", ".db"):
        return load_saved_blobs(path)
    refuse_foreign(path)
    _bytes(Path(path))
    raise UsageError(f"{path} contains no weights that VMZ knows: give a pickled workspace (.pkl), a .mdl or a .minidb")


def named_as(wanted: Iterable[str], blobs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{name of `wanted`: array}: by the full name, or else by what follows the last "/"; what nothing wants is out.

    Of several devices' copies in a file the first counts.
    """
    short = first_of_each(blobs)
    found = {}
    for name in wanted:
        if name in blobs:
            found[name] = np.asarray(blobs[name])
        elif unscoped(name) in short:
            found[name] = np.asarray(short[unscoped(name)])
    return found


def _network(source: Source) -> OldNet:
    if not isinstance(source, (str, Path)):
        return OldNet(_proto(source))
    path = Path(source)
    if path.is_dir():
        net, init = (_in_folder(path, names) for names in (PREDICT_FILES, INIT_FILES))
        if net is None:
            raise UsageError(f"{path} is a folder without predict_net.pb; give the file of a net: {FORMS}")
        found = _network(net)
        found.init_net = NetDef() if init is None else _init_net(init)
        return found
    kind = content_type(path)
    if kind == "minidb":
        return _export(path)
    if kind == "pickle":
        raise UsageError(
            f"{path} is a pickle of blobs, not a net; give it as the weights, and a net beside it: {FORMS}"
        )
    content = _bytes(path)
    found = _json(path, content) or OldNet(_net(path, content), form="protobuf")
    if not any(op.input for op in found.net.op):
        raise UsageError(f"{path} only fills blobs: it is an init net; give the predict net, and this as the init net")
    return found


def _init_net(source: Source) -> Any:
    if not isinstance(source, (str, Path)):
        return _proto(source)
    path = Path(source)
    content = _bytes(path)
    found = _json(path, content, "param_init_net")
    return found.init_net if found is not None else _net(path, content)


def _proto(source: Any) -> Any:
    """A NetDef of ours from any object with the interface of one: a NetDef, or a core.Net."""
    message = source.Proto() if hasattr(source, "Proto") else source
    if not hasattr(message, "SerializeToString") or not hasattr(message, "external_input"):
        raise UsageError(f"a {type(source).__name__} is not a net; give a NetDef, or a file: {FORMS}")
    return copy_net(message)


def _in_folder(folder: Path, names: Iterable[str]) -> Optional[Path]:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _export(path: Path) -> OldNet:
    head, blobs = load_export(path)
    if PREDICT_NET not in head.nets or not head.nets[PREDICT_NET].op:
        raise UsageError(f"{path} contains only weights, no net; give it as the weights, and a net beside it: {FORMS}")
    inputs, outputs = (tuple(head.names.get(key, ())) for key in (INPUTS, OUTPUTS))
    net = copy_net(head.nets[PREDICT_NET])
    return OldNet(net, NetDef(), dict(blobs), inputs, outputs, "predictor export")


def _json(path: Path, content: bytes, only: str = "net") -> Optional[OldNet]:
    """What a JSON file holds: {"net", "param_init_net"}, or one net; None where it is none."""
    if content.lstrip()[:1] != b"{":
        return None
    try:
        form = parse_json(content.decode("utf-8"), str(path))
    except (UsageError, UnicodeDecodeError) as error:
        if path.suffix.lower() == ".json":
            raise UsageError(str(error)) from error
        return None
    try:
        if "op" in form:
            net = net_from_json({"name": "", **form})
            return OldNet(net, net if only != "net" else NetDef(), form="JSON")
        init = net_from_json(form["param_init_net"]) if form.get("param_init_net") else NetDef()
        return OldNet(net_from_json(form["net"]), init, form="JSON")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path} is JSON, but not a net in the form of print_net.py --json: {type(error).__name__} {error}"
        ) from error


def _net(path: Path, content: bytes) -> Any:
    """A NetDef from binary or text protobuf."""
    kind = foreign_kind(path)
    if kind is not None:
        raise UsageError(f"{path} is {kind}, not a net of Caffe2; the forms are {FORMS}")
    text = _text(content)
    try:
        if text is not None:
            net = text_format.Parse(text, NetDef(), allow_unknown_field=True)
        else:
            net = parse(NetDef, content)
    except RecursionError as error:
        raise UsageError(f"{path} is not a net of Caffe2: its content is nested too deeply") from error
    except (DecodeError, text_format.ParseError) as error:
        raise UsageError(
            f"{path} is not a net of Caffe2, or is damaged: {' '.join(str(error).split())[:200]}"
        ) from error
    if not net.op or not all(op.type for op in net.op):
        what = "a net of Caffe2 has operators, each with a type"
        raise UsageError(
            f"{path} contains no net of Caffe2: {what}; perhaps it comes from another program (TensorFlow, ONNX)"
        )
    return net


def _text(content: bytes) -> Optional[str]:
    if b"\0" in content[:4096] or not content.strip():
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character in "\t\r\n" for character in text[:4096]) else None


def _bytes(path: Path) -> bytes:
    with open_input(path, f"the net {path}") as stream:
        content = stream.read()
    if not content:
        raise VmzError(f"{path} is empty; download or copy it again")
    return content
