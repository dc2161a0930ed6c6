"""HDF5 files gone wrong: features with odd links, types, storage and sizes, and flipped bytes."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np

from tests.campaign.mutations.array_mutations import feature_arrays, odd_arrays
from tests.campaign.mutations.drawing import chance_of, mutated_bytes

WAYS = (
    "external", "external link", "soft link", "virtual", "loop", "compound", "text", "reference", "huge", "null",
    "scalar", "filter", "named type", "deep", "strings", "enum", "array", "bomb", "opaque",
)  # fmt: skip


def hdf5s(seed: int, number: int) -> bytes:
    """Features as HDF5."""
    import h5py

    chance = chance_of(seed, number)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, array in odd_arrays(feature_arrays(chance), chance).items():
            if array.dtype.kind in "biufS" and "\0" not in name and name.strip("./ "):
                chunks = True if array.size and array.ndim and chance.random() < 0.3 else None
                file.create_dataset(name, data=array, chunks=chunks, compression="gzip" if chunks else None)
        if number < len(WAYS) or chance.random() < 0.5:
            _add(h5py, file, WAYS[number % len(WAYS)] if number < len(WAYS) else chance.choice(WAYS), chance)
    content = stream.getvalue()
    return mutated_bytes(content, chance, 3) if number >= len(WAYS) and chance.random() < 0.5 else content


def _add(h5py: Any, file: Any, way: str, chance: random.Random) -> None:
    name = chance.choice(("softmax", "extra"))
    if name in file:
        del file[name]
    if way == "external":
        file.create_dataset(name, (6, 4), "u1", external=[("/etc/hostname", 0, 24)])
    elif way == "external link":
        file[name] = h5py.ExternalLink(chance.choice(("/etc/hostname", "other.h5")), "/softmax")
    elif way == "soft link":
        file[name] = h5py.SoftLink(chance.choice(("/label", "/nowhere", f"/{name}")))
    elif way == "virtual":
        layout = h5py.VirtualLayout((6, 4), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "softmax", (6, 4))
        file.create_virtual_dataset(name, layout)
    elif way == "loop":
        file.create_group("group")["back"] = file["/"]
    elif way == "compound":
        file.create_dataset(name, data=np.zeros(6, "f4,i4"))
    elif way == "text":
        file.create_dataset(name, data=["text"] * 6)
    elif way == "reference":
        file.create_dataset(name, (6,), h5py.ref_dtype)
    elif way == "huge":
        file.create_dataset(name, chance.choice(((1 << 40,), (6, 1 << 30), (0, 1 << 62))), "f4", chunks=None)
    elif way == "null":
        file.create_dataset(name, data=h5py.Empty("f4"))
    elif way == "scalar":
        file.create_dataset(name, data=1.5)
    elif way == "filter":
        file.create_dataset(name, data=np.zeros((6, 4), "f4"), chunks=True, shuffle=True, fletcher32=True)
    elif way == "named type":
        file[name] = np.dtype("f4")
    elif way == "deep":
        group = file
        for _ in range(chance.choice((40, 500, 3000))):
            group = group.create_group("g")
    elif way == "strings":
        file.create_dataset(name, data=np.zeros(6, "S5"))
    elif way == "enum":
        file.create_dataset(name, (6,), h5py.enum_dtype({"A": 0, "B": 1}))
    elif way == "array":
        file.create_dataset(name, (6,), np.dtype(("f4", (2, 2))))
    elif way == "bomb":
        file.create_dataset(name, data=np.zeros(100 << 20, "u1"), chunks=(1 << 20,), compression="gzip")
        for place in range(6):
            file[f"again{place}"] = file[name]
    else:
        file.create_dataset(name, data=np.zeros(6, "V8"))
