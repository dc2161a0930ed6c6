"""How much sooner the PyTorch engine answers than the same layers written as ordinary PyTorch modules.

    python benchmarks/forward.py [--threads 2] [--rounds 7] [--device cpu] [--models r2plus1d-18,ir-csn-50]

Both run the same weights on the same clip, in turns, so that what else the machine does meets both; a line a network
gives the ratio of the medians, and the largest difference of the two softmaxes. Compare ratios, not milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from vmz.engines.torch_engine.engine import TorchEngine
from vmz.engines.torch_engine.graph.op import Op, read_ops
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build

MODELS = {
    "r2plus1d-18": ModelConfig("r2plus1d", 18, 400, crop_size=112, clip_length=16),
    "ir-csn-50": ModelConfig("ir-csn", 50, 400, crop_size=224, clip_length=8, use_pool1=True),
    "ip-csn-50": ModelConfig("ip-csn", 50, 400, crop_size=224, clip_length=8, use_pool1=True),
    "r3d-18": ModelConfig("r3d", 18, 400, crop_size=112, clip_length=8),
    "mc3-18": ModelConfig("mc3", 18, 400, crop_size=112, clip_length=8),
    "c3d-18": ModelConfig("c3d", 18, 400, crop_size=112, clip_length=16),
}


class Eager(nn.Module):
    """The network as a port to PyTorch has it: nn.Conv3d, nn.BatchNorm3d, nn.ReLU(inplace), pools and nn.Linear."""

    def __init__(self, model: Model, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.plan: list[tuple[Op, Optional[nn.Module]]] = []
        self.layers = nn.ModuleList()
        for op in read_ops(model.net):
            layer = _layer(op, [torch.from_numpy(weights[blob]) for blob in op.inputs if blob in weights])
            if layer is not None:
                self.layers.append(layer)
            self.plan.append((op, layer))
        self.data, self.prediction = model.blob("data"), model.prediction

    def forward(self, data: Tensor) -> Tensor:
        blobs = {self.data: data}
        for op, layer in self.plan:
            if op.type in ("Sum", "Add"):
                blobs[op.outputs[0]] = blobs[op.inputs[0]] + blobs[op.inputs[1]]
            elif layer is not None:
                blobs[op.outputs[0]] = layer(blobs[op.inputs[0]])
            if self.prediction in op.outputs:
                break
        return blobs[self.prediction]


def _layer(op: Op, values: list[Tensor]) -> Optional[nn.Module]:
    """The torch.nn layer that an author of a port would write for an operator."""
    layer: Any = None
    window = {name: tuple(op.arg(f"{name}s", default)) for name, default in (("kernel", ()), ("stride", (1, 1, 1)))}
    pads = tuple(op.arg("pads", [0] * 6)[:3])
    if op.type == "Conv":
        group = op.arg("group", 1)
        outputs, inputs = values[0].shape[0], values[0].shape[1] * group
        kernel, stride = window["kernel"], window["stride"]
        layer = nn.Conv3d(inputs, outputs, kernel, stride, pads, groups=group, bias=len(values) > 1)  # type: ignore[arg-type]
    elif op.type == "SpatialBN":
        layer = nn.BatchNorm3d(len(values[0]), eps=op.arg("epsilon", 1e-5))
        layer.running_mean, layer.running_var = values[2:]
    elif op.type == "Relu":
        return nn.ReLU(inplace=True)
    elif op.type == "MaxPool":
        return nn.MaxPool3d(window["kernel"], window["stride"], pads)  # type: ignore[arg-type]
    elif op.type == "AveragePool":
        return nn.AvgPool3d(window["kernel"], window["stride"])  # type: ignore[arg-type]
    elif op.type == "FC":
        layer = nn.Sequential(nn.Flatten(), nn.Linear(values[0].shape[1], values[0].shape[0]))
        layer[1].weight.data, layer[1].bias.data = values
        return layer
    elif op.type == "SoftmaxWithLoss":
        return nn.Softmax(1)
    elif op.type == "Dropout":
        return nn.Identity()
    if layer is not None:
        layer.weight.data = values[0]
        if len(values) > 1:
            layer.bias.data = values[1]
    return layer


def initial_values(model: Model) -> dict[str, np.ndarray]:
    """Weights as the fills give them, and running statistics that do something."""
    with TorchEngine() as engine:
        engine.load(model.param_init_net, model.net, seed=1)
        values = {blob: engine.fetch(blob) for blob in model.all_params}
    random = np.random.RandomState(0)
    for blob, shape in model.computed_params:
        values[blob] = (0.1 * random.randn(*shape) if blob.endswith("_rm") else 0.5 + random.rand(*shape)).astype("f4")
    return values


def compare(model: Model, device: str, batch: int, rounds: int) -> tuple[float, float, float]:
    """(median seconds of eager PyTorch, median seconds of the engine, largest difference of the softmaxes)"""
    weights = initial_values(model)
    clip = np.random.RandomState(2).randn(batch, *model.clip_shape).astype(np.float32)
    eager = Eager(model, weights).eval().to(device)
    with TorchEngine(device) as engine, torch.no_grad():
        engine.load(model.param_init_net, model.net, weights, keep=[model.prediction])

        def run_eager() -> np.ndarray:
            return eager(torch.from_numpy(clip).to(device)).cpu().numpy()

        def run_engine() -> np.ndarray:
            engine.feed(model.blob("data"), clip)
            engine.run()
            return engine.fetch(model.prediction)

        difference = float(np.abs(run_eager() - run_engine()).max())
        seconds: dict[Any, list[float]] = {run_eager: [], run_engine: []}
        for _ in range(rounds):
            for run, taken in seconds.items():
                start = time.perf_counter()
                run()
                taken.append(time.perf_counter() - start)
    return statistics.median(seconds[run_eager]), statistics.median(seconds[run_engine]), difference


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=1, help="clips a run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", default="r2plus1d-18,ir-csn-50", help=f"of {', '.join(MODELS)}")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    if options.device != "cpu":  # the engine computes in full float32; so must what it is compared with
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    print(f"PyTorch {torch.__version__}, {options.device}, {options.threads} threads, {options.rounds} rounds in turns")
    for name in options.models.split(","):
        eager, ours, difference = compare(build(MODELS[name]), options.device, options.batch, options.rounds)
        print(
            f"{name}: {eager / ours:.2f} times as fast as eager PyTorch ({1e3 * ours:.0f} ms to {1e3 * eager:.0f} ms "
            f"here), largest difference of softmax {difference:.1e}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
