"""Checkpoint files, whatever their format: a pickle (.pkl), Caffe2's predictor export in a minidb (.mdl), a state dict
of PyTorch (.pth) or safetensors. Arrays have the names of the file; `vmz.layouts` gives those of other libraries ours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from vmz.checkpoints.folders import read_folder
from vmz.checkpoints.foreign import content_type, refuse_foreign
from vmz.checkpoints.matching import Report, check, match
from vmz.checkpoints.mdl import read_mdl, save_mdl
from vmz.checkpoints.pickles import read_pickle, save_pickle
from vmz.checkpoints.safetensors_files import read_safetensors, save_safetensors
from vmz.checkpoints.torch_files import read_state_dict, save_torch
from vmz.checkpoints.values import check_values
from vmz.errors import UsageError, VmzError
from vmz.models.registry import Model
from vmz.netdef.training_state import is_training_state
from vmz.text import cut, printable

CAFFE2_TYPES = PICKLE, MINIDB = ("pickle", "minidb")
DB_TYPES = (*CAFFE2_TYPES, "pytorch", "safetensors")
_ENDINGS = {
    ".pkl": PICKLE, ".pickle": PICKLE, ".mdl": MINIDB, ".minidb": MINIDB, ".pth": "pytorch", ".pt": "pytorch",
    ".safetensors": "safetensors",
}  # fmt: skip
FOLDER_TYPE = "safetensors"  # the weights in the folder of a model
_READERS = {PICKLE: read_pickle, MINIDB: read_mdl, "safetensors": read_safetensors}


def file_type(path: Union[str, Path], db_type: Optional[str] = None) -> str:
    """One of DB_TYPES: `db_type`, or inferred from the file's extension, or else from what is in it.

    Of a folder that of the file of weights in it. UsageError when none of them tells.
    """
    if os.path.isdir(path):
        return FOLDER_TYPE
    kind = db_type or ending_type(path) or content_type(path)
    if kind not in DB_TYPES:
        refuse_foreign(path, state_dicts=True)
        raise UsageError(
            f"unknown format of the checkpoint {path}: its extension is not .pkl, .mdl, .pth, .pt or .safetensors; "
            f"give the format with --db_type={' or '.join(DB_TYPES)}"
        )
    return kind


def ending_type(path: Union[str, Path]) -> Optional[str]:
    """One of DB_TYPES as a file's extension says, None for another extension."""
    return _ENDINGS.get(Path(path).suffix.lower())


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights, or the folder of a model, as it was read.

    blobs: {name without scope: array as stored}. about: what it says about itself (labels, protocol, metrics), {} where
    it says nothing. others: what is in a file of PyTorch beside the state dict, such as an optimizer; it is not read.
    """

    path: str
    blobs: dict[str, np.ndarray]
    about: dict[str, Any]
    others: tuple[str, ...] = ()

    @property
    def features_only(self) -> bool:
        """Whether it was saved as a model without a classifier."""
        return bool(self.about.get("saved", {}).get("features_only"))

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
        if self.features_only and not (new_head or allow_partial):
            raise VmzError(
                f"{self.path} was saved without a classifier (num_classes=0), so that it gives features and no scores; "
                "train a new classifier on it, or give a file that has one"
            )
        fitted, report = match(self.blobs, [*model.params, *model.computed_params], center_init, bgr2rgb)
        check(report, self.path, new_head, allow_partial, model.classifier)
        return fitted, report


def load(path: Union[str, Path], db_type: Optional[str] = None) -> Checkpoint:
    """Read a checkpoint: a file, or the folder of a model (see `folders`).

    Raises UsageError for a file of another program or of the other format, what load_pickle and load_mdl raise, and
    VmzError for values that no network works with (see `values`).
    """
    others: tuple[str, ...] = ()
    if os.path.isdir(path):
        if db_type not in (None, FOLDER_TYPE):
            raise UsageError(f"{path} is a folder, whose weights are {FOLDER_TYPE}; leave --db_type={db_type} out")
        kind, (blobs, about) = FOLDER_TYPE, read_folder(path)
    elif (kind := _readable_type(path, db_type)) == "pytorch":
        state = read_state_dict(path)
        blobs, about, others = state.tensors, state.about, state.others
    else:
        blobs, about = _READERS[kind](path)
    check_values(path, blobs)
    return Checkpoint(str(path), blobs, about, others)


def _readable_type(path: Union[str, Path], db_type: Optional[str]) -> str:
    """The format to read a file in. UsageError where its content is plainly of another."""
    refuse_foreign(path, state_dicts=True)
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
    """Write a checkpoint, whole or not at all. A pickle makes all blobs float32; a .mdl made here has no net in it.

    Raises UsageError for an unknown format, and for safetensors without the package of that name; VmzError for the name
    of a blob that the format has no letters for.
    """
    kind = file_type(path, db_type)
    _check_names(path, blobs, "latin1" if kind == PICKLE else "utf-8")  # a pickle is Python 2's
    if kind == MINIDB:
        save_mdl(path, blobs, about=about)
    else:
        {PICKLE: save_pickle, "pytorch": save_torch, "safetensors": save_safetensors}[kind](path, blobs, about)


def _check_names(path: Union[str, Path], blobs: Mapping[str, np.ndarray], encoding: str) -> None:
    for name in blobs:
        try:
            name.encode(encoding)
        except UnicodeEncodeError as error:
            raise VmzError(
                f"cannot write {path}: blob {cut(printable(name))} has letters that names in such a file cannot have"
            ) from error


def convert(source: Union[str, Path], target: Union[str, Path], db_type: str = "minidb") -> tuple[int, int]:
    """Write a pickle as a minidb or the other way; returns how many blobs were written, and left out.

    A pickle is for the weights: momenta, the iteration and the like are left out. Raises UsageError when `target` is
    named as a file of the format that `source` has, or is `source`, and as `load` and `save` do.
    """
    other = CAFFE2_TYPES[1 - CAFFE2_TYPES.index(db_type)]
    if _ENDINGS.get(Path(target).suffix.lower(), other) != other:
        raise UsageError(f"{source} is a {db_type}, so {target} would be a {other}; name it {_ending(other)}")
    if Path(target).exists() and Path(target).samefile(source):
        raise UsageError(f"{target} is the file to convert; choose another name for the {other}")
    found = load(source, db_type)
    kept = {name: array for name, array in found.blobs.items() if other == MINIDB or not is_training_state(name)}
    save(target, kept, other, found.about or None)
    return len(kept), len(found.blobs) - len(kept)


def _ending(kind: str) -> str:
    return f"*{next(ending for ending, of in _ENDINGS.items() if of == kind)}"
