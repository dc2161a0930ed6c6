"""Networks of old Caffe2 programs as PyTorch modules: read from any of their files, checked, completed, imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule

from vmz.checkpoints.old_nets import OldNet, Source, named_as, read_old_net
from vmz.engines.torch_engine.graph import importer
from vmz.engines.torch_engine.graph.fills import run_fills
from vmz.engines.torch_engine.graph.op import read_ops
from vmz.errors import UsageError, VmzError
from vmz.netdef.blob_names import full_name, unscoped
from vmz.netdef.net_parts import copy_net
from vmz.netdef.pruning import prune
from vmz.netdef.training_part import forward_part

# Inputs of an operator that are parameters, by place, where the first input is data.
PARAMETER_PLACES = {
    **dict.fromkeys(["Conv", "Conv1D", "Conv2D", "Conv3D", "ConvTranspose", "FC", "FCTransposed"], (1, 2)),
    **dict.fromkeys(["ElementwiseLinear", "AffineChannel", "AffineNd", "AffineChannelNd"], (1, 2)),
    **dict.fromkeys(["InstanceNorm", "GroupNorm", "LayerNorm"], (1, 2)),
    "SpatialBN": (1, 2, 3, 4),
    "PRelu": (1,),
}
# Operators one of whose inputs may well be a constant of 0.
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Sum", "WeightedSum", "Max", "Min", "Pow")
WITH_CONSTANTS = (*ARITHMETIC, "Where", "EQ", "NE", "LT", "LE", "GT", "GE")


@dataclass(frozen=True)
class Imported:
    """A network and its module. net: the forward part. blobs: {full name: array} of all parameters.

    left_out: operators of the training that the net had beside. unused: names in the weights that nothing reads.
    """

    module: GraphModule
    net: Any
    blobs: Mapping[str, np.ndarray]
    inputs: Sequence[str]
    outputs: Sequence[str]
    form: str
    left_out: Sequence[Any]
    unused: Sequence[str]


def import_old_net(
    net: Source,
    init_net: Optional[Source] = None,
    weights: Optional[Source] = None,
    inputs: Optional[Sequence[str]] = None,
    outputs: Optional[Sequence[str]] = None,
    seed: int = 0,
) -> Imported:
    """Import a network from what an old program left: see `vmz.import_net`."""
    given = dict(weights) if isinstance(weights, Mapping) else None
    old = read_old_net(net, init_net, weights)
    main, left_out = forward_part(old.net)
    known = [blob for op in main.op for blob in (*op.input, *op.output)]
    wanted = list(outputs) if outputs is not None else list(old.outputs) or None
    ins = {full_name(name, known) for name in (inputs if inputs is not None else old.inputs if old.inputs else ())}
    ops = read_ops(main)
    outer = importer.outside_blobs(main)
    ins |= _placeholders(old, main) - set(old.blobs) if inputs is None and not old.inputs else set()
    values = _values(old, [blob for blob in outer if blob not in ins], seed)
    importer.check_operators(main, wanted)
    module = importer.import_net(main, outputs=wanted, values=values)
    taken = importer.input_blobs(module)
    missing = [blob for op in ops for place, blob in enumerate(op.inputs) if blob in taken and _is_parameter(op, place)]
    if missing and not set(missing) <= ins:
        names = list(dict.fromkeys(blob for blob in missing if blob not in ins))
        raise UsageError(
            f"the net {main.name or '(no name)'} has no values for {len(names)} of its parameters, first {names[0]}: "
            f"give the init net, or weights that contain {'them' if len(names) > 1 else 'it'}"
        )
    state = {blob: value.detach().numpy() for blob, value in module.state_dict().items() if "@" not in blob}
    found = next(node.args[0] for node in module.graph.nodes if node.op == "output")
    used = {unscoped(blob) for blob in (named_as(state, given) if given is not None else state)}
    source = given if given is not None else old.blobs
    unused = [name for name in source if unscoped(name) not in used]
    return Imported(module, main, state, taken, list(found), old.form, left_out, unused)


def _placeholders(old: OldNet, main: Any) -> set[str]:
    """What an init net fills with a single 0 only so that the blob is there: the inputs, which exporters do so.

    Told by this: nothing but one number, zero, and every operator that reads it reads it as data.
    """
    found = set()
    for op in old.init_net.op:
        arguments = {argument.name: argument for argument in op.arg}
        if op.input or not op.type.startswith(("GivenTensor", "ConstantFill")):
            continue
        sides = list(arguments["shape"].ints) if "shape" in arguments else [1]
        content = [value for name in ("value", "values") if name in arguments for value in _numbers(arguments[name])]
        if int(np.prod(sides)) <= 1 and not any(content):
            found.update(op.output)
    read = {blob for op in main.op for blob in op.input}
    as_numbers = {
        blob
        for op in main.op
        for place, blob in enumerate(op.input)
        if _is_parameter(op, place) or op.type in WITH_CONSTANTS
    }
    return found & read - as_numbers


def _numbers(argument: Any) -> list[float]:
    return [argument.f, argument.i, *argument.floats, *argument.ints]


def _is_parameter(op: Any, place: int) -> bool:
    return place in PARAMETER_PLACES.get(op.type, ())


def _values(old: OldNet, wanted: Sequence[str], seed: int) -> dict[str, Tensor]:
    """{blob: value}: what the weights hold, and for the others what the init net fills."""
    held = named_as(wanted, old.blobs)
    init = copy_net(old.init_net)
    filled = {blob for op in init.op for blob in op.output}
    rest = [blob for blob in wanted if blob in filled]
    shapes = {}
    values: dict[str, Tensor] = {}
    if rest:
        values = (
            run_fills(prune(init, [], [blob for blob in rest if blob not in held]), seed)
            if set(rest) - set(held)
            else {}
        )
        shapes = {
            op.output[0]: list(a.ints) for op in init.op for a in op.arg if a.name == "shape" and len(op.output) == 1
        }
    for blob, array in held.items():
        wants = shapes.get(blob)
        if wants is not None and wants != list(array.shape):
            raise VmzError(
                f"blob {blob} has shape {tuple(array.shape)} in the weights, and {tuple(wants)} in the init net"
            )
        values[blob] = torch.from_numpy(np.array(array))
    return {blob: values[blob] for blob in wanted if blob in values}
