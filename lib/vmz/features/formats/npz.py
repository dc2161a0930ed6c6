"""Features as numpy's own files, which np.load reads: .npz, an uncompressed zip of arrays, and .npy, a single array.

Both are written without holding the arrays in memory.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import IO

import numpy as np

from vmz.errors import UsageError
from vmz.features.formats.table import Table
from vmz.text import counted


def write_npz(stream: IO[bytes], table: Table) -> None:
    """Every array of `table`, under its own name ("/" is part of a name)."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in table.names():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_array(member, table, name)


def write_npy(stream: IO[bytes], table: Table) -> None:
    """The only array of `table`. Raises UsageError where it has several."""
    check_one_array(table.names())
    _write_array(stream, table, table.names()[0])


def check_one_array(names: Sequence[str]) -> None:
    """Raise UsageError for what a .npy cannot hold."""
    if len(names) != 1:
        raise UsageError(
            f"a .npy file contains one array, but {counted(len(names), 'blob')} are to be written "
            f"({', '.join(names)}); name one "
            "with --features, or write an .npz"
        )


def _write_array(stream: IO[bytes], table: Table, name: str) -> None:
    """A .npy file: its header, then the values in C order."""
    header = {
        "descr": np.lib.format.dtype_to_descr(table.dtype(name)),
        "fortran_order": False,
        "shape": table.shape(name),
    }
    np.lib.format.write_array_header_1_0(stream, header)
    for chunk in table.chunks(name):
        stream.write(chunk.tobytes())
