"""The checks of cuda_check.py, in the order in which they run: what decides correctness first.

Each fills `figures` and raises an AssertionError that says what is wrong, or Skipped where the device cannot do it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
import torch

from scripts._cuda_kernel_checks import kernel_checks
from tests.engines.small_training import small_batch, small_build, small_training, video_source, write_videos
from tests.support.processes import python
from vmz.engines.registry import open_engine
from vmz.engines.torch_engine.training.trainer import TorchTrainer
from vmz.engines.trainer import Build
from vmz.errors import VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.training_state import MOMENTUM_SUFFIX

ROOT = Path(__file__).resolve().parents[1]
Figures = dict[str, Any]
NETWORKS = (("r2plus1d", 18), ("ir-csn", 50), ("ip-csn", 152))


class Skipped(Exception):
    """The check needs what this device is not."""


class Check(NamedTuple):
    number: int
    what: str
    run: Callable[[str, Figures], None]


def failures() -> tuple[type[Exception], ...]:
    """What makes a check fail, and the others go on."""
    return (Exception,)


def config(name: str, depth: int, device: str, crop: int = 112) -> ModelConfig:
    """A network of the field's size on a GPU, a thin one on a CPU."""
    scale = {} if device == "cuda" else {"channel_multiplier": 0.1}
    return ModelConfig(name, depth, num_labels=40, clip_length=8, crop_size=crop, **scale)


def of(settings: ModelConfig) -> Build:
    def build_for(scope: str, option: Any, loss_scale: float) -> Any:
        return build(dataclasses.replace(settings, loss_scale=loss_scale), is_test=False, scope=scope, device=option)

    return build_for


def clips(count: int = 4, seed: int = 0, crop: int = 112) -> dict[str, np.ndarray]:
    random = np.random.RandomState(seed)
    data = random.randn(count, 3, 8, crop, crop).astype(np.float32)
    return {"data": data, "label": random.randint(0, 40, count).astype(np.int32)}


def networks(device: str) -> tuple[tuple[str, int], ...]:
    return NETWORKS if device == "cuda" else (("r2plus1d", 10),)


def step(trainer: Any, batch: dict[str, np.ndarray]) -> float:
    for blob, array in batch.items():
        trainer.feed(blob, array)
    return float(trainer.step().loss)


def momenta(device: str, settings: ModelConfig, seen: Optional[list[bool]] = None) -> dict[str, np.ndarray]:
    with TorchTrainer([device]) as trainer:
        trainer.load(of(settings), small_training(0.01, deterministic=False), seed=1)
        for parameter in trainer._net.learning.values() if seen is not None else ():
            parameter.register_hook(lambda _: seen.append(tf32_is_off()))
        step(trainer, clips())
        return {blob: array for blob, array in trainer.state().items() if blob.endswith(MOMENTUM_SUFFIX)}


def tf32_is_off() -> bool:
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    if hasattr(cudnn, "conv"):
        return bool(matmul.fp32_precision == "ieee" and cudnn.conv.fp32_precision == "ieee")
    return not (matmul.allow_tf32 or cudnn.allow_tf32)


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """The largest relative L2 distance of a blob."""
    lengths = {blob: float(np.linalg.norm(array)) for blob, array in other.items()}
    return max(float(np.linalg.norm(one[blob] - other[blob])) / max(lengths[blob], 1e-12) for blob in other)


def check_gradients(device: str, figures: Figures) -> None:
    for name, depth in networks(device)[:2]:
        settings, seen = config(name, depth, device), list[bool]()
        here = momenta(device, settings, seen)
        assert seen and all(seen), f"{name}-{depth}: TF32 was on in the backward pass"
        figures[f"{name}-{depth}, momenta against the CPU"] = found = apart(here, momenta("cpu", settings))
        assert found < 3e-4, f"{name}-{depth}: a momentum is {found:.2g} from the CPU's; TF32 would be about 1e-3"


