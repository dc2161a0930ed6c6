"""Training on PyTorch: autograd over the imported training net, Caffe2's update rule, one device a process."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from vmz.engines.engine import full_name
from vmz.engines.torch_engine.engine import full_precision, located
from vmz.engines.torch_engine.graph.fills import run_fills
from vmz.engines.torch_engine.training.input import Batches, reader_seed
from vmz.engines.torch_engine.training.precise_bn import gather_statistics
from vmz.engines.torch_engine.training.precision import (
    LossScale,
    check_precision,
    computing,
    differentiating,
    reproducible,
)
from vmz.engines.torch_engine.training.ranks import Ranks, SharedGradients
from vmz.engines.torch_engine.training.sgd import MomentumSGD
from vmz.engines.torch_engine.training.training_net import import_training_net
from vmz.engines.trainer import (
    FOREIGN,
    FREEZES,
    ITERATION,
    MOMENTUM_SUFFIX,
    POSITION,
    RANDOM_STATE,
    Build,
    Step,
    Trainer,
    Training,
    divided,
    without_scopes,
)
from vmz.errors import PeerError, UsageError, VmzError
from vmz.netdef.builder import device_option, unscoped

SCOPE = "gpu_0"
LOSS_SCALE = "vmz_loss_scale"  # float32 (2,), with precision fp16: see precision.LossScale
FAILURES = (RuntimeError, ValueError, IndexError, TypeError)


class TorchTrainer(Trainer):
    """Trains on one device; torchrun starts one process for each device, on one machine or several.

    step(), state(), set_state() and recompute_statistics() are then calls of all ranks together: a failure of one is a
    VmzError of all. fetch(), weights() and skipped are this rank's own: ranks differ in the running statistics only.
    Fed arrays hold the rows of this rank's iteration, those of accumulated batches one after the other.

    With `deterministic` the same run gives the same bits on a CPU, on as many threads as its state names, however often
    it was stopped and went on.
    """

    def __init__(self, devices: Sequence[str] = ("cpu",)) -> None:
        if len(devices) != 1:
            raise UsageError(
                f"the PyTorch engine trains on one device a process, not on {', '.join(devices) or 'none'}; for "
                "several start it with torchrun --nproc_per_node=N"
            )
        self._ranks = Ranks(devices[0])
        self._drop()

    def _drop(self) -> None:
        self._model: Any = None
        self._net: Any = None
        self._batches: Any = None
        self._iteration = 0
        self._sgd: Any = None
        self._shared: Any = None
        self._loss_scale = LossScale("fp32")
        self._statistics = torch.empty(0)
        self._values: dict[str, Tensor] = {}  # parameters and running statistics by full name, as the module has them
        self._results: dict[str, Tensor] = {}

    def check(self, training: Training) -> None:
        _check(training, self._ranks.device)

    def load(
        self, build: Build, training: Training, weights: Optional[Mapping[str, np.ndarray]] = None, seed: int = 0
    ) -> None:
        self.close()
        self.check(training)
        model = build(SCOPE, device_option(), 1 / (self._ranks.world * training.accumulation))
        values = run_fills(model.param_init_net, seed)
        for name, array in without_scopes(weights or {}).items():
            _put(values[full_name(name, values)], name, array, "the network")
        layout = torch.channels_last_3d if training.channels_last else torch.contiguous_format
        self._values = self._laid_out(values, [blob for blob, _ in model.computed_params], layout)
        self._ranks.follow(self._values)
        self._training = training
        self._net = import_training_net(model, training, self._values, seed)
        self._values.update(self._net.parts)
        learnt = {blob: self._values[blob] for blob, _ in model.params}
        self._sgd = MomentumSGD(learnt, model.weights, training.weight_decay, training.momentum, training.nesterov)
        self._shared = SharedGradients(self._net.learning) if self._ranks.world > 1 else None
        self._loss_scale = LossScale(training.precision)
        self._batches = Batches(model, self._net.inputs, self._ranks, reader_seed(self._ranks), training.channels_last)
        self._model = model

    def feed(self, blob: str, array: np.ndarray, device: int = 0) -> None:
        self._loaded()
        if device != 0:
            raise UsageError(f"device {device} is not this process's: each rank of torchrun feeds its own, device 0")
        self._batches.feed(blob, array)

    def step(self) -> Step:
        self._loaded()
        before = self._statistics.clone()
        try:
            with full_precision():  # forward and backward
                return self._step(self._iteration + 1)
        except BaseException:
            self._statistics.copy_(before)
            raise

    def _step(self, number: int) -> Step:
        begun, read = time.perf_counter(), 0.0
        tally = torch.zeros(4, dtype=torch.float64, device=self._ranks.device)  # failed ranks, loss, accuracy, clips
        failure: Optional[Exception] = None
        self._start_gradients()
        try:
            with reproducible(self._training.deterministic, self._ranks.device):
                for batch in range(self._training.accumulation):
                    asked = time.perf_counter()
                    blobs = self._batches.take(batch, self._training.accumulation)
                    read += time.perf_counter() - asked
                    tally[1:] += self._forward_backward(number, batch, blobs)
            self._batches.prefetch()
        except Exception as error:
            if self._ranks.world == 1:
                raise
            failure = error
            tally[0] = 1
        gradients = self._finish_gradients()
        figures = torch.cat([self._ranks.sum(tally), _length(gradients, tally)])
        failed, loss, accuracy, clips, norm = self._ranks.read(figures)  # waits for a GPU, once an iteration
        batches = self._training.accumulation * self._ranks.world
        self._refuse(number, failed, loss / batches, failure)
        rate = self._training.schedule.rate(number)
        self._update(number, gradients, norm, rate)
        self._iteration = number
        self._batches.done()
        spent = {"read": read, "compute": time.perf_counter() - begun - read}
        found = accuracy / batches if self._net.accuracy else None
        return Step(number, rate, loss / batches, found, int(clips), spent)

    def _start_gradients(self) -> None:
        if self._shared is not None:
            self._shared.start()
            return
        for parameter in self._net.learning.values():
            parameter.grad = None

    def _forward_backward(self, number: int, batch: int, blobs: dict[str, Tensor]) -> Tensor:
        """Add a batch's gradients; its loss, accuracy and clips, float64 (3,)."""
        net, training = self._net, self._training
        clips = len(blobs[net.inputs[0]])
        masks = net.masks
        masks.iteration, masks.first_clip = number, (batch * self._ranks.world + self._ranks.rank) * clips
        results = self._forward(net.module, [blobs[name] for name in net.inputs])
        if self._shared is not None and batch + 1 == training.accumulation:
            self._shared.last_batch()
        objective = results[net.objective].float().sum() * self._loss_scale.factor
        try:
            with differentiating(training.precision, self._ranks.device):
                objective.backward()  # type: ignore[no-untyped-call]
        except FAILURES as error:
            first = str(error).strip().splitlines()[0]
            raise VmzError(f"iteration {number}: the backward pass failed: {first}") from error
        self._results = {**blobs, **{blob: value.detach() for blob, value in results.items()}}
        loss = self._results[net.loss].double().mean()
        accuracy = self._results[net.accuracy].double() if net.accuracy else torch.zeros_like(loss)
        return torch.stack([loss, accuracy, torch.full_like(loss, clips)])

    def _forward(self, module: Any, inputs: list[Tensor]) -> dict[str, Tensor]:
        try:
            with computing(self._training.precision, self._ranks.device):
                return module.forward(*inputs)  # its __call__ would print a traceback of its own
        except FAILURES as error:
            raise located(module, inputs, error) from error

    def _finish_gradients(self) -> dict[str, Tensor]:
        if self._shared is not None:
            self._shared.finish()
        learning = self._net.learning
        return {blob: parameter.grad for blob, parameter in learning.items() if parameter.grad is not None}

    def _refuse(self, number: int, failed: float, loss: float, failure: Optional[Exception]) -> None:
        """Raise, on all ranks, when one of them failed or the loss is no longer one to go on from."""
        if failure is not None:
            raise failure
        if failed:
            raise PeerError(f"iteration {number}: {failed:.0f} of {self._ranks.world} ranks failed; they say why")
        if not math.isfinite(loss):
            raise VmzError(
                f"iteration {number}: the loss is {loss}; lower the learning rate, or look at the last batch"
            )
        if loss > self._training.abort_loss:
            raise VmzError(
                f"iteration {number}: the loss is {loss:.6g}, above {self._training.abort_loss:g}, where training "
                "stops; lower the learning rate"
            )

    def _update(self, number: int, gradients: dict[str, Tensor], norm: float, rate: float) -> None:
        overflowed = not math.isfinite(norm)
        if overflowed and not self._loss_scale.is_used:
            raise VmzError(f"iteration {number}: the gradient is not finite (L2 norm {norm}); lower the learning rate")
        if not overflowed and gradients:
            norm /= self._loss_scale.factor
            most = self._training.clip_gradient
            factor = (most / norm if 0 < most < norm else 1.0) / self._loss_scale.factor
            if factor != 1:
                torch._foreach_mul_(list(gradients.values()), factor)
            self._sgd.update(gradients, rate)
        try:
            self._loss_scale.update(overflowed)
        except VmzError as error:
            raise VmzError(f"iteration {number}: {error}") from error

    def fetch(self, blob: str) -> np.ndarray:
        self._loaded()
        known = {**self._results, **self._values, **self._momenta()}
        net_blobs = {name for op in self._model.net.op for name in op.output}
        name = full_name(blob, [*known, *(net_blobs - set(known))])
        if name not in known:
            raise UsageError(
                f"blob {name} has no value: training keeps parameters, statistics, momenta, and of the last forward "
                f"pass {', '.join([*self._net.inputs, *self._net.outputs])}"
            )
        return _array(known[name])

    def state(self) -> dict[str, np.ndarray]:
        self._loaded()
        self._ranks.follow({"statistics": self._statistics})
        state = {
            **self.weights(),
            **{unscoped(blob): _array(momentum) for blob, momentum in self._momenta().items()},
            ITERATION: np.array([self._iteration], np.int64),
            RANDOM_STATE: self._random_state(),
        }
        if self._batches.is_read:
            state[POSITION] = np.array(self._ranks.gather(self._batches.position), np.int64)
        if self._loss_scale.is_used:
            state[LOSS_SCALE] = self._loss_scale.state()
        return state

    def _random_state(self) -> np.ndarray:
        numbers = [self._net.masks.seed, self._batches.seed, torch.get_num_threads()]
        return np.array(numbers, np.int64).view(np.uint8)

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._loaded()
        state = without_scopes(state)
        targets = {unscoped(blob): tensor for blob, tensor in {**self._values, **self._momenta()}.items()}
        wanted = [*targets, ITERATION]
        wanted += [POSITION] * self._batches.is_read + [LOSS_SCALE] * self._loss_scale.is_used
        idle = {unscoped(blob) for blob in self._momenta()} - {
            unscoped(blob) + MOMENTUM_SUFFIX for blob in self._net.learning
        }
        for name in wanted:
            if name not in state and name not in idle:  # Caffe2 has no momentum for what does not learn
                raise VmzError(f"the state lacks blob {name}, without which training cannot go on from it")
        for name, array in state.items():
            if name not in wanted and not name.startswith(FOREIGN):
                raise VmzError(f"the state has blob {name}, which the network lacks: it is another network's")
            if name in targets:
                _check_shape(targets[name], name, array, "the network")
        numbers = np.asarray(state.get(RANDOM_STATE, self._random_state()))  # another engine's state has none
        if numbers.dtype != np.uint8 or numbers.shape != (24,):
            raise VmzError(
                f"the state's blob {RANDOM_STATE} is not the PyTorch engine's; go on with the engine it is of"
            )
        threads = int(numbers.copy().view(np.int64)[2])
        if not 0 < threads < 1 << 16:
            raise VmzError(f"the state's blob {RANDOM_STATE} is damaged: {threads} is no number of threads")
        for name, tensor in targets.items():
            if name in state:
                _put(tensor, name, state[name], "the network")
        self._ranks.follow({**self._values, **self._momenta()})
        self._iteration = int(state[ITERATION][0])
        self._net.masks.seed, self._batches.seed, _ = (int(number) for number in numbers.copy().view(np.int64))
        if self._training.deterministic:
            torch.set_num_threads(threads)
        if self._loss_scale.is_used:
            self._loss_scale.set_state(state[LOSS_SCALE])
        if self._batches.is_read:
            position = divided([int(videos) for videos in state[POSITION]], self._ranks.world)
            self._batches.go_to(position[self._ranks.rank])

    def weights(self) -> dict[str, np.ndarray]:
        self._loaded()
        return {unscoped(blob): _array(tensor) for blob, tensor in self._values.items()}

    def recompute_statistics(self, batches: int) -> None:
        """As in Trainer: mean and unbiased variance of all values in `batches` batches of every rank together."""
        self._loaded()
        if batches < 1:
            raise UsageError(f"precise batch norm needs at least 1 batch, not {batches}")
        net = import_training_net(self._model, self._training, {b: v.detach() for b, v in self._values.items()})
        gatherer = gather_statistics(net.module)
        if gatherer is None:
            raise UsageError("batch norm is frozen: its statistics cannot be recomputed")
        failure: Optional[Exception] = None
        try:
            with torch.no_grad(), full_precision(), reproducible(self._training.deterministic, self._ranks.device):
                for batch in range(batches):
                    blobs = self._batches.take(batch % self._training.accumulation, self._training.accumulation)
                    self._forward(net.module, [blobs[name] for name in net.inputs])
        except Exception as error:
            failure = error
        failed = sum(self._ranks.gather(int(failure is not None)))
        self._refuse(self._iteration, failed, 0.0, failure)
        gatherer.write(self._values, self._ranks)
        self._batches.done()

    @property
    def skipped(self) -> list[Any]:
        return [] if self._batches is None else self._batches.skipped

    @property
    def ended_early(self) -> list[Any]:
        return [] if self._batches is None else self._batches.ended_early

    def close(self) -> None:
        if self._batches is not None:
            self._batches.close()
        self._drop()
        gc.collect()  # a module and its graph hold each other
        if self._ranks.device.type == "cuda":
            torch.cuda.empty_cache()

    def _loaded(self) -> None:
        if self._model is None:
            raise UsageError("the trainer has no network; call load first")

    def _momenta(self) -> dict[str, Tensor]:
        return {blob + MOMENTUM_SUFFIX: momentum for blob, momentum in self._sgd.momenta.items()}

    def _laid_out(
        self, values: Mapping[str, Tensor], computed: Sequence[str], layout: torch.memory_format
    ) -> dict[str, Tensor]:
        """The values on the device, the running statistics as parts of one tensor, `_statistics`: one copy of it is
        enough to undo an iteration."""
        device = self._ranks.device
        placed = {
            blob: value.to(device).contiguous(memory_format=layout if value.dim() == 5 else torch.contiguous_format)
            for blob, value in values.items()
        }
        sizes = [placed[blob].numel() for blob in computed]
        self._statistics = torch.cat([torch.empty(0, device=device), *(placed[blob].reshape(-1) for blob in computed)])
        for blob, part in zip(computed, self._statistics.split(sizes)):
            placed[blob] = part.view(placed[blob].shape)
        return placed


