"""Feature files of every format: written by their ending, read by what they hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Union

import numpy as np

from vmz.checkpoints.pickles import load_array_lists
from vmz.errors import UsageError
from vmz.features.formats.hdf5 import check_h5py, read_hdf5, write_hdf5
from vmz.features.formats.npz import check_one_array, write_npy, write_npz
from vmz.features.formats.pickled import write_pickle
from vmz.features.formats.table import Table
from vmz.file_formats.numpy_files import read_npy, read_npz
from vmz.files import OutputKind, atomic_write, open_input

PICKLE, NPZ, NPY, HDF5 = "pickle", "npz", "npy", "hdf5"
ENDINGS = {".pkl": PICKLE, ".pickle": PICKLE, ".npz": NPZ, ".npy": NPY, ".h5": HDF5, ".hdf5": HDF5}
# Endings of what we do not write: a pickle by such a name would be taken for something else.
FOREIGN = (".csv", ".tsv", ".txt", ".json", ".mat", ".pt", ".pth", ".parquet", ".feather", ".arrow", ".zip", ".gz")
SINGLE = "features"  # what the array of a .npy, which has no name, is called when it is read
_WRITERS: dict[str, Callable[[IO[bytes], Table], None]] = {
    PICKLE: write_pickle,
    NPZ: write_npz,
    NPY: write_npy,
    HDF5: write_hdf5,
}
_BEGINNINGS = {b"PK": NPZ, b"\x93NUMPY": NPY, b"\x89HDF\r\n\x1a\n": HDF5, b"\x80": PICKLE}


def format_of(path: Union[str, Path]) -> str:
    """The format that a file's ending stands for; any other ending means a pickle, as the original writes it."""
    return ENDINGS.get(Path(path).suffix.lower(), PICKLE)


def check_writable(path: Union[str, Path], form: str, names: Sequence[str] = ()) -> None:
    """Raise UsageError, before the work, where a file could not be written after it.

    form: the format to write; names: of the arrays to be.
    """
    ending = Path(path).suffix.lower()
    if ending in FOREIGN or (form == HDF5 and ENDINGS.get(ending) in (NPZ, NPY)):
        what = "is not HDF5, which --save_h5=1 writes" if form == HDF5 else "is not a file format of features"
        raise UsageError(
            f"cannot write {path}: {ending} {what}; choose .npz, .npy (one blob), .h5 or .pkl (the original's)"
        )
    if form == NPY and names:
        check_one_array(names)
    if form == HDF5:
        check_h5py()
    kind = OutputKind(path)
    folder = kind.path.parent
    if not kind.through and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise UsageError(f"cannot write {path}: {folder} is not a folder that can be written to")


def save_features(path: Union[str, Path], table: Table, form: str) -> None:
    """Write a file, whole or not at all, reading `table` chunk by chunk."""
    with atomic_write(path, "w+b") as stream:
        _WRITERS[form](stream, table)


def load_features(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """The arrays of a feature file by name: of ours, and of the original's of 2018. That of a .npy is SINGLE.

    Raises UsageError when it is not there, VmzError when it is damaged or holds something else than arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no such feature file: {path}; give one that extract_features.py wrote")
    form = _format_inside(path)
    if form == PICKLE:
        return load_array_lists(path)
    if form == HDF5:
        return read_hdf5(path)
    return {SINGLE: read_npy(path, str(path))} if form == NPY else read_npz(path, str(path))


def _format_inside(path: Path) -> str:
    """The format that a file begins like, whatever its name (--save_h5=1 takes any); else that of its ending."""
    with open_input(path, f"the feature file {path}") as stream:
        start = stream.read(max(map(len, _BEGINNINGS)))
    return next((form for beginning, form in _BEGINNINGS.items() if start.startswith(beginning)), format_of(path))