def check_inference(device: str, figures: Figures) -> None:
    for name, depth in networks(device):
        model = build(config(name, depth, device), is_test=True)
        results = {}
        for where in ("cpu", device):
            with open_engine("pytorch", where) as engine:
                engine.load(model.param_init_net, model.net, seed=1, keep=["softmax"])
                for part, count in (("whole", 4), ("partial", 3)):
                    engine.feed("data", clips()["data"][:count])
                    engine.feed("label", clips()["label"][:count])
                    engine.run()
                    results[where, part] = engine.fetch("softmax")
        worst = float(np.abs(results["cpu", "whole"] - results[device, "whole"]).max())
        partial = float(np.abs(results[device, "whole"][:3] - results[device, "partial"]).max())
        figures[f"{name}-{depth}, softmax against the CPU"] = worst
        figures[f"{name}-{depth}, a part of the batch against the whole"] = partial
        assert max(worst, partial) < 1e-5, f"{name}-{depth}: softmax differs by {max(worst, partial):.2g}"


class Numbered:
    """In place of a reader: batch k is filled with k, at once."""

    def __init__(self, batch: int) -> None:
        self.position, self.skipped, self.ended_early, self.count, self.batch = 0, [], [], 0, batch

    def close(self) -> None: ...

    def next_batch(self) -> dict[str, np.ndarray]:
        self.count += 1
        self.position += self.batch
        data = np.full((self.batch, 3, 4, 16, 16), self.count, np.float32)
        return {"gpu_0/data": data, "gpu_0/label": np.full(self.batch, self.count % 5, np.int32)}

    @property
    def reader(self) -> Numbered:
        return self


def numbered(device: str, folder: Path, channels_last: bool = False, batch: int = 4, **changes: Any) -> TorchTrainer:
    database = folder / "db"
    source = video_source(database if database.exists() else write_videos(database, 4), batch)
    trainer = TorchTrainer([device])
    training = small_training(0.001, channels_last=channels_last, abort_loss=1e30, deterministic=False, **changes)
    trainer.load(small_build(source=source), training, seed=1)
    trainer._batches._reader.reader.close()
    trainer._batches._reader = Numbered(batch)
    return trainer


def check_prefetch(device: str, figures: Figures) -> None:
    steps = 300 if device == "cuda" else 20
    with tempfile.TemporaryDirectory() as folder:
        for channels_last in (False, True):
            with numbered(device, Path(folder), channels_last) as trainer:
                busy = torch.ones(4096 if device == "cuda" else 8, 4096 if device == "cuda" else 8, device=device)
                wrong = []
                for number in range(1, steps + 1):
                    for _ in range(4):
                        busy = (busy @ busy).clamp(0, 1)
                    trainer.step()
                    if (trainer.fetch("data") != number).any():
                        wrong.append(number)
                assert not wrong, f"batches {wrong[:5]} ({len(wrong)} of {steps}) were not what the reader gave"
    figures["steps in each layout"] = steps


def check_synchronisations(device: str, figures: Figures) -> None:
    if device != "cuda":
        raise Skipped("a CPU has nothing to wait for")
    with tempfile.TemporaryDirectory() as folder, numbered(device, Path(folder)) as trainer:
        for _ in range(20):
            trainer.step()
        before = torch.cuda.memory_stats()["num_alloc_retries"], torch.cuda.memory_stats()["segment.all.allocated"]
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(10):
                trainer.step()
        torch.cuda.set_sync_debug_mode("default")
        after = torch.cuda.memory_stats()["num_alloc_retries"], torch.cuda.memory_stats()["segment.all.allocated"]
    found = [str(warning.message) for warning in caught if "synchroniz" in str(warning.message)]
    figures["synchronisations in 10 steps"], figures["new memory segments"] = len(found), after[1] - before[1]
    assert len(found) <= 10, f"{len(found)} synchronisations in 10 steps"
    assert before == after, "memory was still allocated from the driver in warm steps"


