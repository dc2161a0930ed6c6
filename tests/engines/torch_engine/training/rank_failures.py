"""A tool of two processes for test_rank_failures.py: it trains the small network on fed clips, resumes, or fails.

rank_failures.py HOW [RANK]; with "stop" rank RANK alone wants to stop, in iteration 3
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence

import numpy as np

from tests.engines.small_training import small_batch, small_build, small_training
from vmz.cli.shared.running import run_tool
from vmz.engines.registry import open_trainer
from vmz.engines.trainer import Trainer
from vmz.errors import VmzError
from vmz.processes import group, identity


def step(trainer: Trainer, iteration: int) -> float:
    feed(trainer, iteration)
    return trainer.step().loss


def feed(trainer: Trainer, iteration: int) -> None:
    for blob, array in small_batch(2 * iteration + identity.rank()).items():
        trainer.feed(blob, array)


def stop(asking: bool) -> None:
    """Where the ranks stop, and what each one has of the state that the first one writes."""
    with open_trainer("pytorch") as trainer:
        trainer.load(small_build(), small_training(), seed=1)
        for iteration in range(1, 9):
            feed(trainer, iteration)
            found = trainer.step(stop=lambda now=iteration: asking and now == 3)  # type: ignore[misc]
            if found.stop:
                break
        state = trainer.state(here=not identity.rank())
    told = group.gather((identity.rank(), found.iteration, found.stop, found.save, len(state) > 0))
    if told is not None:
        print(*told, sep="\n")


def resume() -> None:
    """Whether a run that was stopped ends as one that was not."""
    warnings.simplefilter("error")
    with open_trainer("pytorch") as trainer:
        training = small_training()
        trainer.load(small_build(), training, seed=1)
        step(trainer, 1)
        middle = trainer.state()
        losses = [step(trainer, iteration) for iteration in (2, 3)]
        end = trainer.state()
        trainer.load(small_build(), training, seed=2)
        trainer.set_state(middle)
        assert [step(trainer, iteration) for iteration in (2, 3)] == losses
        assert all(np.array_equal(array, end[blob]) for blob, array in trainer.state().items())
    if not identity.rank():
        print("the same")


def fail(how: str, failing: bool) -> None:
    with open_trainer("pytorch") as trainer:
        trainer.load(small_build(), small_training(), seed=1)
        step(trainer, 1)
        if how == "in a step" and failing:  # the ranks meet in the sum that tells of it
            trainer._batches.take = broken  # type: ignore[attr-defined]
        elif how == "between steps" and failing:  # the other waits for a gradient that never comes
            raise VmzError("the disk is full")
        elif how == "killed" and failing:
            import os

            os.kill(os.getpid(), 9)
        elif how == "at work" and not failing:
            time.sleep(2)
        elif how == "at work":
            raise RuntimeError("the disk is full")
        for iteration in range(2, 1000):
            step(trainer, iteration)


def broken(batch: int, count: int) -> None:
    raise VmzError("the disk is full")


def main(argv: Sequence[str]) -> int:
    with group.joined():
        if argv[0] == "resume":
            resume()
        elif argv[0] == "stop":
            stop(identity.rank() == int(argv[1]))
        else:
            fail(argv[0], identity.rank() == int(argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main, several=True))
