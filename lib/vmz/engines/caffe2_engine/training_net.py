"""The training net as train_net built it: our networks, one a device, under Caffe2's own data_parallel_model.

Forward nets come from a Build; Caffe2 adds the gradient operators, the sums over devices, weight decay, the step policy
and the momentum updates. Emitting needs the wheel, but no GPU.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import Any

from vmz.engines.caffe2_engine.workspace import import_caffe2
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Build, Trainable, Training
from vmz.errors import VmzError
from vmz.netdef.builder import device_option, get_arguments
from vmz.netdef.net_parts import classifier_parameters, copy_net, copy_op
from vmz.netdef.protos import CPU, CUDA, OperatorDef
from vmz.netdef.training_state import MOMENTUM_SUFFIX
from vmz.stopping import held_back

Shapes = list[tuple[str, tuple[int, ...]]]
# What CNNModelHelper gave to the ops that it made, of which some of these are its own (Iter), not the network's.
HELPER_ARGUMENTS = ("order", "use_cudnn", "cudnn_exhaustive_search", "ws_nbytes_limit")


@dataclass(frozen=True)
class ParallelNet:
    """The nets of all devices in one, and what is known of their blobs, by full name, device after device.

    `param_to_grad`: each trained parameter's gradient, none for a net that does not learn. `scopes`: the name scope of
    each device. `devices`: the network of each, as it was spliced in.
    """

    init_net: Any
    net: Any
    params: Shapes
    computed_params: Shapes
    weights: list[str]
    biases: list[str]
    param_to_grad: dict[str, str]
    scopes: list[str]
    devices: list[Trainable]


def emit(
    build: Build,
    device_ids: Sequence[int] = (0,),
    device_type: int = CUDA,
    *,
    training: Training,
    optimize_gradient_memory: bool = True,
) -> ParallelNet:
    """The nets that train_net makes on these devices.

    `build` is called once a device with loss scale 1 / devices, in scopes gpu_<id> (CUDA) or cpu_<id>.
    `optimize_gradient_memory`: gradients share blobs (the original's setting), which hides them from a later look.
    """
    data_parallel_model = _import_data_parallel_model()
    prefix = "gpu" if device_type == CUDA else "cpu"
    scopes = [f"{prefix}_{number}" for number in device_ids]
    options = [device_option(device_type, number) for number in device_ids]
    networks = [build(scope, option, 1 / len(scopes)) for scope, option in zip(scopes, options)]
    helper = _model_helper(networks[0])
    pending = iter(networks)  # Caffe2 asks for the forward net of one device after the other, in their order
    with _silence("data_parallel_model", "memonger"):
        data_parallel_model.Parallelize(
            helper,
            input_builder_fun=lambda helper: None,  # the readers stand in front of the networks already
            forward_pass_builder_fun=lambda helper, _: _splice(helper, _learning_part(next(pending), training)),
            param_update_builder_fun=lambda helper: _add_update(helper, training),
            devices=list(device_ids),
            cpu_device=device_type == CPU,
            optimize_gradient_memory=optimize_gradient_memory,
        )
    return _parallel_net(helper, scopes, networks)


def _parallel_net(helper: Any, scopes: list[str], networks: list[Trainable]) -> ParallelNet:
    """What Caffe2's model holds now."""
    return ParallelNet(
        init_net=copy_net(helper.param_init_net.Proto()),
        net=copy_net(helper.net.Proto()),
        params=[entry for network in networks for entry in network.params],
        computed_params=[entry for network in networks for entry in network.computed_params],
        weights=[str(blob) for blob in helper.weights],
        biases=[str(blob) for blob in helper.biases],
        param_to_grad={str(blob): str(grad) for blob, grad in helper.param_to_grad.items()},
        scopes=scopes,
        devices=networks,
    )


@cache
@held_back()
def _import_data_parallel_model() -> Any:
    import_caffe2()
    with redirect_stdout(io.StringIO()):  # it prints of a library for several machines, which the wheel does not have
        from caffe2.python import data_parallel_model
    return data_parallel_model


def _model_helper(network: Trainable) -> Any:
    """An empty model of Caffe2 for nets of the network's name and helper arguments."""
    from caffe2.python import model_helper

    classifier = next(op for op in network.net.op if op.type == "FC")
    arguments = get_arguments(classifier)
    helper = model_helper.ModelHelper(
        arg_scope={name: arguments[name] for name in HELPER_ARGUMENTS if name in arguments}
    )
    # Set here: Caffe2 numbers the names of its nets, and the second net of a process would get another.
    helper.name = helper.net.Proto().name = network.net.name
    helper.param_init_net.Proto().name = network.param_init_net.name
    return helper


@dataclass(frozen=True)
class _LearningPart:
    """A device's network, the net that is differentiated in place of its own, and which parameters learn."""

    network: Trainable
    net: Any
    learning: set[str]


def _learning_part(network: Trainable, training: Training) -> _LearningPart:
    if training.freeze == "trunk":
        return _classifier_alone(network)
    return _LearningPart(network, network.net, {blob for blob, _ in network.params})


def _classifier_alone(network: Trainable) -> _LearningPart:
    """The net with its gradients ending where the classifier begins, and the parameters of the classifier.

    Raises VmzError for a net without one.

    In front of it batch norm is that of testing: what learns is a classifier of the features that testing sees.
    """
    ops = list(network.net.op)
    scores = network.loss or network.prediction
    learning = classifier_parameters(network.net, scores, [blob for blob, _ in network.params])
    if not learning:
        raise VmzError(f"the network has no classifier before {scores} that could learn alone; freeze nothing")
    first = next(number for number, op in enumerate(ops) if learning.intersection(op.input))
    features = ops[first].input[0]
    stop = OperatorDef(type="StopGradient", input=[features], output=[features])
    stop.device_option.CopyFrom(ops[first].device_option)
    copy = copy_net(network.net, [*map(_with_running_statistics, ops[:first]), stop, *ops[first:]])
    return _LearningPart(network, copy, learning)


def _splice(helper: Any, part: _LearningPart) -> list[Any]:
    """Append a device's network to the model. Returns its loss for Caffe2."""
    from caffe2.python import core

    network = part.network
    helper.param_init_net.AppendNet(core.Net(_without_made(helper, network.param_init_net)))
    helper.net.AppendNet(core.Net(part.net))
    _add_parameters(helper, network, part.learning)
    return [] if network.loss is None else [core.BlobReference(network.loss)]


def _without_made(helper: Any, init_net: Any) -> Any:
    """A copy without what makes blobs that the model has already: one database reader serves all devices."""
    made = {blob for op in helper.param_init_net.Proto().op for blob in op.output}
    return copy_net(init_net, (op for op in init_net.op if not made.issuperset(op.output)))


def _add_parameters(helper: Any, network: Trainable, learning: set[str]) -> None:
    from caffe2.python import core
    from caffe2.python.modeling.parameter_info import ParameterTags

    for blob in (blob for blob, _ in network.params if blob in learning):
        tag = ParameterTags.WEIGHT if blob in network.weights else ParameterTags.BIAS
        helper.AddParameter(core.BlobReference(blob), tag)
    for blob, _ in network.computed_params:
        helper.AddParameter(core.BlobReference(blob), ParameterTags.COMPUTED_PARAM)


def _with_running_statistics(op: Any) -> Any:
    """A SpatialBN as it is in testing: it uses its running statistics and leaves them. Any other op as it is."""
    if op.type != "SpatialBN":
        return op
    copy = copy_op(op)
    del copy.output[1:]
    for argument in copy.arg:
        if argument.name == "is_test":
            argument.i = 1
    return copy


def _add_update(helper: Any, training: Training) -> None:
    """What follows the gradients on the device whose scope is open."""
    from caffe2.python import brew

    brew.add_weight_decay(helper, training.weight_decay)
    rate = _learning_rate(helper, training.schedule, brew.iter(helper, "ITER"))
    for param in helper.GetParams():
        gradient = helper.param_to_grad[param]
        momentum = helper.param_init_net.ConstantFill([param], param + MOMENTUM_SUFFIX, value=0.0)
        helper.net.MomentumSGDUpdate(
            [gradient, momentum, rate, param],
            [gradient, momentum, param],
            momentum=float(training.momentum),
            nesterov=int(training.nesterov),
        )


def _learning_rate(helper: Any, schedule: Schedule, iteration: Any) -> Any:
    """The blob of the rate: computed where an operator follows the schedule, else set by the trainer."""
    if not schedule.is_original:
        return helper.param_init_net.ConstantFill([], "LR", shape=[1], value=schedule.rate(1))
    return helper.net.LearningRate(
        [iteration],
        "LR",
        base_lr=float(schedule.base_rate),
        policy="step",
        stepsize=schedule.stepsize,
        gamma=float(schedule.gamma),
    )


@contextmanager
def _silence(*names: str) -> Iterator[None]:
    """Caffe2's Python layer warns of a deprecated name, and of GPUs that are not here: neither is news."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before):
            logger.disabled = disabled
