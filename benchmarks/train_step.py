"""How a training step of the PyTorch engine compares with the same layers as ordinary modules and torch.optim.SGD.

    python benchmarks/train_step.py [--threads 2] [--rounds 7] [--device cpu] [--batch 2] [--precision fp32]
                                    [--models r2plus1d-18,r3d-18,ir-csn-50] [--channels_last] [--alone]

Both train the same weights on the same clips, each in a process of its own, in turns, so that what else the machine
does meets both. A table a network: medians, ratios, and the peak of each one's memory: the GPU's, or on a CPU the whole
process's. Their losses of the first steps must agree. "% of products": what the step's multiply-adds, done plainly,
come to of what the machine's own matrix products reach. --alone: only the engine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

from eager import Eager, initial_values
from harness import Limits, Prepared, Table, Worker, add_options, idle_or_exit, interleaved, limits, machine, report

from vmz.engines.schedule import Schedule
from vmz.engines.torch_engine.graph.op import read_ops
from vmz.engines.torch_engine.precision import HALF
from vmz.engines.torch_engine.training.trainer import TorchTrainer
from vmz.engines.trainer import Training
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build

MODELS = {
    "r2plus1d-18": ModelConfig("r2plus1d", 18, 400, crop_size=112, clip_length=16),
    "r2plus1d-34": ModelConfig("r2plus1d", 34, 400, crop_size=112, clip_length=32),
    "r3d-18": ModelConfig("r3d", 18, 400, crop_size=112, clip_length=8),
    "mc3-18": ModelConfig("mc3", 18, 400, crop_size=112, clip_length=8),
    "ir-csn-50": ModelConfig("ir-csn", 50, 400, crop_size=224, clip_length=8, use_pool1=True),
    "ir-csn-152": ModelConfig("ir-csn", 152, 400, crop_size=224, clip_length=32, use_pool1=True),
    "ip-csn-152": ModelConfig("ip-csn", 152, 400, crop_size=224, clip_length=32, use_pool1=True),
}
RATE, DECAY, MOMENTUM = 1e-3, 0.005, 0.9
WARM_UP = 2


def training_net(config: ModelConfig, scope: str = "gpu_0", device: Any = None, scale: float = 1.0) -> Model:
    """The network to train, as Trainer.load takes it."""
    return build(config, is_test=False, net_name="train", scope=scope, device=device)


def batch(config: ModelConfig, clips: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips and labels."""
    random = np.random.RandomState(2)
    data = random.randn(clips, config.num_channels, config.clip_length, config.crop_size, config.crop_size)
    return data.astype(np.float32), random.randint(0, config.num_labels, clips).astype(np.int32)


def engine_step(
    config: ModelConfig, options: argparse.Namespace, weights: dict[str, np.ndarray]
) -> Callable[[], float]:
    """A step of the engine: a function that gives its loss."""
    trainer = TorchTrainer([options.device])
    schedule = Schedule(RATE, stepsize=1 << 30)
    training = Training(schedule, DECAY, MOMENTUM, precision=options.precision, channels_last=options.channels_last)
    trainer.load(lambda scope, device, scale: training_net(config, scope, device), training, weights)
    for blob, array in zip(("data", "label"), batch(config, options.batch)):
        trainer.feed(blob, array)
    return lambda: trainer.step().loss


def eager_step(config: ModelConfig, options: argparse.Namespace, weights: dict[str, np.ndarray]) -> Callable[[], float]:
    """The same by torch.nn and torch.optim.SGD, as an author of a port would write it."""
    model = training_net(config)
    own = {blob: array.copy() for blob, array in weights.items()}  # modules learn in the arrays they are given
    eager = Eager(model, own).to(options.device).train()
    eager.prediction = next(op.inputs[0] for op in read_ops(model.net) if op.type == "SoftmaxWithLoss")
    optimizer = torch.optim.SGD(eager.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True)
    layout = torch.channels_last_3d if options.channels_last else torch.contiguous_format
    eager = eager.to(memory_format=layout)  # type: ignore[call-overload]
    data, label = (torch.from_numpy(array) for array in batch(config, options.batch))
    half = HALF.get(options.precision)
    scaler = torch.cuda.amp.GradScaler() if options.precision == "fp16" else None

    def step() -> float:
        clips = data.to(options.device).contiguous(memory_format=layout)
        wanted = label.to(options.device).long()
        with nullcontext() if half is None else torch.autocast(torch.device(options.device).type, dtype=half):
            loss: Tensor = F.cross_entropy(eager(clips).float(), wanted)
        optimizer.zero_grad(set_to_none=True)
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        return loss.item()

    return step


def prepare(step_of: Callable[..., Callable[[], float]], name: str, options: argparse.Namespace) -> Prepared:
    """In a side's process: its step, and the losses of the first steps."""
    set_up(options)
    config = MODELS[name]
    step = step_of(config, options, initial_values(training_net(config)))
    losses = [step() for _ in range(WARM_UP)]
    if options.device == "cpu":
        return Prepared(step, losses)

    def waited() -> None:
        step()
        torch.cuda.synchronize()

    return Prepared(waited, losses, lambda: torch.cuda.max_memory_allocated() / 2**30)


def set_up(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    if options.device != "cpu":  # the engine computes in full float32; so must what it is compared with
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = True


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--batch", type=int, default=2, help="clips a step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--models", default="r2plus1d-18,r3d-18,ir-csn-50", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--channels_last", action="store_true")
    parser.add_argument("--alone", action="store_true", help="only the engine")
    options = parser.parse_args(argv)
    busy = idle_or_exit(options.busy)
    peak = limits(options.threads, options.device)
    head = f"{machine(options.threads, busy, options.device)}\n{peak}; {options.rounds} rounds in turns"
    report([compare(name, options, peak) for name in options.models.split(",")], head, options.output)
    return 0


def compare(name: str, options: argparse.Namespace, peak: Limits) -> Table:
    sides = {"VMZ": engine_step} if options.alone else {"VMZ": engine_step, "eager PyTorch": eager_step}
    workers = {side: Worker(prepare, step, name, options) for side, step in sides.items()}
    timings = interleaved(workers, options.rounds, warm_up=0)
    notes = {side: f"peak memory {worker.close():.2f} GiB" for side, worker in workers.items()}
    if options.precision in peak.gflops:
        flops = options.batch * step_flops(training_net(MODELS[name]))
        for side, timing in timings.items():
            notes[side] = f"{peak.of_products(flops, timing.median, options.precision)}, {notes[side]}"
    losses = [worker.said for worker in workers.values()]
    if not options.alone:
        difference = max(abs(one - other) / abs(other) for one, other in zip(*losses))
        notes["eager PyTorch"] += f", losses differ by {difference:.1e}"
    return Table(f"{name}, {options.precision}, ms a step of {options.batch} clips", timings, notes)


def step_flops(model: Model) -> int:
    """Of a clip: outputs, gradients of weights, and but for layers that read the clips, gradients of what is read."""
    first = {op.output[0] for op in model.net.op if model.blob("data") in op.input}
    return sum(2 * cost.macs * (2 if cost.blob in first else 3) for cost in model.costs())


if __name__ == "__main__":
    sys.exit(main())
