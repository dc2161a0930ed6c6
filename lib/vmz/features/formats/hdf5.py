"""Features as HDF5: a dataset for each blob, through h5py, which is asked for only when such a file is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from vmz.checkpoints.pickles import NUMERIC_KINDS
from vmz.errors import UsageError, VmzError
from vmz.extras import require
from vmz.features.formats.table import Table
from vmz.file_formats.numpy_files import FREE_BYTES, MOST_PACKED
from vmz.files import open_input
from vmz.text import counted, cut, printable, quoted

MOST_OBJECTS = 10_000


def check_h5py() -> Any:
    """The module h5py. Raises UsageError where it is not installed."""
    return require("h5py", "hdf5", "an HDF5 file (a .npz or .pkl does not)")


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
    """All datasets, by name, in the order they were made in.

    What is in the file is read and nothing else: soft and external links, external storage and virtual datasets, which
    stand for other places and other files' bytes, are refused by name. Raises VmzError for those, for anything but
    numbers, for more than a file of its size can honestly hold, and when it is no HDF5 file.
    """
    h5py = check_h5py()
    most = max(FREE_BYTES, MOST_PACKED * os.path.getsize(path))
    try:
        with open_input(path, str(path)), h5py.File(path, "r") as file:
            return {name: np.asarray(dataset[()]) for name, dataset in _datasets(h5py, file, most)}
    except UsageError:
        raise
    except VmzError as error:
        raise VmzError(f"{path} is refused: {error}") from error
    except Exception as error:  # of a damaged file h5py raises anything
        raise VmzError(
            f"{path} is not an HDF5 file of arrays, or is truncated ({cut(printable(str(error)))})"
        ) from error


def _datasets(h5py: Any, file: Any, most: int) -> Iterator[tuple[str, Any]]:
    """(name, dataset) of each dataset, checked; groups are gone through without recursion, each once."""
    waiting = [("", file)]
    seen = {_address(h5py, file)}
    size = objects = 0
    while waiting:
        prefix, group = waiting.pop()
        below = []
        for name in group:
            full, objects = prefix + name, objects + 1
            if objects > MOST_OBJECTS:
                raise VmzError(f"it contains more than {MOST_OBJECTS} objects")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                where = f" to {quoted(link.filename)}" if isinstance(link, h5py.ExternalLink) else ""
                kind = "an external link" if where else "a soft link"
                raise VmzError(f"its {quoted(full)} is {kind}{where}, which is not followed; store the array itself")
            item = group[name]
            if isinstance(item, h5py.Group):
                address = _address(h5py, item)
                if address in seen:
                    raise VmzError(f"its group {quoted(full)} appears twice, or contains itself")
                seen.add(address)
                below.append((f"{full}/", item))
                continue
            _check_dataset(h5py, full, item)
            size += item.nbytes
            if size > most:
                raise VmzError(
                    f"it would have {counted(size, 'byte')} or more, and {most} is the most for a file of its size"
                )
            yield full, item
        waiting += reversed(below)


def _address(h5py: Any, item: Any) -> int:
    return int(h5py.h5o.get_info(item.id).addr)


def _check_dataset(h5py: Any, name: str, item: Any) -> None:
    what = f"its {quoted(name)}"
    if not isinstance(item, h5py.Dataset):
        raise VmzError(f"{what} is not an array")
    if item.external:
        raise VmzError(f"{what} is stored in another file, {quoted(item.external[0][0])}, which is not read")
    if item.is_virtual:
        raise VmzError(f"{what} is a virtual dataset, of arrays in other files, which are not read")
    if item.shape is None:
        raise VmzError(f"{what} has no values")
    if item.dtype.kind not in NUMERIC_KINDS:
        raise VmzError(f"{what} has type {quoted(str(item.dtype))}, but features are numbers")
