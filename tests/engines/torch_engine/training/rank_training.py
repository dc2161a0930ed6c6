"""What each process of test_ranks.py does: torchrun starts it. Writes what it found to OUTPUT/<world>_<rank>.pkl.

python -m torch.distributed.run --nproc_per_node=N .../rank_training.py DATABASE BAD OUTPUT
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.engines.small_training import small_batch, small_build, small_training, video_source
from vmz.engines.registry import open_trainer
from vmz.engines.trainer import Training
from vmz.errors import VmzError

GLOBAL_BATCH, ITERATIONS = 8, 10


def run(source: Any, training: Training, iterations: int, state: Any = None, **kind: Any) -> dict[str, Any]:
    """Losses and the state of a run over a database; `middle` is the state after half of it."""
    with open_trainer("pytorch") as trainer:
        trainer.load(small_build(source=source, **kind), training, seed=3)
        if state is not None:
            trainer.set_state(state)
        losses, middle = [], None
        for iteration in range(iterations):
            middle = trainer.state() if iteration == iterations // 2 else middle
            losses.append(trainer.step().loss)
        return {"losses": losses, "middle": middle, "state": trainer.state()}


def error_of(source: Any) -> str:
    """The sentence with which a run ends, and whether that left the parameters as they were."""
    with open_trainer("pytorch") as trainer:
        trainer.load(small_build(source=source), small_training(), seed=3)
        before = trainer.weights()
        try:
            for _ in range(4):
                before = trainer.weights()
                trainer.step()
        except VmzError as error:
            same = all(np.array_equal(array, before[blob]) for blob, array in trainer.weights().items())
            return f"{error} (parameters {'kept' if same else 'changed'})"
    return "no error"


def error_of_a_loss(rank: int) -> str:
    """The same where one rank's clips are not finite."""
    with open_trainer("pytorch") as trainer:
        trainer.load(small_build(), small_training(), seed=3)
        for blob, array in small_batch(1).items():
            trainer.feed(blob, array * np.float32(np.nan) if blob == "data" and rank else array)
        try:
            trainer.step()
        except VmzError as error:
            return str(error)
    return "no error"


def main(database: str, bad: str, output: str) -> None:
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    source = video_source(Path(database), GLOBAL_BATCH // world, shuffle=1)
    found: dict[str, Any] = {"frozen": run(source, small_training(freeze_bn=True), ITERATIONS, use_dropout=True)}
    if world == 1:
        half = video_source(Path(database), GLOBAL_BATCH // 2)
        found["own statistics"] = run(half, small_training(accumulation=2), 4)
    if world == 2:
        found["own statistics"] = run(video_source(Path(database), GLOBAL_BATCH // 2), small_training(), 4)
    if world > 1:
        clipped = small_training(clip_gradient=0.5, accumulation=2)
        found["whole"] = run(source, clipped, 4, use_dropout=True)
        found["gone on"] = run(source, clipped, 2, found["whole"]["middle"], use_dropout=True)
        found["precise"] = precise(source)
        found["bad"] = error_of(video_source(Path(bad), 2))
        found["loss"] = error_of_a_loss(rank)
    with open(os.path.join(output, f"{world}_{rank}.pkl"), "wb") as stream:
        pickle.dump(found, stream)


def precise(source: Any) -> dict[str, np.ndarray]:
    """Precise batch norm of two batches, as this rank has it."""
    with open_trainer("pytorch") as trainer:
        trainer.load(small_build(source=source), small_training(), seed=3)
        trainer.recompute_statistics(2)
        return trainer.weights()


if __name__ == "__main__":
    main(*sys.argv[1:])
