"""The checkpoints of a training run: their names, what they hold, and which of them a run goes on from.

<folder>/<name>_<epoch>.mdl holds all that the next iteration depends on: parameters, running statistics, momenta, the
iteration, the place in the data, random states and the run's history; <name>_latest.mdl the same, between two epochs.
<name>_<epoch>.pkl and <name>_best.pkl hold the weights alone, with labels, protocol and figures, for everybody else.
Each file appears whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from vmz.checkpoints.loading import load
from vmz.checkpoints.mdl import save_mdl
from vmz.checkpoints.pickles import save_pickle
from vmz.errors import UsageError, VmzError
from vmz.models.registry import Model
from vmz.netdef.training_state import ITERATION, MOMENTUM_SUFFIX, POSITION
from vmz.text import quoted

LATEST, BEST = "latest", "best"


@dataclass(frozen=True)
class Saved:
    """A checkpoint as read: the trainer's state, and the history of the run that wrote it ({} in the original's)."""

    path: Path
    state: dict[str, np.ndarray]
    run: dict[str, Any]

    @property
    def iteration(self) -> int:
        return int(self.state[ITERATION].reshape(-1)[0])


class Checkpoints:
    """The files of the run called `name` in `folder`."""

    def __init__(self, folder: str, name: str) -> None:
        if not name or "/" in name:
            raise UsageError(
                f"--save_model_name={name!r} must be a file name without extension, such as r2plus1d_kinetics"
            )
        self.folder, self.name = Path(folder), name

    def path(self, part: object, ending: str = "mdl") -> Path:
        return self.folder / f"{self.name}_{part}.{ending}"

    def epochs(self) -> list[int]:
        """The epochs that have a checkpoint, in order."""
        pattern = re.compile(re.escape(self.name) + r"_(\d+)\.mdl")
        files = self.folder.iterdir() if self.folder.is_dir() else []
        return sorted(int(found[1]) for found in (pattern.fullmatch(file.name) for file in files) if found)

    def prepare(self) -> None:
        """Make the folder. UsageError when it is, or lies in, a file, or may not be made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--file_store_path={self.folder} cannot be used: {error.strerror}") from error

    def refuse_to_overwrite(self) -> None:
        """A new run must not write over the checkpoints of another."""
        found = [self.path(epoch) for epoch in self.epochs()]
        found += [path for path in (self.path(LATEST), self.path(BEST, "pkl")) if path.exists()]
        if found:
            raise UsageError(
                f"{found[0]} exists already; --resume=1 resumes from the newest checkpoint, another "
                "--save_model_name or --file_store_path starts a new training"
            )

    def newest(self, iterations_per_epoch: int) -> Optional[Saved]:
        """The checkpoint with most iterations, None where there is none. VmzError for one that is damaged."""
        paths = [self.path(epoch) for epoch in self.epochs()[-1:]]
        paths += [path for path in [self.path(LATEST)] if path.exists()]
        saved = [read(path, iterations_per_epoch) for path in paths]
        return max(saved, key=lambda one: one.iteration, default=None)

    def save(self, part: object, model: Model, state: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Path:
        """Write a .mdl: a Caffe2 predictor export of the network for testing, `model`, and all of `state`.

        about: under "run" what the run goes on from, beside what is known of the weights.
        """
        path = self.path(part)
        save_mdl(
            path,
            state,
            net=model.net,
            scope=model.scope,
            inputs=(*model.input_shapes(), model.blob("label")),
            outputs=(model.prediction,),
            about=about,
        )
        if part != LATEST:
            self.path(LATEST).unlink(missing_ok=True)  # it is older now
        return path

    def export(self, part: object, weights: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Path:
        """Write a .pkl: weights by blob name, and about them what is known."""
        path = self.path(part, "pkl")
        save_pickle(path, weights, about=about)
        return path


def read(path: Path, iterations_per_epoch: int) -> Saved:
    """A checkpoint to go on from. One of the original's lacks the iteration: its epoch, in the file's name, tells it.

    Raises UsageError when the file is not there, VmzError when it is damaged or is no checkpoint of a training.
    """
    found = load(path, "minidb")
    state, run = found.blobs, found.about.get("run", {})
    if not any(name.endswith(MOMENTUM_SUFFIX) for name in state):
        raise VmzError(
            f"{path} contains weights without momenta, so that training cannot resume from it; --is_checkpoint=0 "
            "starts a new training from its weights"
        )
    if ITERATION not in state:
        epoch = re.search(r"_(\d+)\.[^.]*$", path.name)
        if not epoch:
            raise VmzError(
                f"{path} does not contain its iteration, and its name does not end in _<epoch>.mdl, from "
                "which it could be inferred"
            )
        state[ITERATION] = np.array([int(epoch[1]) * iterations_per_epoch], np.int64)
    for name in (ITERATION, POSITION):
        if name in state:
            _check_counts(path, name, state[name])
    return Saved(path, state, run)


def _check_counts(path: Path, name: str, counts: np.ndarray) -> None:
    """VmzError for a blob that does not count anything: of no integers, negative ones, or more than one iteration."""
    many = counts.size > 1 and name == ITERATION
    if counts.dtype.kind not in "iu" or not counts.size or many or counts.min() < 0 or counts.max() >= 1 << 62:
        raise VmzError(
            f"{path} is damaged: its {name} is {quoted(counts.reshape(-1)[:4].tolist())}, which is not a count"
        )


def placed(saved: Saved, devices: int, batch_size: int, accumulation: int) -> dict[str, np.ndarray]:
    """The state with a POSITION that fits this run's accumulation steps.

    A run may go on with other numbers of processes and accumulation steps as long as their product is the same; where
    the positions do not fit, or are not known, they follow from the iteration, which is exact unless unreadable videos
    were left out.
    """
    state = dict(saved.state)
    if POSITION not in state or saved.run.get("accumulation_steps", accumulation) != accumulation:
        state[POSITION] = np.full(devices, saved.iteration * batch_size * accumulation, np.int64)
    return state
