"""Settings of a fine-tuning, from the size of the data and the speed of the machine, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vmz.text import counted

DIRECTIONS = re.compile(r"(^|[^a-z])(left|right|clockwise|anticlockwise|counterclockwise)([^a-z]|$)", re.IGNORECASE)
WHOLE_COSTS = 3.0  # times the forward pass: what training all layers takes
MOST_EPOCHS, LEAST_EPOCHS = 30, 5
FEW_VIDEOS = 50  # of a class: below that the trunk stays as it is


@dataclass(frozen=True)
class Setting:
    """A flag of train_net with its value, and why."""

    flag: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Situation:
    """What is known before: videos of each class for training, videos of the test, seconds of a clip's forward pass.

    classes: their names. million_parameters: of the network. cores: for decoding. minutes: how long it may take.
    """

    counts: Sequence[int]
    test_videos: int
    classes: Sequence[str]
    seconds_of_a_clip: float
    million_parameters: float
    on_gpu: bool
    engine: str
    cores: int
    minutes: float

    @property
    def videos(self) -> int:
        return sum(self.counts)


def recommend(now: Situation) -> list[Setting]:
    """The settings, in the order in which a person reads them."""
    whole_s = now.videos * now.seconds_of_a_clip * WHOLE_COSTS * LEAST_EPOCHS
    frozen, why = _frozen(now, whole_s)
    epoch_s = now.videos * now.seconds_of_a_clip * (1.0 if frozen else WHOLE_COSTS)
    epochs = int(min(MOST_EPOCHS, max(LEAST_EPOCHS, now.minutes * 60 / max(epoch_s, 1e-6))))
    batch = max(2, min(8, now.videos // 4))
    found = [
        Setting("use_full_ft", int(not frozen), why),
        Setting("num_epochs", epochs, f"about {_shown(epochs * epoch_s)} of training, of {now.minutes:g} minutes"),
        Setting("batch_size", batch, f"{counted(now.videos, 'video')} for training"),
        Setting("epoch_size", 0, "every video once per epoch"),
        Setting("base_learning_rate", 0.02 if frozen else 0.002, "a new classifier" if frozen else "trained weights"),
        Setting("schedule", "cosine", "the rate falls to 0 at the end, whatever the number of epochs"),
        Setting("weight_decay", 0.0001 if frozen else 0.005, "few parameters learn" if frozen else "as published"),
        Setting("shuffle", 1, "another order in every epoch"),
        Setting("test_every", max(1, epochs // 5), "five tests in all"),
        Setting("test_clip_per_video", 3 if not now.on_gpu else 10, "the best epoch is chosen by it"),
        Setting("num_decode_threads", max(1, min(8, now.cores)), f"{counted(now.cores, 'core')}"),
    ]
    if any(DIRECTIONS.search(name) for name in now.classes):
        turned = next(name for name in now.classes if DIRECTIONS.search(name))
        found.append(Setting("random_mirror", 0, f"mirrored clips of the class {turned} would be of another class"))
    if now.engine == "pytorch":
        if frozen:
            found.append(Setting("freeze_bn", 1, "the trunk stays as it is"))
        if now.on_gpu:
            found.append(Setting("channels_last", 1, "faster on most GPUs"))
    return found


def _frozen(now: Situation, whole_s: float) -> tuple[bool, str]:
    least = min(now.counts)
    if least < FEW_VIDEOS:
        return (
            True,
            f"{counted(least, 'video')} of a class {'is' if least == 1 else 'are'} too few to train "
            f"{now.million_parameters:.1f} million parameters",
        )
    if whole_s > now.minutes * 60:
        return True, f"training all layers would take {_shown(whole_s)} on this machine"
    return False, f"{counted(least, 'video')} of each class or more, and time for all layers"


def _shown(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
