"""Arrays gone wrong: .npz of scores and of features, and .npy."""

from __future__ import annotations

import functools
import io
import random
import re
import struct
import zipfile

import numpy as np

from tests.campaign.mutations.drawing import ODD_INTEGERS, ODD_TEXTS, chance_of, mutated_bytes


def feature_arrays(chance: random.Random) -> dict[str, np.ndarray]:
    """Features for dense prediction: 6 clips of 3 videos."""
    draw = np.random.RandomState(chance.randrange(2**31))
    softmax = draw.dirichlet(np.ones(4), 6).astype(np.float32)
    return {"softmax": softmax, "label": np.array([0, 0, 1, 1, 3, 3]), "video_id": np.repeat(np.arange(3), 2)}


def score_arrays(chance: random.Random) -> dict[str, np.ndarray]:
    """What --save_scores keeps: 6 clips of 3 videos."""
    arrays = feature_arrays(chance)
    return {
        "softmax": arrays["softmax"],
        "label": arrays["label"].astype(np.int32),
        "key": np.repeat(np.array(["0", "1", "2"]), 2),
        "aggregation": np.array(0),
        "database": np.array("val_lmdb"),
        "label_names": np.array(["a", "b", "c", "d"]),
    }


def score_archives(seed: int, number: int) -> bytes:
    """Files of --save_scores."""
    chance = chance_of(seed, number)
    return _archive(chance, odd_arrays(score_arrays(chance), chance))


def feature_archives(seed: int, number: int) -> bytes:
    """Features as .npz."""
    chance = chance_of(seed, number)
    return _archive(chance, odd_arrays(feature_arrays(chance), chance))


def odd_arrays(arrays: dict[str, np.ndarray], chance: random.Random) -> dict[str, np.ndarray]:
    """Some of them of another type, shape or name, with other values, or gone."""
    for _ in range(chance.randint(0, 2)):
        if not arrays:
            break
        name = chance.choice(list(arrays))
        array = arrays[name]
        way = chance.randrange(9)
        if way == 0:
            del arrays[name]
        elif way == 1:
            kinds = ("f2", "f8", "i1", "u8", "U3", "S2", "O", "c8", "?", "M8[s]", "f4,i4")
            arrays[name] = np.zeros(array.shape, chance.choice(kinds))
        elif way == 2:
            arrays[name] = np.resize(array, chance.choice(((), (0,), (1,), (6, 1), (6, 0), (2, 3, 4), (12, 4), (0, 4))))
        elif way == 3:
            arrays[chance.choice(ODD_TEXTS).replace("\0", "0").replace("\ud800", "s")[:60] or "x"] = arrays.pop(name)
        elif way == 4 and array.size and array.dtype.kind == "f":
            array = array.copy()
            array.flat[chance.randrange(array.size)] = chance.choice((np.nan, np.inf, -np.inf, 1e38))
            arrays[name] = array
        elif way == 5 and array.size and array.dtype.kind in "iu":
            array = array.astype(np.int64)
            odd = max(-(2**63), min(2**63 - 1, chance.choice(ODD_INTEGERS)))
            array.flat[chance.randrange(array.size)] = odd
            arrays[name] = array
        elif way == 6 and array.dtype.kind == "U":
            arrays[name] = np.full(array.shape, chance.choice(ODD_TEXTS).replace("\ud800", "s"))
        elif way == 7:
            arrays[name] = array[::-1] if array.ndim else array
        else:
            arrays["softmax" if chance.random() < 0.5 else "prob"] = array
    return arrays


_HEADERS = (
    "{'descr': '|O', 'fortran_order': False, 'shape': (6,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (-1, 4), }",
    "{'descr': '<f4', 'fortran_order': 1, 'shape': 6, }",
    "{'descr': '<f4', 'shape': (6,), }",
    "{'descr': ['<f4'], 'fortran_order': False, 'shape': (6,), }",
    "{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "(" * 9000 + ")" * 9000 + ",), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",), }",
    "{'descr': '" + "f4," * 3000 + "', 'fortran_order': False, 'shape': (6,), }",
    "{'descr': '(100000,100000)f4', 'fortran_order': False, 'shape': (6,), }",
    "__import__('os').system('true')",
    "-" * 20000 + "1",
    "",
)


def npy(array: np.ndarray, chance: random.Random) -> bytes:
    """A .npy file, some of them with an odd header."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    content = stream.getvalue()
    if chance.random() < 0.25:
        header = chance.choice(_HEADERS).encode()
        if chance.random() < 0.5 and len(header) < 60000:
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
        else:
            start = b"\x93NUMPY\x02\x00" + struct.pack("<I", chance.choice((len(header), 2**32 - 1)))
        content = start + header + array.tobytes() if array.dtype != object else start + header
    elif chance.random() < 0.1:
        content = mutated_bytes(content, chance, 2)
    return content


def npys(seed: int, number: int) -> bytes:
    """Single arrays, some of them features."""
    chance = chance_of(seed, number)
    return npy(feature_arrays(chance)["softmax"], chance)


@functools.cache
def zeros_archive() -> bytes:
    """A megabyte that becomes 300."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("softmax.npy", npy(np.zeros((75 << 18, 4), np.float32), random.Random(3)))
    return stream.getvalue()


def _archive(chance: random.Random, arrays: dict[str, np.ndarray]) -> bytes:
    if chance.random() < 0.02:
        return zeros_archive()
    stream = io.BytesIO()
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(stream, "w", method if chance.random() < 0.3 else zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", npy(array, chance))
        if chance.random() < 0.05:
            archive.writestr(chance.choice(("softmax", "label.npy", "note.txt", "/a.npy", "../a.npy")), b"text")
    content = stream.getvalue()
    way = chance.random()
    if way < 0.05:  # said to be encrypted
        content = re.sub(rb"(?s)(PK\x01\x02.{4}|PK\x03\x04.{2})\x00\x00", lambda found: found[1] + b"\1\0", content)
    elif way < 0.1:  # sizes in the directory that are not true
        content = re.sub(rb"(?s)(PK\x01\x02.{20}).{4}", lambda found: found[1] + b"\xff\xff\xff\x7f", content)
    elif way < 0.3:
        content = mutated_bytes(content, chance, 2)
    return content
