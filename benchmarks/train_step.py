"""How a training step of the PyTorch engine compares with the same layers as ordinary modules and torch.optim.SGD.

    python benchmarks/train_step.py [--threads 2] [--rounds 7] [--device cpu] [--batch 2] [--precision fp32]
                                    [--models r2plus1d-18,r3d-18,ir-csn-50] [--channels_last] [--alone]

Both train the same weights on the same clips, each in a process of its own, in turns, so that what else the machine
does meets both. A line a network gives the ratio of the medians, and of each the clips a second, the fastest and the
slowest step, and the peak of its memory: the GPU's, or on a CPU the whole process's. Their losses of the first steps
must agree. Compare ratios rather than milliseconds. --alone: only the engine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
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


class Worker:
    """A process of its own that trains: what one side asks of the C library's memory would help the other, too."""

    def __init__(self, side: str, name: str, options: argparse.Namespace) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, side, name, options), daemon=True)
        self._process.start()
        theirs.close()
        self.losses: list[float] = self._pipe.recv()

    def step(self) -> float:
        """The seconds that a step took."""
        self._pipe.send("step")
        seconds: float = self._pipe.recv()
        return seconds

    def close(self) -> float:
        """End it. The peak of its memory in GiB: the device's, or the process's on a CPU."""
        self._pipe.send("end")
        peak: float = self._pipe.recv()
        self._process.join()
        return peak


def work(pipe: Any, side: str, name: str, options: argparse.Namespace) -> None:
    """What a Worker's process does: warms up, and takes a step whenever it is asked for one."""
    set_up(options)
    config = MODELS[name]
    step = {"engine": engine_step, "eager": eager_step}[side](config, options, initial_values(training_net(config)))
    pipe.send([step() for _ in range(WARM_UP)])
    while pipe.recv() == "step":
        start = time.perf_counter()
        step()
        if options.device != "cpu":
            torch.cuda.synchronize()
        pipe.send(time.perf_counter() - start)
    if options.device != "cpu":
        pipe.send(torch.cuda.max_memory_allocated() / 2**30)
    else:
        pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def set_up(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    if options.device != "cpu":  # the engine computes in full float32; so must what it is compared with
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = True


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=2, help="clips a step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--models", default="r2plus1d-18,r3d-18,ir-csn-50", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--channels_last", action="store_true")
    parser.add_argument("--alone", action="store_true", help="only the engine")
    options = parser.parse_args(argv)
    if options.device != "cpu":
        print(torch.cuda.get_device_name(), end=", ")
    print(
        f"PyTorch {torch.__version__}, {options.device}, {options.precision}, {options.batch} clips a step, "
        f"{options.threads} threads, {options.rounds} rounds in turns"
    )
    for name in options.models.split(","):
        compare(name, options)
    return 0


def compare(name: str, options: argparse.Namespace) -> None:
    workers = [Worker(side, name, options) for side in (["engine"] if options.alone else ["engine", "eager"])]
    taken: list[list[float]] = [[] for _ in workers]
    for _ in range(options.rounds):
        for worker, seconds in zip(workers, taken):
            seconds.append(worker.step())
    peaks = [worker.close() for worker in workers]
    line = f"{name}: {told(taken[0], peaks[0], options.batch)}"
    if not options.alone:
        pairs = zip(workers[0].losses, workers[1].losses)
        difference = max(abs(one - other) / abs(other) for one, other in pairs)
        ratio = statistics.median(taken[1]) / statistics.median(taken[0])
        line += (
            f"; eager PyTorch {told(taken[1], peaks[1], options.batch)}: {ratio:.2f} times as fast; "
            f"losses differ by {difference:.1e}"
        )
    print(line, flush=True)


def told(seconds: Sequence[float], peak: float, clips: int) -> str:
    middle = statistics.median(seconds)
    spread = f"{1e3 * min(seconds):.0f} to {1e3 * max(seconds):.0f}"
    return f"{clips / middle:.2f} clips/s, {1e3 * middle:.0f} ms ({spread}), {peak:.2f} GiB"


if __name__ == "__main__":
    sys.exit(main())
