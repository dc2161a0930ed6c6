"""The learning rate of every iteration, as Caffe2's LearningRate operator computes it, and two schedules beyond it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vmz.errors import UsageError

POLICIES = ("step", "cosine")


@dataclass(frozen=True)
class Schedule:
    """Rates by iteration, counted from 1: the count is raised before the rate is computed, as in the original.

    base_rate: of the whole run, all devices together. policy "step": times `gamma` every `stepsize` iterations, the
    iteration numbered `stepsize` being the first with the lower rate. "cosine": down to 0 over `iterations`.
    warmup_iterations: a linear rise before, during which the policy's own clock goes on.
    """

    base_rate: float
    policy: str = "step"
    stepsize: int = 1
    gamma: float = 0.1
    iterations: int = 0
    warmup_iterations: int = 0

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise UsageError(f"unknown schedule {self.policy!r}; the schedules are {', '.join(POLICIES)}")
        if self.policy == "step" and self.stepsize < 1:
            raise UsageError(
                "a step of the learning rate would take no iteration: step_epoch * epoch_size is smaller than "
                "batch_size times the devices"
            )

    @property
    def is_original(self) -> bool:
        """Whether Caffe2's operator can follow it: steps and nothing else."""
        return self.policy == "step" and not self.warmup_iterations

    def rate(self, iteration: int) -> float:
        """The rate of an iteration (1, 2, ...), a float32 value."""
        base = np.float32(self.base_rate)
        if self.policy == "step":  # Caffe2 raises in double and rounds the factor to float32
            factor = np.float32(float(np.float32(self.gamma)) ** (iteration // self.stepsize))
        else:
            share = min(iteration - 1, self.iterations) / max(self.iterations, 1)
            factor = np.float32(0.5 * (1 + math.cos(math.pi * share)))
        rate = np.float32(base * factor)
        if iteration <= self.warmup_iterations:
            rate = np.float32(rate * np.float32(iteration / self.warmup_iterations))
        return float(rate)