def _check(training: Training, device: torch.device) -> None:
    if training.accumulation < 1:
        raise UsageError(f"accumulation={training.accumulation} must be at least 1 batch")
    if training.freeze not in FREEZES:
        raise UsageError(f"unknown freeze {training.freeze!r}; it may be {', '.join(FREEZES)}")
    if not training.clip_gradient >= 0:
        raise UsageError(f"clip_gradient={training.clip_gradient} must not be negative; 0 clips nothing")
    check_precision(training.precision, device)


def _length(gradients: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The L2 norm of all gradients together, (1,), in the type of `like` and where that is."""
    if not gradients:
        return like.new_zeros(1)
    if like.is_cuda and hasattr(torch, "_foreach_norm"):
        norms = list(torch._foreach_norm(list(gradients.values())))  # a few kernels in place of one a gradient
    else:
        norms = [gradient.norm() for gradient in gradients.values()]
    return torch.stack(norms).to(like).norm().reshape(1)


def _check_shape(target: Tensor, name: str, array: np.ndarray, owner: str) -> None:
    if tuple(target.shape) != tuple(np.shape(array)):
        raise VmzError(f"blob {name} has shape {tuple(target.shape)} in {owner}, not {tuple(np.shape(array))}")


def _put(target: Tensor, name: str, array: np.ndarray, owner: str) -> None:
    _check_shape(target, name, array, owner)
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().contiguous().numpy().copy()