def check_halves(device: str, figures: Figures) -> None:
    losses: dict[str, list[float]] = {}
    for precision in ("fp32", "bf16", "fp16") if device == "cuda" else ("fp32", "bf16"):
        with TorchTrainer([device]) as trainer:
            trainer.load(small_build(), small_training(precision=precision, deterministic=False), seed=1)
            losses[precision] = [step(trainer, small_batch(number)) for number in range(20)]
            if precision == "fp16":
                trainer._loss_scale.set_state(np.array([2.0**40, 0]))
                before = trainer.weights()["conv1_w"]
                step(trainer, small_batch(21))
                assert (trainer.weights()["conv1_w"] == before).all(), "an overflow did not skip the update"
                assert trainer._loss_scale.factor == 2.0**39, "an overflow did not halve the loss scale"
                state = trainer.state()
                trainer.set_state(state)
                assert all((array == state[blob]).all() for blob, array in trainer.state().items())
        worst = max(abs(one - other) for one, other in zip(losses[precision], losses["fp32"]))
        figures[f"{precision}, largest difference of 20 losses to fp32"] = worst
        assert worst < 0.1, f"{precision}: losses are up to {worst:.2g} from fp32's"


def check_label(device: str, figures: Figures) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = write_videos(Path(folder) / "db", 12)
        flags = [
            "--model_name=r2plus1d",
            "--model_depth=10",
            "--num_labels=4",
            "--clip_length_rgb=4",
            "--crop_size=112",
        ]
        flags += ["--batch_size=4", "--epoch_size=12", "--num_epochs=1", f"--device={device}", "--sampling_rate_rgb=1"]
        flags += [f"--train_data={database}", f"--file_store_path={folder}/runs", "--channel_multiplier=0.1"]
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools/train_net.py"), *flags], capture_output=True, text=True, check=False
        )
    figures["says"] = last = (done.stderr.strip().splitlines() or [""])[-1]
    assert done.returncode == 1, f"exit status {done.returncode}: {last}"
    assert re.search(r"record \d+ .*has label 4", last), f"the record is not named: {last}"


