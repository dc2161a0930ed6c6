"""Checkpoint files, whatever their format: a pickle (.pkl) or Caffe2's predictor export in a minidb (.mdl)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from vmz.checkpoints.foreign import content_type, refuse_foreign
from vmz.checkpoints.matching import Report, check, match
from vmz.checkpoints.mdl import read_mdl, save_mdl
from vmz.checkpoints.pickles import read_pickle, save_pickle
from vmz.checkpoints.values import check_values
from vmz.errors import UsageError
from vmz.models.registry import Model
from vmz.netdef.training_state import is_training_state

DB_TYPES = ("pickle", "minidb")
_ENDINGS = {".pkl": "pickle", ".pickle": "pickle", ".mdl": "minidb", ".minidb": "minidb"}


def file_type(path: Union[str, Path], db_type: Optional[str] = None) -> str:
    """ "pickle" or "minidb": `db_type`, or inferred from the file's extension, or else from what is in it.

    UsageError when none of them tells.
    """
    kind = db_type or _ENDINGS.get(Path(path).suffix.lower()) or content_type(path)
    if kind not in DB_TYPES:
        refuse_foreign(path)
        raise UsageError(
            f"unknown format of the checkpoint {path}: its extension is neither .pkl nor .mdl; give the format with "
            f"--db_type={' or '.join(DB_TYPES)}"
        )
    return kind


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights as it was read.

    blobs: {name without scope: array as stored}. about: what it says about itself (labels, protocol, metrics), {} where
    it says nothing.
    """

    path: str
    blobs: dict[str, np.ndarray]
    about: dict[str, Any]

    def fit(
        self,
        model: Model,
        *,
        center_init: bool = False,
        bgr2rgb: bool = False,
        new_head: bool = False,
        allow_partial: bool = False,
    ) -> tuple[dict[str, np.ndarray], Report]:
        """The blobs fitted to a network, {its full name: float32 array}, and the account of them (see `match`).

        Raises VmzError for a file that would leave random weights where trained ones are meant (see `check`).
        """
        fitted, report = match(self.blobs, [*model.params, *model.computed_params], center_init, bgr2rgb)
        check(report, self.path, new_head, allow_partial, model.classifier)
        return fitted, report


def load(path: Union[str, Path], db_type: Optional[str] = None) -> Checkpoint:
    """Read a checkpoint.

    Raises UsageError for a file of another program or of the other format, what load_pickle and load_mdl raise, and
    VmzError for values that no network works with (see `values`).
    """
    blobs, about = (read_pickle if _readable_type(path, db_type) == "pickle" else read_mdl)(path)
    check_values(path, blobs)
    return Checkpoint(str(path), blobs, about)


def _readable_type(path: Union[str, Path], db_type: Optional[str]) -> str:
    """The format to read a file in. UsageError where its content is plainly of another."""
    refuse_foreign(path)
    kind, found = file_type(path, db_type), content_type(path)
    if found is not None and found != kind:
        says = f"--db_type={db_type}" if db_type else f"its extension, {Path(path).suffix},"
        raise UsageError(
            f"{path} is not a checkpoint of type {kind}, as {says} says, but a {found}; give --db_type={found}"
        )
    return kind


def save(
    path: Union[str, Path],
    blobs: Mapping[str, np.ndarray],
    db_type: Optional[str] = None,
    about: Optional[Mapping[str, Any]] = None,
) -> None:
    """Write a checkpoint, whole or not at all. A pickle makes all blobs float32; a .mdl made here has no net in it."""
    if file_type(path, db_type) == "pickle":
        save_pickle(path, blobs, about)
    else:
        save_mdl(path, blobs, about=about)


def convert(source: Union[str, Path], target: Union[str, Path], db_type: str = "minidb") -> tuple[int, int]:
    """Write a checkpoint of format `db_type` in the other one; returns how many blobs were written, and left out.

    A pickle is for the weights: momenta, the iteration and the like are left out. Raises UsageError when `target` is
    named as a file of the format that `source` has, or is `source`, and as `load` and `save` do.
    """
    other = DB_TYPES[1 - DB_TYPES.index(db_type)]
    if _ENDINGS.get(Path(target).suffix.lower(), other) != other:
        raise UsageError(f"{source} is a {db_type}, so {target} would be a {other}; name it {_ending(other)}")
    if Path(target).exists() and Path(target).samefile(source):
        raise UsageError(f"{target} is the file to convert; choose another name for the {other}")
    found = load(source, db_type)
    kept = {name: array for name, array in found.blobs.items() if other == "minidb" or not is_training_state(name)}
    save(target, kept, other, found.about or None)
    return len(kept), len(found.blobs) - len(kept)


def _ending(kind: str) -> str:
    return f"*{next(ending for ending, of in _ENDINGS.items() if of == kind)}"
