"""Write a model in the form that a file's name asks for, read it back, and hold its scores against the model's."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import torch
from torch import Tensor, nn

from vmz.checkpoints.loading import load
from vmz.checkpoints.mdl import save_mdl
from vmz.checkpoints.net_writing import given_net, init_path, predict_net, write_nets
from vmz.engines.torch_engine.graph.old_nets import import_old_net
from vmz.errors import UsageError, VmzError
from vmz.extras import require
from vmz.files import atomic_write
from vmz.model.module import VideoModel
from vmz.model.nets import PARTS, Nets
from vmz.model.saving import check_target, description_of
from vmz.netdef.pruning import prune

LOGITS, SCORES = "logits", "scores"
OPSET = 18  # of ONNX: what PyTorch's exporter is made for
LOOK = 2  # clips in the comparison: more than one, for the batch is open


@dataclass(frozen=True)
class Exported:
    """What was written. paths: one, of Caffe2 nets two. difference: the largest of a score, None if not verified."""

    form: str
    paths: tuple[Path, ...]
    inputs: dict[str, tuple[Any, ...]]
    outputs: dict[str, tuple[Any, ...]]
    difference: Optional[float]

    def line(self) -> str:
        """What a person reads."""
        given = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in self.inputs.items())
        made = ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in self.outputs.items())
        checked = "not verified" if self.difference is None else f"largest difference {self.difference:.1e}"
        return f"{' and '.join(map(str, self.paths))}: {self.form}, {given} -> {made}; {checked}"


class _Both(nn.Module):
    """Clips (and log-mels) to logits and scores, as a program without our methods has them."""

    def __init__(self, model: VideoModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Tensor, logmels: Optional[Tensor] = None) -> tuple[Tensor, Tensor]:
        return self.model(clips, logmels), self.model.probabilities(clips, logmels)


def export(model: VideoModel, path: Union[str, Path], verify: bool = True) -> Exported:
    """Write `model`, for any number of clips, in the form of the file's extension.

    .onnx: ONNX with the outputs logits and scores (needs pip install "vmz[onnx]" and PyTorch 2.6). .pt2: torch.export's
    program, the same outputs (PyTorch 2.6). .pb or .pbtxt: Caffe2's predict net and, beside it, init net; .mdl: the
    same as a predictor export: input data, output softmax (prob of a multi-label model), blob names as published.
    .safetensors, .pkl, or a folder ("name/"): as `model.save` writes them, for VMZ.

    verify: read it back, run it, and raise VmzError where a score differs by more than the form allows (1e-4 of ONNX,
    1e-5 of others). Raises what `check_form` raises, and UsageError for a package or version that is missing.
    """
    check_form(path)
    target = Path(path)
    write = _saved if is_folder(path) else FORMS[target.suffix.lower()]
    was_training = model.training
    model.eval()
    try:
        return write(model, target, verify)
    finally:
        if was_training:
            model.train()


def _example(model: VideoModel, count: int = LOOK) -> list[Tensor]:
    random, device = torch.Generator().manual_seed(0), next(model.parameters()).device
    return [torch.randn(count, *shape, generator=random).to(device) for shape in model.input_shapes.values()]


def _expected(model: VideoModel, given: Sequence[Tensor]) -> np.ndarray:
    with torch.no_grad():
        return model.probabilities(*given).float().cpu().numpy()


def _inputs(model: VideoModel) -> dict[str, tuple[Any, ...]]:
    """{name: shape} of what a program gives. A network of sound alone takes log-mels as its clips."""
    return {PARTS[blob]: ("N", *shape) for blob, shape in model.input_shapes.items()}


def _dynamic(model: VideoModel) -> dict[str, Any]:
    batch = torch.export.Dim("N")
    return {name: {0: batch} for name in _inputs(model)}


def _checked(path: Path, found: np.ndarray, expected: np.ndarray, most: float) -> float:
    worst = float(np.abs(np.asarray(found).reshape(expected.shape) - expected).max())
    if not worst <= most:
        raise VmzError(f"{path} gives other scores than the model: the largest difference is {worst:.1e}")
    return worst


def _shapes(model: VideoModel) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    classes = model.config.num_labels
    return _inputs(model), {LOGITS: ("N", classes), SCORES: ("N", classes)}


def _onnx(model: VideoModel, path: Path, verify: bool) -> Exported:
    if not hasattr(torch.onnx, "ONNXProgram"):
        raise UsageError(f"{path} needs PyTorch 2.6 or later; this is PyTorch {torch.__version__}")
    for package in ("onnx", "onnxscript"):
        require(package, "onnx", str(path))
    with _quiet():
        program: Any = torch.onnx.export(
            _Both(model),
            tuple(_example(model)),
            input_names=[*_inputs(model)],
            output_names=[LOGITS, SCORES],
            dynamic_shapes=_dynamic(model),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    content = io.BytesIO()
    program.save(content)
    with atomic_write(path) as stream:
        stream.write(content.getvalue())
    difference = None
    if verify:
        runtime = require("onnxruntime", "onnx", "the check of an ONNX file (verify)")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        more = _example(model, LOOK + 1)
        (found,) = session.run([SCORES], {name: one.cpu().numpy() for name, one in zip(_inputs(model), more)})
        difference = _checked(path, found, _expected(model, more), 1e-4)
    return Exported("ONNX", (path,), *_shapes(model), difference)


def _program(model: VideoModel, path: Path, verify: bool) -> Exported:
    if not hasattr(torch, "export") or not hasattr(torch.export, "Dim"):
        raise UsageError(f"{path} needs PyTorch 2.6 or later; this is PyTorch {torch.__version__}")
    program = torch.export.export(_Both(model), tuple(_example(model)), dynamic_shapes=_dynamic(model))
    with atomic_write(path) as stream:
        torch.export.save(program, stream)
    difference = None
    if verify:
        more = _example(model, LOOK + 1)
        with torch.no_grad():
            found = torch.export.load(path).module()(*more)[1]
        difference = _checked(path, found.float().cpu().numpy(), _expected(model, more), 1e-5)
    return Exported("torch.export", (path,), *_shapes(model), difference)


def _caffe2_nets(model: VideoModel, path: Path, verify: bool) -> Exported:
    nets, net = _test_net(model)
    blobs = model.weights()
    given = [*model.input_shapes]
    written = write_nets(path, predict_net(net, given, blobs, net.external_output), given_net(blobs, given))
    difference = None
    if verify:
        difference = _read_back(model, nets, path, init_path(path))
    return Exported("Caffe2 nets", tuple(written), *_caffe2_shapes(model, net), difference)


def _predictor_export(model: VideoModel, path: Path, verify: bool) -> Exported:
    nets, net = _test_net(model)
    blobs = model.weights()
    inputs = {blob: (1, *shape) for blob, shape in model.input_shapes.items()}
    save_mdl(path, blobs, net, "", inputs, list(net.external_output), description_of(model, blobs))
    difference = _read_back(model, nets, path, None) if verify else None
    return Exported("Caffe2 predictor export", (path,), *_caffe2_shapes(model, net), difference)


def _saved(model: VideoModel, path: Path, verify: bool) -> Exported:
    model.save(path if path.suffix.lower() in FORMS else f"{path}{os.sep}")
    difference = None
    if verify:
        found, blobs = load(path).blobs, model.weights()
        if found.keys() != blobs.keys():
            raise VmzError(f"{path} has other blobs than the model")
        difference = max(float(np.abs(found[name] - blobs[name]).max()) for name in blobs)
        if difference:
            raise VmzError(f"{path} has other weights than the model: the largest difference is {difference:.1e}")
    return Exported("a model of VMZ", (path,), _inputs(model), {"blobs": (len(model.weights()),)}, difference)


def _test_net(model: VideoModel) -> tuple[Nets, Any]:
    if model.features_only:
        raise UsageError("the model has no classifier (num_classes=0); export it with one, or take .onnx of your own")
    nets = Nets.of(model.config)
    return nets, prune(nets.test.net, [*nets.inputs], [nets.test.prediction])


def _read_back(model: VideoModel, nets: Nets, path: Path, init: Optional[Path]) -> float:
    given = [one.cpu() for one in _example(model)]
    module = import_old_net(path, init).module
    with torch.no_grad():
        (found,) = module(*given).values()
    device = next(model.parameters()).device
    expected = _expected(model, [one.to(device) for one in given])
    return _checked(path, found.numpy() * nets.scale, expected, 1e-5)


def _caffe2_shapes(model: VideoModel, net: Any) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    return {blob: ("N", *shape) for blob, shape in model.input_shapes.items()}, {
        net.external_output[0]: ("N", model.config.num_labels)
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter says much on stdout and stderr that is of no use to its user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)


Write = Callable[[VideoModel, Path, bool], Exported]
FORMS: dict[str, Write] = {
    ".onnx": _onnx,
    ".pt2": _program,
    ".pb": _caffe2_nets,
    ".pbtxt": _caffe2_nets,
    ".mdl": _predictor_export,
    ".safetensors": _saved,
    ".pkl": _saved,
}


def check_form(path: Union[str, Path]) -> None:
    """Raises UsageError for a file whose extension says no form."""
    suffix = Path(path).suffix.lower()
    if is_folder(path):
        check_target(path)
    elif suffix not in FORMS:
        what = f"unknown extension {suffix!r} of {path}" if suffix else f"{path} has no extension"
        raise UsageError(f"{what}; choose from: {', '.join(FORMS)}, or a folder, whose name ends with '/'")


def is_folder(path: Union[str, Path]) -> bool:
    """Whether the output is the folder of a model: "name/", or one that is there."""
    return str(path).endswith(os.sep) or os.path.isdir(path)


def outputs_of(path: Union[str, Path]) -> Sequence[Path]:
    """The files that `export` writes for a path; none of a folder, which is held while it is written."""
    if is_folder(path):
        return []
    target = Path(path)
    return [target, init_path(target)] if target.suffix.lower() in (".pb", ".pbtxt") else [target]
