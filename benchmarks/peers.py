"""The same network and weights in other people's hands: a row a peer, left out by name where it is not installed."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Optional

import numpy as np
import torch
from eager import Eager
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vmz.engines.registry import open_engine
from vmz.models.registry import Model

Run = Callable[[], np.ndarray]
Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Where:
    """device: "cpu" or "cuda". threads: of the CPU."""

    device: str
    threads: int


Make = Callable[[Model, Weights, np.ndarray, Where], Optional[Run]]


@dataclass(frozen=True)
class Peer:
    """make(model, weights, clips, where): what answers those clips with softmaxes. needs: its package.

    bf16: whether it computes in 16 bits. same: whether it has our weights, so that scores can be compared. devices: on
    which it is measured.
    """

    make: Make
    needs: str = "torch"
    bf16: bool = False
    same: bool = True
    devices: tuple[str, ...] = ("cpu",)

    @property
    def is_here(self) -> bool:
        return importlib.util.find_spec(self.needs) is not None


def engine(name: str, precision: str = "fp32", channels_last: Optional[int] = None, kernels: int = 0) -> Make:
    """An engine of VMZ. The clips lie on the device before, as everybody's do."""

    def make(model: Model, weights: Weights, clips: np.ndarray, where: Where) -> Run:
        opened = open_engine(name, where.device, precision, channels_last, kernels)
        opened.load(model.param_init_net, model.net, weights, keep=[model.prediction])
        opened.feed(model.blob("data"), clips)

        def run() -> np.ndarray:
            opened.run()
            return opened.fetch(model.prediction)

        return run

    return make


class _Convolutions(TorchDispatchMode):
    """Notes the calls of oneDNN's convolutions within the block."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "mkldnn":
            self.calls.append(partial(func, *args, **(kwargs or {})))
        return func(*args, **(kwargs or {}))


def convolutions_alone(precision: str) -> Make:
    """VMZ's calls of oneDNN's convolutions, their inputs at hand: what no graph of these calls can be faster than."""
    whole = engine("pytorch", precision)

    def make(model: Model, weights: Weights, clips: np.ndarray, where: Where) -> Run:
        run = whole(model, weights, clips, where)
        assert run is not None
        run()  # lays the weights out
        with _Convolutions() as noted:
            answer = run()

        def again() -> np.ndarray:
            with torch.no_grad():
                for call in noted.calls:
                    call()
            return answer

        return again

    return make


def eager(layout: Any = torch.contiguous_format, half: bool = False, compiled: bool = False) -> Make:
    """torch.nn's modules, as a port has them."""

    def make(model: Model, weights: Weights, clips: np.ndarray, where: Where) -> Run:
        module: Any = Eager(model, weights).eval().to(where.device, memory_format=layout)
        mode = "max-autotune" if where.device == "cuda" else "max-autotune-no-cudagraphs"
        module = torch.compile(module, mode=mode) if compiled else module
        data = torch.from_numpy(clips).to(where.device)

        def run() -> np.ndarray:
            with torch.inference_mode(), torch.autocast(where.device, torch.bfloat16, enabled=half):
                return module(data.to(memory_format=layout)).float().cpu().numpy()

        return run

    return make


def openvino(precision: str) -> Make:
    """OpenVINO by hand: the port converted, its documented settings for one request at a time."""

    def make(model: Model, weights: Weights, clips: np.ndarray, where: Where) -> Run:
        import openvino as ov

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            converted = ov.convert_model(Eager(model, weights).eval(), example_input=torch.from_numpy(clips))
        converted.reshape(list(clips.shape))
        settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        compiled = ov.Core().compile_model(converted, "CPU", {**settings, "INFERENCE_NUM_THREADS": where.threads})
        return lambda: np.array(compiled([clips])[0])

    return make


def onnx_runtime(model: Model, weights: Weights, clips: np.ndarray, where: Where) -> Run:
    """ONNX Runtime, on PyTorch's export of the port."""
    import onnxruntime

    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported: Any = torch.onnx.export(
            Eager(model, weights).eval(), (torch.from_numpy(clips),), input_names=["clips"], dynamo=True, verbose=False
        )
    exported.save(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = where.threads
    session = onnxruntime.InferenceSession(content.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda: np.asarray(session.run(None, {"clips": clips})[0])


def of_a_library(names: dict[tuple[str, int], str]) -> Make:
    """A library's own network, where it has one of this name: other layers in places, and its own weights."""

    def make(model: Model, weights: Weights, clips: np.ndarray, where: Where) -> Optional[Run]:
        path = names.get((model.config.model_name, model.config.model_depth))
        if path is None:
            return None
        module, _, name = path.rpartition(".")
        network: nn.Module = getattr(importlib.import_module(module), name)().eval().to(where.device)
        data = torch.from_numpy(clips).to(where.device)

        def run() -> np.ndarray:
            with torch.inference_mode():
                return network(data).cpu().numpy()

        return run

    return make


TORCHVISION = {
    ("r3d", 18): "torchvision.models.video.r3d_18",
    ("mc3", 18): "torchvision.models.video.mc3_18",
    ("r2plus1d", 18): "torchvision.models.video.r2plus1d_18",
}
PYTORCHVIDEO = {("ir-csn", 101): "pytorchvideo.models.hub.csn_r101"}

CUDA, BOTH = ("cuda",), ("cpu", "cuda")
PEERS = {
    "VMZ": Peer(engine("pytorch"), devices=BOTH),
    "VMZ channels last": Peer(engine("pytorch", channels_last=1), devices=CUDA),  # on a CPU it is the default
    "VMZ --kernels=1": Peer(engine("pytorch", kernels=1), devices=CUDA),
    "VMZ --engine=openvino": Peer(engine("openvino"), "openvino"),
    "OpenVINO": Peer(openvino("f32"), "openvino"),
    "ONNX Runtime": Peer(onnx_runtime, "onnxruntime"),
    "eager PyTorch": Peer(eager(), devices=BOTH),
    "eager channels last": Peer(eager(torch.channels_last_3d), devices=BOTH),
    "torch.compile": Peer(eager(compiled=True), devices=BOTH),
    "torchvision": Peer(of_a_library(TORCHVISION), "torchvision", same=False, devices=BOTH),
    "pytorchvideo": Peer(of_a_library(PYTORCHVIDEO), "pytorchvideo", same=False, devices=BOTH),
    "VMZ bf16": Peer(engine("pytorch", "bf16"), bf16=True, devices=BOTH),
    "VMZ bf16 channels last": Peer(engine("pytorch", "bf16", channels_last=1), bf16=True, devices=CUDA),
    "VMZ bf16 --kernels=1": Peer(engine("pytorch", "bf16", kernels=1), bf16=True, devices=CUDA),
    "VMZ --engine=openvino bf16": Peer(engine("openvino", "bf16"), "openvino", bf16=True),
    "OpenVINO bf16": Peer(openvino("bf16"), "openvino", bf16=True),
    "eager bf16": Peer(eager(torch.channels_last_3d, half=True), bf16=True, devices=BOTH),
    "torch.compile bf16": Peer(eager(torch.channels_last_3d, half=True, compiled=True), bf16=True, devices=BOTH),
    "VMZ's convolutions": Peer(convolutions_alone("fp32"), same=False),
    "VMZ's convolutions bf16": Peer(convolutions_alone("bf16"), same=False, bf16=True),
}
# Minutes before the first answer, or only a part of one.
ON_REQUEST = (
    "torch.compile", "torch.compile bf16", "pytorchvideo", "VMZ's convolutions", "VMZ's convolutions bf16",
)  # fmt: skip
