"""The learning rate of every iteration: as Caffe2's LearningRate operator computes it, and the papers' schedules."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Optional

import numpy as np

from vmz.errors import UsageError

POLICIES = ("step", "cosine")


@dataclass(frozen=True)
class Schedule:
    """Rates by iteration, counted from 1: the count is raised before the rate is computed, as in the original.

    base_rate: of the whole run, all devices together. policy "step": times `gamma` every `stepsize` iterations, the
    iteration numbered `stepsize` being the first with the lower rate; or at each of `milestones`, by the same rule.
    "cosine": down to 0 over `iterations`. warmup_iterations: a linear rise before, from `warmup_rate`, which the first
    iteration has, or up from 0 (None). after_warmup: the policy's clock starts when the rise has ended; else it goes on
    during the rise. `milestones` count from there too. Raises UsageError for what is no schedule.
    """

    base_rate: float
    policy: str = "step"
    stepsize: int = 1
    gamma: float = 0.1
    iterations: int = 0
    warmup_iterations: int = 0
    warmup_rate: Optional[float] = None
    after_warmup: bool = False
    milestones: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise UsageError(f"unknown schedule {self.policy!r}; the schedules are {', '.join(POLICIES)}")
        if self.policy == "step" and self.stepsize < 1 and not self.milestones:
            raise UsageError(
                "a step of the learning rate would take no iteration: step_epoch * epoch_size is smaller than "
                "batch_size times the devices"
            )
        if self.milestones and self.policy != "step":
            raise UsageError(f"milestones of the learning rate are for the schedule step, not for {self.policy}")
        if any(later <= earlier for earlier, later in zip((0, *self.milestones), self.milestones)):
            raise UsageError(f"milestones {self.milestones} of the learning rate must rise, the first above 0")

    @property
    def is_original(self) -> bool:
        """Whether Caffe2's operator can follow it: steps and nothing else."""
        return self.policy == "step" and not self.warmup_iterations and not self.milestones

    def rate(self, iteration: int) -> float:
        """The rate of an iteration (1, 2, ...), a float32 value."""
        base = np.float32(self.base_rate)
        warming = iteration <= self.warmup_iterations
        waits = self.after_warmup or bool(self.milestones)
        clock = iteration - self.warmup_iterations if waits else iteration
        rate = base if warming and waits else np.float32(base * self._factor(clock, waits))
        if not warming:
            return float(rate)
        if self.warmup_rate is None:
            return float(np.float32(rate * np.float32(iteration / self.warmup_iterations)))
        start = np.float32(self.warmup_rate)
        return float(np.float32(start + (rate - start) * np.float32((iteration - 1) / self.warmup_iterations)))

    def _factor(self, clock: int, waits: bool) -> np.float32:
        """What the policy makes of the base rate at the iteration `clock` (1, 2, ...) of its own count."""
        if self.policy == "cosine":
            length = self.iterations - (self.warmup_iterations if waits else 0)
            share = min(clock - 1, length) / max(length, 1)
            return np.float32(0.5 * (1 + math.cos(math.pi * share)))
        falls = bisect_right(self.milestones, clock) if self.milestones else clock // self.stepsize
        return np.float32(float(np.float32(self.gamma)) ** falls)  # Caffe2 raises in double and rounds to float32
