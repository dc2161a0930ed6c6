"""Features as HDF5: a dataset for each blob, through h5py, which is asked for only when such a file is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from vmz.errors import UsageError, VmzError
from vmz.features.table import Table


def check_h5py() -> Any:
    """The module h5py. Raises UsageError where it is not installed."""
    try:
        import h5py
    except ImportError as error:
        raise UsageError("HDF5 files need h5py: pip install 'vmz[hdf5]', or choose a .npz or .pkl file") from error
    return h5py


def write_hdf5(stream: IO[bytes], table: Table) -> None:
    """Every array of `table` as a dataset of its name. `stream` must be readable and seekable as well."""
    h5py = check_h5py()
    with h5py.File(stream, "w", track_order=True) as file:  # else names come back in the order of the alphabet
        for name in table.names():
            dataset = file.create_dataset(name, shape=table.shape(name), dtype=table.dtype(name))
            row = 0
            for chunk in table.chunks(name):
                dataset[row : row + len(chunk)] = chunk
                row += len(chunk)


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """All datasets, by name, in the order they were made in. Raises VmzError when it is no HDF5 file."""
    h5py = check_h5py()

    def datasets(group: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
        for name, item in group.items():
            if isinstance(item, h5py.Dataset):
                yield prefix + name, np.asarray(item[()])
            else:
                yield from datasets(item, f"{prefix}{name}/")

    try:
        with h5py.File(path, "r") as file:
            return dict(datasets(file))
    except OSError as error:
        raise VmzError(f"{path} is not an HDF5 file, or is cut short ({error})") from error
