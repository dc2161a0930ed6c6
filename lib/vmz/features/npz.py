"""Features as .npz, an uncompressed zip of .npy arrays that np.load reads, written without holding them in memory."""

from __future__ import annotations

import zipfile
from typing import IO

import numpy as np

from vmz.features.table import Table


def write_npz(stream: IO[bytes], table: Table) -> None:
    """Every array of `table`, under its own name ("/" is part of a name)."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in table.names():
            header = {
                "descr": np.lib.format.dtype_to_descr(table.dtype(name)),
                "fortran_order": False,
                "shape": table.shape(name),
            }
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                for chunk in table.chunks(name):
                    member.write(chunk.tobytes())
