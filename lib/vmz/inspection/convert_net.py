"""An old program's network in another form: read, checked, told about, written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vmz.checkpoints.loading import save
from vmz.checkpoints.mdl import save_mdl
from vmz.checkpoints.net_writing import given_net, init_path, predict_net, write_net_json, write_nets
from vmz.engines.torch_engine.graph.old_nets import Imported
from vmz.errors import UsageError, VmzError
from vmz.files import atomic_write
from vmz.netdef.blob_names import is_scoped, meant, unscoped
from vmz.netdef.pruning import prune
from vmz.outputs import Output
from vmz.text import counted

ENDINGS = (".pt2", ".json", ".pb", ".pbtxt", ".mdl", ".pkl")
AGREEMENT = 1e-5


def outputs_of(paths: Sequence[str]) -> list[Output]:
    """What `write` writes for --output. UsageError for a file whose ending is no form, told before the work."""
    for path in paths:
        if Path(path).suffix.lower() not in ENDINGS:
            raise UsageError(
                f"--output={path} has no extension that can be written; the extensions are {', '.join(ENDINGS)}"
            )
    files = [Output("--output", path) for path in paths]
    nets = [Path(path) for path in paths if Path(path).suffix.lower() in (".pb", ".pbtxt")]
    return files + [Output("the init net", init_path(path)) for path in nets]


def summary(net: Imported) -> list[str]:
    """Lines for a person: inputs, outputs, operators, parameters, and all that was left out."""
    kinds = Counter(op.type for op in net.net.op)
    values = sum(array.size for array in net.blobs.values())
    lines = [
        f"net {net.net.name or '(no name)'}, from {net.form}",
        f"inputs      {', '.join(net.inputs) or 'none'}",
        f"outputs     {', '.join(net.outputs)}",
        f"operators   {len(net.net.op)}: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}",
        f"parameters  {counted(len(net.blobs), 'blob')}, {values:,} values",
    ]
    if net.left_out:
        lines.append(
            f"left out    {counted(len(net.left_out), 'operator')} of training, from {net.left_out[0].type} on"
        )
    if net.unused:
        lines.append(f"unused      {counted(len(net.unused), 'blob')} of the weights: {', '.join(net.unused)}")
    return lines


def parse_shapes(texts: Sequence[str], inputs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """{input: shape} from "data=1,3,8,112,112". UsageError for what is none, or an input that the net has not."""
    found = {}
    for text in texts:
        name, _, sides = text.partition("=")
        names = meant(name, inputs)
        if len(names) != 1:
            raise UsageError(f"--input_shape={text}: the net has no input {name}; its inputs are {', '.join(inputs)}")
        try:
            found[names[0]] = tuple(int(side) for side in sides.split(","))
        except ValueError:
            raise UsageError(f"--input_shape={text} must be NAME=N,C,...: numbers separated by commas") from None
        if min(found[names[0]]) < 1:
            raise UsageError(f"--input_shape={text} must be positive numbers")
    return found


def write(net: Imported, path: Path, shapes: Mapping[str, Sequence[int]]) -> str:
    """Write one file (of .pb and .pbtxt two); returns what was written, as a line."""
    kind = path.suffix.lower()
    if kind == ".pt2":
        return write_exported(net, path, shapes)
    if kind == ".json":
        write_net_json(path, _predict_net(net))
        return f"{path}: the net as JSON, without weights"
    if kind in (".pb", ".pbtxt"):
        written = write_nets(path, _predict_net(net), given_net(net.blobs, net.inputs))
        return f"{written[0]}: the predict net; {written[1]}: the init net, with the weights"
    if kind == ".mdl":
        known = {name: shapes[name] for name in net.inputs if name in shapes}
        save_mdl(path, net.blobs, net.net, "", known if len(known) == len(net.inputs) else net.inputs, _plain(net))
        return f"{path}: a predictor export, net and weights"
    save(path, net.blobs, "pickle")
    return f"{path}: the weights, {counted(len(net.blobs), 'blob')}"


def _predict_net(net: Imported) -> Any:
    """What of the net leads from its inputs to its outputs."""
    outputs = _plain(net)
    return predict_net(prune(net.net, net.inputs, outputs), net.inputs, net.blobs, outputs)


def _plain(net: Imported) -> list[str]:
    """The outputs as blobs. UsageError where one is a value that a later operator overwrites."""
    for name in net.outputs:
        if "@" in name:
            raise UsageError(f"output {name} is overwritten by a later operator; only .pt2 can give it")
    names = {unscoped(blob): blob for op in net.net.op for blob in op.output}
    return [name if is_scoped(name) else names.get(name, name) for name in net.outputs]


def write_exported(net: Imported, path: Path, shapes: Mapping[str, Sequence[int]]) -> str:
    """Write torch.export's program for inputs of `shapes`, loaded once again and held against the net.

    UsageError where PyTorch is too old, or a shape is not known; VmzError where PyTorch cannot export the net, or the
    program's results differ.
    """
    if not hasattr(torch, "export") or not hasattr(torch.export, "save"):
        raise UsageError(f"{path} needs PyTorch 2.1 or later, for torch.export; this is PyTorch {torch.__version__}")
    missing = [name for name in net.inputs if name not in shapes]
    if missing:
        raise UsageError(f"{path} is a program for inputs of known shapes; give --input_shape={missing[0]}=N,C,...")
    inputs = tuple(_example(net, name, shapes[name]) for name in net.inputs)
    module = net.module.eval()
    try:
        with torch.no_grad():
            expected = module.forward(*inputs)
            program = torch.export.export(module, inputs)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise VmzError(f"PyTorch cannot export the net: {str(error).strip().splitlines()[0]}") from error
    with atomic_write(path) as stream:
        torch.export.save(program, stream)
    with torch.no_grad():
        found = torch.export.load(path).module()(*inputs)
    worst = max((_difference(expected[name], found[name]) for name in expected), default=0.0)
    if not worst <= AGREEMENT and not _is_random(net):
        raise VmzError(f"{path} gives other results than the net: the largest difference is {worst:.1e}")
    given = ", ".join(f"{name} {'x'.join(map(str, shapes[name]))}" for name in net.inputs)
    return f"{path}: an exported program for {given}; largest difference from the net {worst:.1e}"


def _is_random(net: Imported) -> bool:
    arguments = [(op.type, {argument.name: argument.i for argument in op.arg}) for op in net.net.op]
    return any(kind == "Dropout" and not values.get("is_test", 0) for kind, values in arguments)


def _example(net: Imported, name: str, shape: Sequence[int]) -> torch.Tensor:
    """Numbers of the input's type: classes where it is a label, else normal."""
    label = any(
        name in op.input[1:2] for op in net.net.op if op.type in ("SoftmaxWithLoss", "Accuracy", "LabelCrossEntropy")
    )
    random = np.random.RandomState(0)
    values = np.zeros(shape, np.int32) if label else random.standard_normal(shape).astype(np.float32)
    return torch.from_numpy(np.asarray(values))


def _difference(expected: torch.Tensor, found: torch.Tensor) -> float:
    if expected.shape != found.shape:
        return math.inf
    largest = max(float(expected.detach().abs().max()), 1e-12) if expected.numel() else 1.0
    return float((expected.double() - found.double()).abs().max()) / largest if expected.numel() else 0.0
