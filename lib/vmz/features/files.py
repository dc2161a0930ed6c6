"""Feature files of every format, told apart by their endings."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Union

import numpy as np

from vmz.checkpoints.pickles import load_array_lists
from vmz.errors import UsageError, VmzError
from vmz.features.hdf5 import check_h5py, read_hdf5, write_hdf5
from vmz.features.npz import write_npz
from vmz.features.pickled import write_pickle
from vmz.features.table import Table
from vmz.files import atomic_write

PICKLE, NPZ, HDF5 = "pickle", "npz", "hdf5"
ENDINGS = {".pkl": PICKLE, ".pickle": PICKLE, ".npz": NPZ, ".h5": HDF5, ".hdf5": HDF5}
_WRITERS: dict[str, Callable[[IO[bytes], Table], None]] = {PICKLE: write_pickle, NPZ: write_npz, HDF5: write_hdf5}


def format_of(path: Union[str, Path]) -> str:
    """The format that a file's ending stands for; any other ending means a pickle, as the original writes it."""
    return ENDINGS.get(Path(path).suffix.lower(), PICKLE)


def check_writable(path: Union[str, Path], form: str) -> None:
    """Raise UsageError, before the work, where a file could not be written after it."""
    if form == HDF5:
        check_h5py()
    folder = Path(path).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {path}: {folder} is not a folder that can be written to")
    if Path(path).is_dir():
        raise UsageError(f"cannot write {path}: it is a folder; give the name of a file")


def save_features(path: Union[str, Path], table: Table, form: str) -> None:
    """Write a file, whole or not at all, reading `table` chunk by chunk."""
    with atomic_write(path, "w+b") as stream:
        _WRITERS[form](stream, table)


def load_features(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """The arrays of a feature file by name: of ours, and of the original's of 2018.

    Raises UsageError when it is not there, VmzError when it is damaged or holds something else than arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no such feature file: {path}; give one that extract_features.py wrote")
    form = format_of(path)
    if form == PICKLE:
        return load_array_lists(path)
    if form == HDF5:
        return read_hdf5(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, KeyError, AttributeError) as error:
        raise VmzError(f"{path} is not a .npz of arrays, or is cut short ({error})") from error
