"""Features as HDF5: a dataset for each blob, through h5py, which is asked for only when such a file is."""

from __future__ import annotations

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
    with h5py.File(stream, "w") as file:
        for name in table.names():
            dataset = file.create_dataset(name, shape=table.shape(name), dtype=table.dtype(name))
            row = 0
            for chunk in table.chunks(name):
                dataset[row : row + len(chunk)] = chunk
                row += len(chunk)


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    """All datasets, by name. Raises VmzError when it is no HDF5 file."""
    h5py = check_h5py()
    found: dict[str, np.ndarray] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(take)
    except OSError as error:
        raise VmzError(f"{path} is not an HDF5 file, or is cut short ({error})") from error
    return found
