"""What a training may not change when it goes on from a checkpoint: the data, the network, its input, how it learns."""

from __future__ import annotations

from typing import Any

from vmz.evaluation.recorded_settings import refuse_other
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings
from vmz.settings.setting import settings_of
from vmz.training.checkpoints import Saved
from vmz.training.config import TrainConfig
from vmz.training.plan import Plan

# Of the machine, of the evaluation, or of what becomes of videos that cannot be read.
_FREE = {"use_cudnn", "test_data", "num_decode_threads", "on_bad_video", "video_timeout", "use_local_file"}
_LEARNING = (
    "base_learning_rate", "step_epoch", "gamma", "weight_decay", "schedule", "warmup_epochs", "gradual_warmup",
    "decay_after_warmup", "lr_milestones", "clip_gradient", "use_full_ft", "freeze_bn", "seed", "shuffle",
    "random_mirror", "jitter_scales",
)  # fmt: skip
_KEPT = [name for name in (*settings_of(NetworkSettings, ReaderSettings), *_LEARNING) if name not in _FREE]


def account(config: TrainConfig, plan: Plan, data: str) -> dict[str, Any]:
    """What a checkpoint keeps of its run for the one that goes on from it. data: the fingerprint of the database."""
    return {
        "iterations_per_epoch": plan.iterations_per_epoch,
        "clips_per_iteration": plan.clips_per_iteration,
        "accumulation_steps": config.accumulation_steps,
        "data": data,
        "options": config.flags(),
    }


def refuse_changed(saved: Saved, config: TrainConfig, plan: Plan, data: str) -> None:
    """Raise UsageError where `saved` was written by a run of other data or settings than `account` has of this one.

    A checkpoint of the original's says nothing of its run, one of before not all: what is not there is not compared.
    """
    before, now = _compared(saved.run), _compared(account(config, plan, data))
    now = {name: value for name, value in now.items() if name in before}
    refuse_other(
        f"{saved.path} was written by a run",
        {name: value for name, value in before.items() if name in now},
        now,
        "give the same data and settings, or start a new training from its weights with --is_checkpoint=0 and another "
        "--save_model_name",
    )


def _compared(run: dict[str, Any]) -> dict[str, Any]:
    options = run.get("options") or {}
    found = {name: options[name] for name in _KEPT if name in options}
    if options.get("schedule") == "cosine":
        found["num_epochs"] = options.get("num_epochs")  # the rate of every iteration depends on it
    if "data" in run:
        found["train_data"] = run["data"]
    found.update({name: run[name] for name in ("iterations_per_epoch", "clips_per_iteration") if name in run})
    return found
