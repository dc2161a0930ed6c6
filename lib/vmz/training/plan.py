"""What a training run will do, worked out before it starts: devices, iterations, learning rates, memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from vmz.engines.schedule import Schedule
from vmz.errors import UsageError
from vmz.evaluation.network import check_fits
from vmz.models.registry import Model
from vmz.netdef.analysis import infer_shapes, param_shapes
from vmz.processes import identity
from vmz.settings.resolution import DEFAULT
from vmz.text import counted
from vmz.training.config import TrainConfig

FLOAT_BYTES = 4
_OF_AN_EPOCH = ("epoch_size", "iterations_per_epoch", "iterations", "training_pflops")
UNKNOWN_PASS = 1000  # iterations of a pass over data that is not there, for a plan that leaves them out


@dataclass(frozen=True)
class Plan:
    """devices: those that the learning rate counts, which is processes x devices of each x accumulation steps."""

    devices: int
    batch_size: int
    iterations_per_epoch: int
    epochs: int
    schedule: Schedule

    @property
    def clips_per_iteration(self) -> int:
        return self.batch_size * self.devices

    @property
    def epoch_size(self) -> int:
        return self.clips_per_iteration * self.iterations_per_epoch

    @property
    def iterations(self) -> int:
        return self.iterations_per_epoch * self.epochs

    def rates(self) -> list[tuple[int, float]]:
        """(epoch, learning rate at its first iteration) for each epoch that starts with another rate than the last."""
        found: list[tuple[int, float]] = []
        for epoch in range(self.epochs):
            rate = self.schedule.rate(epoch * self.iterations_per_epoch + 1)
            if not found or rate != found[-1][1]:
                found.append((epoch + 1, rate))
        return found


def make_plan(config: TrainConfig, devices: int, videos: int = 0) -> Plan:
    """The plan of `config` on so many devices, all processes together, for an LMDB of so many videos.

    Counts as the original does: an epoch is epoch_size clips, rounded down to whole iterations of batch_size clips on
    each device; the rate is base_learning_rate times the devices, and falls every step_epoch epochs.
    Raises UsageError for what leaves nothing to do, and for an epoch of one pass over `videos` that are not known (0).
    """
    devices *= config.accumulation_steps
    clips = config.batch_size * devices
    if not config.epoch_size and not videos:
        raise UsageError(
            "--epoch_size=0 means one pass over the training videos, but --train_data="
            f"{config.train_data} contains none; give --train_data, or a number of clips as --epoch_size"
        )
    per_epoch = (config.epoch_size or videos) // clips
    if not per_epoch:
        meaning, advice = "", "give a larger epoch or a smaller batch"
        if not config.epoch_size:
            meaning = f", one pass over the {counted(videos, 'video')} of {config.train_data},"
            advice = f"give --batch_size={videos // devices} or less" if videos >= devices else "use fewer devices"
            advice += ", or a number of clips as --epoch_size"
        raise UsageError(
            f"--epoch_size={config.epoch_size}{meaning} is smaller than one iteration of {counted(clips, 'clip')} "
            f"(--batch_size="
            f"{config.batch_size} on {counted(devices, 'device')}); {advice}"
        )
    if config.base_learning_rate < 0 or config.weight_decay < 0 or config.clip_gradient < 0:
        raise UsageError("--base_learning_rate, --weight_decay and --clip_gradient must not be negative")
    if config.warmup_epochs < 0 or config.checkpoint_minutes < 0:
        raise UsageError("--warmup_epochs and --checkpoint_minutes must not be negative")
    return Plan(devices, config.batch_size, per_epoch, config.num_epochs, _schedule(config, devices, per_epoch))


def _schedule(config: TrainConfig, devices: int, per_epoch: int) -> Schedule:
    """The learning rates that the flags mean, for epochs of so many iterations.

    Raises UsageError for milestones of another schedule, and for a decay that would never begin.
    """
    milestones = [float(epoch) for epoch in config.lr_milestones.split(",")] if config.lr_milestones else []
    if milestones and config.schedule != "step":
        raise UsageError(f"--lr_milestones does not go with --schedule={config.schedule}; leave one of them out")
    left = config.num_epochs - config.warmup_epochs
    if milestones and milestones[-1] >= left:
        raise UsageError(
            f"--lr_milestones={config.lr_milestones}: after a warm-up of {config.warmup_epochs:g} of --num_epochs="
            f"{counted(config.num_epochs, 'epoch')} there are {max(left, 0):g}; milestones count from its end"
        )
    if config.decay_after_warmup and left <= 0:
        raise UsageError(
            f"--decay_after_warmup=1: a warm-up of {config.warmup_epochs:g} epochs leaves none of --num_epochs="
            f"{config.num_epochs} to decay in"
        )
    return Schedule(
        base_rate=config.base_learning_rate * devices,
        policy=config.schedule,
        stepsize=config.step_epoch * per_epoch,
        gamma=config.gamma,
        iterations=config.num_epochs * per_epoch,
        warmup_iterations=math.ceil(config.warmup_epochs * per_epoch),
        warmup_rate=config.base_learning_rate if config.gradual_warmup else None,
        after_warmup=bool(config.decay_after_warmup),
        milestones=tuple(max(round(epoch * per_epoch), 1) for epoch in milestones),
    )


def fit_batch(config: TrainConfig, devices: int, videos: int) -> TrainConfig:
    """With --zoo and no --batch_size: the batch that one pass over `videos` fills, and a line that says so."""
    resolution = config.resolution
    if config.epoch_size or resolution is None or resolution.settings["batch_size"].source != DEFAULT:
        return config
    fits = videos // (devices * config.accumulation_steps)
    if 0 < fits < config.batch_size and config.zoo:
        if not identity.rank():
            print(
                f"note: --batch_size={fits} instead of {config.batch_size}: there are {videos} training videos on "
                f"{counted(devices * config.accumulation_steps, 'device')}",
                flush=True,
            )
        return replace(config, batch_size=fits)
    return config


def one_pass(plan: Plan, videos: int) -> str:
    """What an epoch of --epoch_size=0 comes to."""
    rest = videos - plan.epoch_size
    left = f"; the {counted(rest, 'video')} left over begin the next epoch" if rest else ""
    return (
        f"an epoch is one pass over the {counted(videos, 'video')}: "
        f"{counted(plan.iterations_per_epoch, 'iteration')} of "
        f"{counted(plan.clips_per_iteration, 'clip')}{left}"
    )


def describe(plan: Plan, model: Model, config: TrainConfig, videos: int) -> dict[str, Any]:
    """The plan as data, for --dry_run: the network, its memory on one device, iterations and rates.

    model: the training network without a reader. videos: in the training LMDB, 0 where it is not known.
    What follows from the length of an epoch is None where that is one pass over videos that are not known.
    Raises UsageError when the layers do not fit the clip.
    """
    cost = check_fits(model)
    activations, parameters = memory(model, config.batch_size)
    maps = list(model.input_shapes().values())
    found = {
        "network": f"{model.config.model_name}-{model.config.model_depth}",
        "labels": model.config.num_labels,
        "clip": list(model.clip_shape) if model.config.sees_pictures else [],
        **({"logmels": list(maps[-1][1:])} if model.config.hears else {}),
        "gmacs_per_clip": cost.gmacs,
        "params_m": cost.params_m,
        "operators": len(model.net.op),
        "parameter_blobs": len(model.params),
        "engine": config.engine,
        "devices": plan.devices,
        "accumulation_steps": config.accumulation_steps,
        "batch_size_per_device": plan.batch_size,
        "clips_per_iteration": plan.clips_per_iteration,
        "epoch_size": plan.epoch_size,
        "iterations_per_epoch": plan.iterations_per_epoch,
        "epochs": plan.epochs,
        "iterations": plan.iterations,
        "passes_over_the_data": plan.epoch_size * plan.epochs / videos if videos else None,
        "videos": videos or None,
        "learning_rates": [{"from_epoch": epoch, "rate": rate} for epoch, rate in plan.rates()],
        "memory_gib": {"parameters": parameters / 2**30, "activations": activations / 2**30},
        "training_pflops": 3 * 2 * cost.gmacs * plan.epoch_size * plan.epochs / 1e6,
    }
    unknown = not videos and not config.epoch_size
    return {**found, **dict.fromkeys(_OF_AN_EPOCH)} if unknown else found


def memory(model: Model, clips: int) -> tuple[int, int]:
    """Bytes on one device: of the blobs that a forward pass of `clips` clips leaves, and of the parameters.

    In float32. The parameters count three times: themselves, their gradients and their momenta.
    """
    label = (clips, model.config.num_labels) if model.config.multi_label else (clips,)
    fed = {**model.input_shapes(clips), model.blob("label"): label}
    known = {**param_shapes(model.param_init_net), **fed}
    shapes = infer_shapes(model.net, known)
    parameters = sum(math.prod(shape) for _, shape in model.params)
    statistics = sum(math.prod(shape) for _, shape in model.computed_params)
    held = sum(math.prod(shape) for blob, shape in shapes.items() if blob not in known or blob in fed)
    return held * FLOAT_BYTES, (3 * parameters + statistics) * FLOAT_BYTES


def text(plan: dict[str, Any]) -> str:
    """What --dry_run prints."""
    shapes = {"clips": plan["clip"], "log-mels": plan.get("logmels")}
    axes = {"clips": " (C,T,H,W)", "log-mels": " (C, rows, filters)"}
    seen = ", ".join(f"{name} {'x'.join(map(str, shape))}{axes[name]}" for name, shape in shapes.items() if shape)
    gib = plan["memory_gib"]
    rates = ", ".join(f"{entry['rate']:.6g} from epoch {entry['from_epoch']}" for entry in plan["learning_rates"][:6])
    more = len(plan["learning_rates"]) - 6
    lines = [
        f"network    {plan['network']}, {counted(plan['labels'], 'label')}, {seen}",
        f"           {plan['gmacs_per_clip']:.2f} G multiply-adds a clip, {plan['params_m']:.2f} M parameters, "
        f"{counted(plan['operators'], 'operator')}",
        f"engine     {plan['engine']}",
        f"iteration  {counted(plan['clips_per_iteration'], 'clip')}: {plan['batch_size_per_device']} on each of "
        f"{counted(plan['devices'], 'device')}"
        + (f" ({plan['accumulation_steps']} of them by accumulation)" if plan["accumulation_steps"] > 1 else ""),
        f"epoch      one pass over --train_data, which does not exist; {counted(plan['epochs'], 'epoch')}"
        if plan["epoch_size"] is None
        else f"epoch      {counted(plan['iterations_per_epoch'], 'iteration')}, {counted(plan['epoch_size'], 'clip')}; "
        f"{counted(plan['epochs'], 'epoch')} are {counted(plan['iterations'], 'iteration')}",
        f"rate       {rates}" + (f", and {more} more" if more > 0 else ""),
        f"memory     about {gib['activations']:.2f} GiB of activations and {gib['parameters']:.2f} GiB of parameters, "
        "gradients and momenta on a device, in float32",
    ]
    if plan["training_pflops"] is not None:
        lines.append(f"work       {plan['training_pflops']:.1f} PFLOP, backward passes counted twice a forward one")
    if plan["passes_over_the_data"] is not None:
        lines.append(
            f"data       {counted(plan['videos'], 'video')}, each seen {plan['passes_over_the_data']:.1f} times"
        )
    return "\n".join(lines)
