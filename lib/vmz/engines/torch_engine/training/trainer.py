"""Training on PyTorch: autograd over the imported training net, Caffe2's update rule, one device a process."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

import numpy as np
import torch
from torch import Tensor

from vmz.engines.torch_engine.engine import error_at_operator
from vmz.engines.torch_engine.graph.fills import run_fills
from vmz.engines.torch_engine.memory import give_back, keep_freed_memory
from vmz.engines.torch_engine.precision import autocast_context, full_precision
from vmz.engines.torch_engine.training.batch_norm import use_exact_sums
from vmz.engines.torch_engine.training.blobs import array_of, check_shape, laid_out, put
from vmz.engines.torch_engine.training.convolution import use_own_gradients
from vmz.engines.torch_engine.training.figures import figures, head_figures, head_steps
from vmz.engines.torch_engine.training.input import Batches, reader_seed
from vmz.engines.torch_engine.training.precise_bn import gather_statistics
from vmz.engines.torch_engine.training.precision import LossScale, differentiating, reproducible
from vmz.engines.torch_engine.training.random_state import RandomState
from vmz.engines.torch_engine.training.ranks import Ranks, SharedGradients
from vmz.engines.torch_engine.training.sgd import MomentumSGD, clip_gradients
from vmz.engines.torch_engine.training.tally import Tally, Totals
from vmz.engines.torch_engine.training.training_net import check_training, import_training_net
from vmz.engines.trainer import Build, Step, Trainable, Trainer, Training, never
from vmz.errors import PeerError, UsageError, VmzError
from vmz.netdef.blob_names import SCOPE, full_name, unscoped, without_scopes
from vmz.netdef.builder import device_option
from vmz.netdef.training_state import FOREIGN, ITERATION, LOSS_SCALE, MOMENTUM_SUFFIX, POSITION, RANDOM_STATE
from vmz.processes.shares import divided

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
        self._loss_scale = LossScale("fp32", self._ranks.device)
        self._statistics = torch.empty(0)
        self._values: dict[str, Tensor] = {}  # parameters and running statistics by full name, as the module has them
        self._results: dict[str, Tensor] = {}

    def check(self, training: Training) -> None:
        check_training(training, self._ranks.device)

    def load(
        self, build: Build, training: Training, weights: Optional[Mapping[str, np.ndarray]] = None, seed: int = 0
    ) -> None:
        self.close()
        self.check(training)
        model = build(SCOPE, device_option(), 1 / (self._ranks.world * training.accumulation))
        values = run_fills(model.param_init_net, seed)
        for name, array in without_scopes(weights or {}).items():
            put(values[full_name(name, values)], name, array)
        on_cpu = self._ranks.device.type == "cpu"
        if on_cpu:
            keep_freed_memory()
        channels_last = training.channels_last or on_cpu
        layout = torch.channels_last_3d if channels_last else torch.contiguous_format
        computed = [blob for blob, _ in model.computed_params]
        self._values, self._statistics = laid_out(values, computed, layout, self._ranks.device)
        self._ranks.broadcast(self._values)
        self._training = training
        self._net = import_training_net(model, training, self._values, seed)
        if on_cpu:
            use_own_gradients(self._net.module)
            use_exact_sums(self._net.module)
        self._values.update(self._net.parts)
        self._sgd = self._optimizer(model, training)
        self._shared = SharedGradients(self._net.learning) if self._ranks.world > 1 else None
        self._loss_scale = LossScale(training.precision, self._ranks.device)
        self._batches = Batches(model, self._net.inputs, self._ranks, reader_seed(self._ranks), channels_last)
        self._model = model

    def _optimizer(self, model: Trainable, training: Training) -> MomentumSGD:
        """Over all parameters, those that do not learn too: a checkpoint has their momenta. Weights alone decay."""
        params = [blob for blob, _ in model.params]
        decayed = [self._values[blob] for blob in params if blob in model.weights]
        others = [self._values[blob] for blob in params if blob not in model.weights]
        return MomentumSGD(
            [{"params": decayed, "weight_decay": training.weight_decay}, {"params": others}],
            momentum=training.momentum,
            nesterov=training.nesterov,
        )

    def feed(self, blob: str, array: np.ndarray, device: int = 0) -> None:
        self._loaded()
        if device != 0:
            raise UsageError(f"device {device} is not this process's: each rank of torchrun feeds its own, device 0")
        self._batches.feed(blob, array)

    def step(self, stop: Callable[[], bool] = never, save: Callable[[], bool] = never) -> Step:
        self._loaded()
        before = self._statistics.clone()
        try:
            with full_precision():  # forward and backward
                return self._step(self._iteration + 1, stop, save)
        except BaseException:
            self._statistics.copy_(before)
            raise

    def _step(self, iteration: int, stop: Callable[[], bool], save: Callable[[], bool]) -> Step:
        """One iteration: gradients of this rank's batches, sums over the ranks, checks, update."""
        batches = self._training.accumulation * self._ranks.world
        began = time.perf_counter()
        self._zero_gradients()
        tally = Tally(self._ranks, len(self._net.heads))
        try:
            reading = self._add_gradients(iteration, tally)
            self._batches.prefetch()
        except Exception:
            if self._ranks.world > 1:  # the others wait for this rank's part
                self._sum_over_ranks(Tally(self._ranks, len(self._net.heads), has_failed=True))
            raise
        tally.ask(stop(), save())
        totals = self._sum_over_ranks(tally)
        loss = totals.loss / batches
        self._refuse_failure(iteration, totals.failed_ranks)
        self._refuse_loss(iteration, loss)
        rate = self._training.schedule.rate(iteration)
        self._update(iteration, totals.gradient_norm, rate)
        self._iteration = iteration
        self._batches.done()
        return Step(
            iteration=iteration,
            learning_rate=rate,
            loss=loss,
            accuracy=totals.accuracy / batches if self._net.accuracy else None,
            samples=totals.clips,
            seconds={"read": reading, "compute": time.perf_counter() - began - reading},
            stop=totals.stop,
            save=totals.save,
            heads=head_steps(self._net, totals, batches),
        )

    def _zero_gradients(self) -> None:
        if self._shared is not None:
            self._shared.start()
            return
        for parameter in self._net.learning.values():
            parameter.grad = None

    def _add_gradients(self, iteration: int, tally: Tally) -> float:
        """Forward and backward of each batch, whose gradients add up. Returns the seconds that reading took."""
        count, reading = self._training.accumulation, 0.0
        with reproducible(self._training.deterministic, self._ranks.device):
            for batch in range(count):
                asked = time.perf_counter()
                blobs = self._batches.take(batch, count)
                reading += time.perf_counter() - asked
                self._place_masks(iteration, batch, self._clips(blobs))
                results = self._forward(self._net.module, [blobs[name] for name in self._net.inputs])
                if self._shared is not None and batch + 1 == count:
                    self._shared.last_batch()
                self._backward(iteration, results[self._net.objective])
                self._results = {**blobs, **{blob: value.detach() for blob, value in results.items()}}
                found = figures(self._net, self._results, count * self._ranks.world)
                tally.add(*found, self._clips(blobs), head_figures(self._net, self._results))
        return reading

    def _clips(self, blobs: Mapping[str, Tensor]) -> int:
        return len(blobs[self._net.inputs[0]])

    def _place_masks(self, iteration: int, batch: int, clips: int) -> None:
        """Say which clips of the iteration, counted over all ranks, dropout's masks are for."""
        masks = self._net.masks
        masks.iteration, masks.first_clip = iteration, (batch * self._ranks.world + self._ranks.rank) * clips

    def _forward(self, module: Any, inputs: list[Tensor]) -> dict[str, Tensor]:
        try:
            with autocast_context(self._training.precision, self._ranks.device):
                return module.forward(*inputs)  # its __call__ would print a traceback of its own
        except FAILURES as error:
            raise error_at_operator(module, inputs, error) from error

    def _backward(self, iteration: int, objective: Tensor) -> None:
        scaled = self._loss_scale.scaler.scale(objective.float().sum())
        try:
            with differentiating(self._training.precision, self._ranks.device):
                scaled.backward()
        except FAILURES as error:
            first = str(error).strip().splitlines()[0]
            raise VmzError(f"iteration {iteration}: the backward pass failed: {first}") from error

    def _sum_over_ranks(self, tally: Tally) -> Totals:
        """Gradients and figures. All ranks call it, one that failed too, so that none hangs."""
        if self._shared is not None:
            self._shared.finish()
        return tally.totals(self._gradients())

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self._net.learning.values() if parameter.grad is not None]

    def _refuse_failure(self, iteration: int, failed_ranks: int) -> None:
        if failed_ranks:
            raise PeerError(
                f"iteration {iteration}: {failed_ranks} of {self._ranks.world} ranks failed; see their messages"
            )

    def _refuse_loss(self, iteration: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise VmzError(
                f"iteration {iteration}: the loss is {loss}; lower the learning rate, or look at the last batch"
            )
        if loss > self._training.abort_loss:
            raise VmzError(
                f"iteration {iteration}: the loss is {loss:.6g}, above {self._training.abort_loss:g}, where training "
                "stops; lower the learning rate"
            )

    def _update(self, iteration: int, norm: float, rate: float) -> None:
        """Unscale, clip, update; the scaler leaves out an update that overflows. norm: of the gradients as scaled."""
        scale = self._loss_scale
        if not math.isfinite(norm):
            self._refuse_overflow(iteration, norm)
        norm /= scale.factor
        scale.scaler.unscale_(self._sgd)
        clip_gradients(self._gradients(), norm, self._training.clip_gradient)
        for group in self._sgd.param_groups:
            group["lr"] = rate
        scale.scaler.step(self._sgd)
        scale.scaler.update()

    def _refuse_overflow(self, iteration: int, norm: float) -> None:
        if not self._loss_scale.is_used:
            raise VmzError(
                f"iteration {iteration}: the gradient is not finite (L2 norm {norm}); lower the learning rate"
            )
        try:
            self._loss_scale.refuse_overflow()
        except VmzError as error:
            raise VmzError(f"iteration {iteration}: {error}") from error

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
        return array_of(known[name])

    def state(self, here: bool = True) -> dict[str, np.ndarray]:
        self._loaded()
        self._ranks.broadcast({"statistics": self._statistics})
        position = self._ranks.all_gather(self._batches.position) if self._batches.is_read else []
        if not here:
            return {}
        state = {
            **self.weights(),
            **{unscoped(blob): array_of(momentum) for blob, momentum in self._momenta().items()},
            ITERATION: np.array([self._iteration], np.int64),
            RANDOM_STATE: self._random_state().to_blob(),
        }
        if position:
            state[POSITION] = np.array(position, np.int64)
        if self._loss_scale.is_used:
            state[LOSS_SCALE] = self._loss_scale.state()
        return state

    def _random_state(self) -> RandomState:
        return RandomState(self._net.masks.seed, self._batches.seed, torch.get_num_threads())

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._loaded()
        state = without_scopes(state)
        tensors = {unscoped(blob): tensor for blob, tensor in {**self._values, **self._momenta()}.items()}
        self._check_state(state, tensors)
        random = self._random_state()  # another engine's state has none
        if RANDOM_STATE in state:
            random = RandomState.from_blob(state[RANDOM_STATE])
        for name, tensor in tensors.items():
            if name in state:
                put(tensor, name, state[name])
        self._ranks.broadcast({**self._values, **self._momenta()})
        self._iteration = int(state[ITERATION][0])
        self._net.masks.seed, self._batches.seed = random.masks, random.reader
        if self._training.deterministic:
            torch.set_num_threads(random.threads)
        if self._loss_scale.is_used:
            self._loss_scale.set_state(state[LOSS_SCALE])
        if self._batches.is_read:
            position = divided([int(videos) for videos in state[POSITION]], self._ranks.world)
            self._batches.go_to(position[self._ranks.rank])

    def _check_state(self, state: Mapping[str, np.ndarray], tensors: Mapping[str, Tensor]) -> None:
        """VmzError where a blob of a state is missing, of another network or of another shape."""
        wanted = [*tensors, ITERATION]
        wanted += [POSITION] if self._batches.is_read else []
        wanted += [LOSS_SCALE] if self._loss_scale.is_used else []
        optional = self._idle_momenta()
        for name in wanted:
            if name not in state and name not in optional:
                raise VmzError(f"the state lacks blob {name}, without which training cannot resume")
        for name, array in state.items():
            if name not in wanted and not name.startswith(FOREIGN):
                raise VmzError(f"the state has blob {name}, which the network lacks: it belongs to another network")
            if name in tensors:
                check_shape(tensors[name], name, array)

    def _idle_momenta(self) -> set[str]:
        """Names of the momenta of what does not learn, which a state of Caffe2 lacks."""
        learning = {unscoped(blob) + MOMENTUM_SUFFIX for blob in self._net.learning}
        return {unscoped(blob) for blob in self._momenta()} - learning

    def weights(self) -> dict[str, np.ndarray]:
        self._loaded()
        return {unscoped(blob): array_of(tensor) for blob, tensor in self._values.items()}

    def recompute_statistics(self, batches: int) -> None:
        """As in Trainer: mean and unbiased variance of all values in `batches` batches of every rank together."""
        self._loaded()
        if batches < 1:
            raise UsageError(f"precise batch norm needs at least 1 batch, not {batches}")
        net = import_training_net(self._model, self._training, {b: v.detach() for b, v in self._values.items()})
        gatherer = gather_statistics(net.module)
        if gatherer is None:
            raise UsageError("batch norm is frozen: its statistics cannot be recomputed")
        count = self._training.accumulation
        try:
            with torch.no_grad(), full_precision(), reproducible(self._training.deterministic, self._ranks.device):
                for batch in range(batches):
                    blobs = self._batches.take(batch % count, count)
                    self._forward(net.module, [blobs[name] for name in net.inputs])
        except Exception:
            if self._ranks.world > 1:  # the others wait for this rank's part
                self._ranks.all_gather(1)
            raise
        self._refuse_failure(self._iteration, sum(self._ranks.all_gather(0)))
        gatherer.write(self._values, self._ranks)
        self._batches.done()

    @property
    def skipped(self) -> list[Any]:
        return [] if self._batches is None else self._batches.skipped

    @property
    def ended_early(self) -> list[Any]:
        return [] if self._batches is None else self._batches.ended_early

    @property
    def without_sound(self) -> list[Any]:
        return [] if self._batches is None else self._batches.without_sound

    def close(self) -> None:
        if self._batches is not None:
            self._batches.close()
        self._drop()
        gc.collect()  # a module and its graph hold each other
        if self._ranks.device.type == "cuda":
            torch.cuda.empty_cache()
        else:
            give_back()

    def _loaded(self) -> None:
        if self._model is None:
            raise UsageError("the trainer has no network; call load first")

    def _momenta(self) -> dict[str, Tensor]:
        """By full name; in the order of the network's parameters."""
        return {
            blob + MOMENTUM_SUFFIX: self._sgd.state[self._values[blob]]["momentum_buffer"]
            for blob, _ in self._model.params
        }
