"""Training on real Caffe2: train_net's own net, run iteration by iteration, and its state taken out and put back."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

import numpy as np

from vmz.engines.caffe2_engine import training_net
from vmz.engines.caffe2_engine.faults import Faults
from vmz.engines.caffe2_engine.readers import Readers
from vmz.engines.caffe2_engine.workspace import Workspace, parse_device, seed_ops
from vmz.engines.labels import check_labels, label_classes
from vmz.engines.trainer import Build, Step, Trainer, Training, never
from vmz.errors import UsageError, VmzError
from vmz.netdef.blob_names import scoped, unscoped, without_scopes
from vmz.netdef.builder import device_option
from vmz.netdef.net_parts import copy_net
from vmz.netdef.protos import CPU, CUDA
from vmz.netdef.training_state import FOREIGN, ITERATION, MOMENTUM_SUFFIX, NET_ITERATION, NET_RATE, POSITION
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound


class Caffe2Trainer(Trainer):
    """One model, on CPUs or on GPUs, with Caffe2's data_parallel_model between them.

    Several "cpu" devices share the machine: they are there to try what several GPUs would do. What is not the
    original's (see Training) is refused by `load`.

    One net computes the loss and updates the parameters, before anyone can look at that loss. After a
    `step` that failed, the parameters of the iteration before are therefore gone: `state` and `weights` raise what
    `step` raised, so that nobody saves them, until `set_state` or `load` puts others in their place.

    Dropout draws from `seed` and the iteration at which the net was made: a run that went on from a state draws others
    than one that never stopped. Everything else goes on bit for bit.
    """

    def __init__(self, devices: Sequence[str] = ("cpu",)) -> None:
        self._workspace = Workspace()
        self._devices = _device_options(devices)
        self._nets: Optional[training_net.ParallelNet] = None
        self._training: Optional[Training] = None
        self._readers = Readers()
        self._positions = np.zeros(0, np.int64)  # of the readers, after the iterations that are done
        self._seed = 0
        self._created = False
        self._read_failed = False  # by some of the devices: the others have given their batch
        self._failure = ""

    def check(self, training: Training) -> None:
        _refuse_what_caffe2_lacks(training, on_gpu=self._devices[0].device_type == CUDA)

    def load(
        self, build: Build, training: Training, weights: Optional[Mapping[str, np.ndarray]] = None, seed: int = 0
    ) -> None:
        self.check(training)
        self.close()
        ids = [device.device_id for device in self._devices]
        nets = training_net.emit(build, ids, self._devices[0].device_type, training=training)
        init_net = copy_net(nets.init_net)
        seed_ops(init_net, seed)
        self._nets, self._training, self._seed = nets, training, seed
        self._readers = Readers(nets, seed)
        self._workspace.run_once(init_net)
        self._readers.start(self._workspace)
        self._positions = self._readers.positions(self._workspace)
        given = without_scopes(weights or {})
        for name in given:
            if name not in self._parameters():
                raise VmzError(f"the network has no parameter {name}; give the weights of this network")
        self._give_to_all(given)

    def feed(self, blob: str, array: np.ndarray, device: int = 0) -> None:
        nets = self._loaded()
        if not 0 <= device < len(nets.scopes):
            raise UsageError(f"there is no device number {device}: this trainer has {len(nets.scopes)}, from 0 on")
        name = scoped(blob, nets.scopes[device])
        filled = {output for op in nets.init_net.op for output in op.output}
        if name not in nets.net.external_input or name in filled:
            raise UsageError(f"blob {blob} cannot be fed: it is not an input of the network")
        check_labels(np.asarray(array), label_classes(nets.net, dict(nets.params)).get(name, 0))
        self._workspace.feed(name, array, self._devices[device])

    def step(self, stop: Callable[[], bool] = never, save: Callable[[], bool] = never) -> Step:
        nets = self._loaded()
        self._check_sound()
        started = time.perf_counter()
        if self._read_failed:
            self._move(self._positions)
        if not self._created:
            self._create()
        if self._readers:
            self._read()
        read = time.perf_counter()
        self._set_rate()
        try:
            self._workspace.run(nets.net.name)
        except VmzError as error:  # the net is a DAG: what ran beside the operator that failed is not known
            self._failure = str(error)
            raise
        seconds = {"read": read - started, "compute": time.perf_counter() - read}
        loss = float(np.mean([np.mean(self._of_device(number, "loss")) for number in range(len(nets.scopes))]))
        iteration = int(self.fetch(NET_ITERATION).item())
        self._check_loss(loss, iteration)
        self._positions = self._readers.positions(self._workspace)
        return Step(
            iteration=iteration,
            learning_rate=float(self.fetch(NET_RATE).item()),
            loss=loss,
            accuracy=self._accuracy(),
            samples=sum(len(self._workspace.fetch(network.prediction)) for network in nets.devices),
            seconds=seconds,
            stop=stop(),  # one process: nobody else to tell
            save=save(),
        )

    def fetch(self, blob: str) -> np.ndarray:
        nets = self._loaded()
        name = blob if blob.partition("/")[0] in nets.scopes else scoped(blob, nets.scopes[0])
        if not self._workspace.has(name):
            raise UsageError(f"blob {name} has no value: it is not a blob of the network, or step has not run yet")
        return self._workspace.fetch(name)

    def state(self, here: bool = True) -> dict[str, np.ndarray]:
        self._loaded()
        self._check_sound()
        found = {name: self.fetch(name) for name in (*self._parameters(), *self._momenta())}
        if len(self._devices) > 1:
            self._give_to_all(found)
        if not here:
            return {}
        found[ITERATION] = self.fetch(NET_ITERATION).astype(np.int64).reshape(1)
        if self._readers:
            found[POSITION] = self._positions.copy()
        return found

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._loaded()
        state = without_scopes(state)
        needed = [*self._parameters(), *self._momenta(), ITERATION, *([POSITION] if self._readers else [])]
        missing = [name for name in needed if name not in state]
        if missing:
            raise VmzError(
                f"the state lacks blob {missing[0]}; give a state saved by training this network, not weights only"
            )
        known = {*needed, *(name + MOMENTUM_SUFFIX for name in self._parameters())}
        unknown = [name for name in state if name not in known and not name.startswith(FOREIGN)]
        if unknown:
            raise VmzError(
                f"the state contains blob {unknown[0]}, which the network lacks; give a state saved by "
                "training this network"
            )
        if self._readers:
            self._move(state[POSITION])
        self._give_to_all({name: state[name] for name in (*self._parameters(), *self._momenta())})
        iteration = np.asarray(state[ITERATION], np.int64).reshape(1)
        for scope in self._loaded().scopes:
            self._workspace.feed(scoped(NET_ITERATION, scope), iteration, device_option(CPU))
        self._created, self._failure = False, ""

    def weights(self) -> dict[str, np.ndarray]:
        self._loaded()
        self._check_sound()
        return {name: self.fetch(name) for name in self._parameters()}

    @property
    def skipped(self) -> list[BadVideo]:
        return self._workspace.skipped

    @property
    def ended_early(self) -> list[EndedEarly]:
        return self._workspace.ended_early

    @property
    def without_sound(self) -> list[WithoutSound]:
        return self._workspace.without_sound

    def close(self) -> None:
        if self._nets is not None:
            self._workspace.reset()
        self._nets, self._training, self._created, self._failure = None, None, False, ""
        self._read_failed = False
        self._readers = Readers()

    def _read(self) -> None:
        """A batch for each device. Where one fails none is used: all readers are put back to where they were."""
        nets = self._loaded()
        try:
            self._workspace.run(f"{nets.net.name}_readers")
            classes = label_classes(nets.net, dict(nets.params))
            for number, scope in enumerate(nets.scopes):
                check_labels(
                    self._of_device(number, "label"), classes.get(scoped("label", scope), self._readers.classes)
                )
        except VmzError:
            self._read_failed = len(nets.scopes) > 1
            raise

    def _move(self, positions: np.ndarray) -> None:
        self._readers.move(self._workspace, positions)
        self._positions = self._readers.positions(self._workspace)
        self._created = self._read_failed = False

    def _create(self) -> None:
        """Make the net: with its readers where they are to start, and dropout drawing from the iteration on."""
        nets = self._loaded()
        self._workspace.faults = Faults(nets.init_net)
        reading, net = self._readers.split(nets.net, self._workspace.faults)
        read = {blob for op in reading.op for blob in op.output}
        missing = [blob for blob in net.external_input if blob not in read and not self._workspace.has(blob)]
        if missing:
            raise UsageError(f"blob {missing[0]} has no value: no operator computes it; feed it before step")
        iteration = int(self.fetch(NET_ITERATION).item())
        for number, op in enumerate(op for op in net.op if op.type == "Dropout"):
            mixed = np.random.SeedSequence([self._seed, iteration, number]).generate_state(1)
            op.device_option.random_seed = int(mixed[0]) or 1  # 0 would mean: from the clock
        if self._readers:  # made first: its outputs are the other's inputs
            self._workspace.create(reading)
        self._workspace.create(net)
        self._created = True

    def _set_rate(self) -> None:
        """Give every device the rate of the coming iteration, where Caffe2 has no operator that computes it."""
        assert self._training is not None
        schedule = self._training.schedule
        if schedule.is_original:
            return
        rate = np.array([schedule.rate(int(self.fetch(NET_ITERATION).item()) + 1)], np.float32)
        for scope, device in zip(self._loaded().scopes, self._devices):
            self._workspace.feed(scoped(NET_RATE, scope), rate, device)

    def _loaded(self) -> training_net.ParallelNet:
        if self._nets is None:
            raise UsageError("the trainer has no network; call load first")
        return self._nets

    def _check_sound(self) -> None:
        if self._failure:
            raise VmzError(self._failure)

    def _check_loss(self, loss: float, iteration: int) -> None:
        assert self._training is not None
        limit = self._training.abort_loss
        if not math.isfinite(loss):
            self._failure = f"the loss of iteration {iteration} is {loss}; a lower --base_learning_rate may help"
        elif loss > limit:
            self._failure = f"the loss of iteration {iteration} is {loss:.4g}, above {limit:g}, where training stops"
        self._check_sound()

    def _accuracy(self) -> Optional[float]:
        scopes = self._loaded().scopes
        if not self._workspace.has(scoped("accuracy", scopes[0])):
            return None
        return float(np.mean([self._of_device(number, "accuracy") for number in range(len(scopes))]))

    def _of_device(self, number: int, blob: str) -> np.ndarray:
        return self._workspace.fetch(scoped(blob, self._loaded().scopes[number]))

    def _parameters(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters and running statistics by their names, without scope."""
        network = self._loaded().devices[0]
        return {unscoped(blob): tuple(shape) for blob, shape in [*network.params, *network.computed_params]}

    def _momenta(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the momenta by their names, without scope: a parameter that does not learn has none."""
        learning = {unscoped(blob) for blob in self._loaded().param_to_grad}
        return {name + MOMENTUM_SUFFIX: shape for name, shape in self._parameters().items() if name in learning}

    def _give_to_all(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put parameters, statistics and momenta on every device: all of them, or none where one does not fit."""
        shapes = {**self._parameters(), **self._momenta()}
        for name, array in arrays.items():
            if np.shape(array) != shapes[name]:
                raise VmzError(f"blob {name} has shape {shapes[name]} in the net, not {np.shape(array)}")
        for scope, device in zip(self._loaded().scopes, self._devices):
            for name, array in arrays.items():
                self._workspace.feed(scoped(name, scope), np.asarray(array, np.float32), device)


def _device_options(devices: Sequence[str]) -> list[Any]:
    """A DeviceOption for each of "cpu", "cuda", "cuda:N"; the CPUs are numbered. UsageError for a mixture."""
    options = [parse_device(device) for device in devices]
    if len({option.device_type for option in options}) != 1:
        raise UsageError(
            f"Caffe2 trains on CPUs or on GPUs, one or more of a kind, not on {', '.join(devices) or 'none'}"
        )
    if options[0].device_type == CPU:
        return [device_option(CPU, number) for number in range(len(options))]
    if len({option.device_id for option in options}) != len(options):
        raise UsageError(f"a GPU is named twice in {', '.join(devices)}; name each once")
    return options


def _refuse_what_caffe2_lacks(training: Training, on_gpu: bool) -> None:
    """Raise UsageError, naming the flag, for what the original's training does not know."""
    lacking = {
        f"--accumulation_steps={training.accumulation}": training.accumulation != 1,
        f"--precision={training.precision}": training.precision != "fp32",
        f"--clip_gradient={training.clip_gradient:g}": training.clip_gradient > 0,
        "--freeze_bn=1": training.freeze_bn,
        "--channels_last=1": training.channels_last,
        "--precise_bn": training.precise_bn,
        "--deterministic=1 on a GPU": training.deterministic and on_gpu,
    }
    for flag, asked in lacking.items():
        if asked:
            raise UsageError(f"{flag} needs --engine=pytorch: Caffe2 trains as the original did")