def check_ranks(device: str, figures: Figures) -> None:
    """Two on one GPU: NCCL refuses that, so it is gloo here; and NCCL by itself."""
    script = ROOT / "tests/engines/torch_engine/training/rank_failures.py"
    for arguments in (("resume", "0"), ("resume", "1"), *[("in a step", str(number % 2)) for number in range(5)]):
        command = [*python(2), str(script), *arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if arguments[0] == "resume":
            assert done.returncode == 0 and "the same" in done.stdout, f"{arguments}: {_said(done.stderr)}"
        else:
            assert done.stderr.count("error: the disk is full") == 1, f"no cause: {_said(done.stderr)}"
    figures["two ranks (gloo, on the CPU)"] = "resumed in both layouts; the cause printed 5 times of 5"
    if device == "cuda":
        figures["NCCL alone"] = _nccl()


def _said(errors: str) -> str:
    """What the processes said, without what torchrun adds; the end of it where they said nothing."""
    own = [line for line in errors.splitlines() if line.startswith("error:")]
    return " | ".join(own) or errors[:400]


def _nccl() -> str:
    import torch.distributed as dist

    store = dist.HashStore()
    dist.init_process_group("nccl", store=store, rank=0, world_size=1)
    value = torch.ones(1 << 20, device="cuda")
    dist.all_reduce(value, async_op=True).wait()
    for kind in (torch.float64, torch.int64):
        other = torch.arange(4, dtype=kind, device="cuda")
        dist.all_reduce(other)
        dist.broadcast(other, 0)
        assert other.tolist() == [0, 1, 2, 3]
    torch.cuda.synchronize()
    dist.destroy_process_group()
    return "float32 async, float64, int64, broadcast, destroyed"


def check_deterministic(device: str, figures: Figures) -> None:
    settings, runs, said = config("r2plus1d", 10, device), [], set[str]()
    for stopped in (False, False, True):
        with warnings.catch_warnings(record=True) as caught, TorchTrainer([device]) as trainer:
            warnings.simplefilter("always")
            trainer.load(of(settings), small_training(0.01), seed=1)
            for number in range(4):
                step(trainer, clips(seed=number))
                if stopped and number == 1:
                    state = trainer.state()
                    trainer.load(of(settings), small_training(0.01), seed=2)
                    trainer.set_state(state)
            runs.append(trainer.weights())
        said.update(str(one.message).split(" ")[0] for one in caught if "deterministic" in str(one.message))
    same = [all((run[blob] == runs[0][blob]).all() for blob in runs[0]) for run in runs[1:]]
    figures["the same bits again, and resumed"], figures["operators that warn"] = same, sorted(said)
    assert all(same) or said, "runs differ, and no operator warned"


def check_memory(device: str, figures: Figures) -> None:
    with TorchTrainer([device]) as trainer:
        trainer.load(of(config("r2plus1d", 18, device)), small_training(0.001, deterministic=False), seed=1)
        step(trainer, clips(2))
        if device == "cuda":
            random = np.zeros((4096, 3, 8, 112, 112), np.float32)
            try:
                step(trainer, {"data": random, "label": np.zeros(4096, np.int32)})
            except VmzError as error:
                figures["says"] = str(error)[:200]
                assert "operator" in str(error) and "memory" in str(error), f"the error does not say: {error}"
            else:
                figures["says"] = "4096 clips fit"
        step(trainer, clips(2))
    if device == "cuda":
        figures["MiB left after close"] = left = torch.cuda.memory_allocated() / 2**20
        assert left < 64, f"{left:.0f} MiB are still allocated after close()"


def check_precise_norm(device: str, figures: Figures) -> None:
    with tempfile.TemporaryDirectory() as folder, numbered(device, Path(folder), batch=64) as trainer:
        trainer.step()
        size = 64 * 3 * 4 * 16 * 16 * 4 / 2**20
        if device == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        trainer.recompute_statistics(60)
        if device == "cuda":
            peak = (torch.cuda.max_memory_allocated() - before) / 2**20
            figures["peak MiB"], figures["MiB of a batch"] = peak, size
            assert peak < 40 * size, f"the peak is {peak:.0f} MiB, {peak / size:.0f} batches: they queue up"
        figures["batches"] = 60


def check_speed(device: str, figures: Figures) -> None:
    if device != "cuda":
        raise Skipped("benchmarks/train_step.py measures the CPU by itself")
    for precision in ("fp32", "bf16"):
        for layout in ([], ["--channels_last"]):
            command = [sys.executable, "benchmarks/train_step.py", "--device=cuda", "--batch=8", *layout]
            done = subprocess.run(
                [*command, f"--precision={precision}"], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr[-400:]
            figures[f"{precision} {' '.join(layout) or 'contiguous'}"] = done.stdout.strip().splitlines()[1:]


def check_evaluation(device: str, figures: Figures) -> None:
    name, depth = networks(device)[min(1, len(networks(device)) - 1)]
    model = build(config(name, depth, device), is_test=True)
    batches, rows = (10, 6) if device == "cuda" else (2, 2)
    with open_engine("pytorch", device) as engine:
        engine.load(model.param_init_net, model.net, seed=1, keep=["softmax"])
        started = time.perf_counter()
        for number in range(batches):
            for blob, array in clips(rows, number).items():
                engine.feed(blob, array)
            engine.run()
            engine.fetch("softmax")
        figures["seconds a clip, in total"] = (time.perf_counter() - started) / batches / rows
        figures.update({f"seconds in {part}": spent for part, spent in engine.seconds.items()})
    data = torch.from_numpy(clips(rows)["data"])
    if device == "cuda":
        for kind, source in (("pageable", data), ("pinned", data.pin_memory())):
            torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(20):
                source.to(device, non_blocking=True)
            torch.cuda.synchronize()
            figures[f"GB/s to the device, {kind}"] = 20 * data.numel() * 4 / (time.perf_counter() - started) / 1e9


CHECKS = (
    Check(1, "one step's gradients in full float32", check_gradients),
    Check(3, "prefetched batches are the reader's, in both layouts", check_prefetch),
    Check(6, "a label out of range names its record", check_label),
    Check(7, "ranks resume and say why they fail; NCCL alone", check_ranks),
    Check(2, "inference as on the CPU", check_inference),
    Check(4, "one synchronisation a step, no allocation", check_synchronisations),
    Check(5, "bf16 and fp16 near fp32", check_halves),
    Check(8, "deterministic runs", check_deterministic),
    Check(9, "out of memory, and memory given back", check_memory),
    Check(10, "precise batch norm does not queue batches", check_precise_norm),
    Check(11, "a training step against eager PyTorch", check_speed),
    Check(12, "where an evaluation's time goes", check_evaluation),
    *kernel_checks(Check),
)
