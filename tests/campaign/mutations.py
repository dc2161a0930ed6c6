"""Files gone wrong, by the structure of their kind: each function gives the bytes of input `number` of a seed.

Some inputs are those that once broke a reader, some are grown from them, some are good files with a few parts changed.
"""

from __future__ import annotations

import functools
import io
import json
import pickle
import pickletools
import random
import re
import struct
import zipfile
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

Mutator = Callable[[int, int], bytes]  # (seed, number) -> the file
ODD_INTEGERS = (0, 1, -1, 127, 128, 255, 256, 65535, 2**31 - 1, -(2**31), 2**31, 2**32, 2**53, 2**63 - 1, 2**64, 10**30)
ODD_TEXTS = (
    "", " ", "\0", "NaN", "../../etc/passwd", "x" * 5000, "\u202e", "\u2066left\u2069", "\x1b[2J", "'", '"', ",",
    "9" * 6000, "1e999", "-1", "\ufeff", "٣", "None", "{}", "\r", "\n", "\ud800",
)  # fmt: skip


def _random(seed: int, number: int) -> random.Random:
    return random.Random(f"{seed} {number}")


def mutated_bytes(content: bytes, chance: random.Random, most: int = 4) -> bytes:
    """`content` with a few bytes changed, cut out, doubled, or an odd integer written over them."""
    data = bytearray(content)
    for _ in range(chance.randint(1, most)):
        if not data:
            break
        at = chance.randrange(len(data))
        length = min(chance.choice((1, 2, 4, 8, 64)), len(data) - at)
        way = chance.randrange(6)
        if way == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            data[at : at + length] = chance.choice((b"\0", b"\xff", b"\x80")) * length
        elif way == 2:
            packed = struct.pack("<q", max(-(2**63), min(2**63 - 1, chance.choice(ODD_INTEGERS))))
            data[at : at + length] = packed[:length]
        elif way == 3:
            del data[at : at + length]
        elif way == 4:
            data[at:at] = data[at : at + length] * chance.randint(1, 3)
        else:
            del data[at:]
    return bytes(data)


def weights(chance: random.Random) -> dict[str, np.ndarray]:
    """Blobs like those of a small checkpoint."""
    draw = np.random.RandomState(chance.randrange(2**31))
    shapes = {"conv1_w": (4, 3, 3, 3, 3), "conv1_spatbn_relu_riv": (4,), "last_out_L3_w": (3, 4), "last_out_L3_b": (3,)}
    blobs = {name: draw.rand(*shape).astype(np.float32) for name, shape in shapes.items()}
    if chance.random() < 0.3:
        name = chance.choice(list(blobs))
        blobs[name].flat[0] = chance.choice((np.nan, np.inf, -np.inf, -1.0))
    return blobs


# Pickles


def _chain(length: int, step: bytes) -> bytes:
    return b"\x80\x02]" + step * length


PICKLE_BOMBS: Sequence[bytes] = (
    b"\x80\x02Nr\xff\xff\xff\x1f.",  # a memo of 4 GB
    b"\x80\x02Nr\xff\xff\xff\x7f.",
    b"Np99999999999999999999\n.",
    b"\x80\x02}" + b")" + b"2\x86" * 60 + b"K\x01s.",  # hashing a tuple that doubles 60 times
    b"\x80\x02}" + b")" + b"2\x86" * 25 + b"K\x01s.",
    b"\x80\x02X\x04\x00\x00\x00name" + b"2\x86" * 24 + b".",  # its repr
    b"\x80\x02U\x01b" + b"2\x86" * 22 + b"cnumpy\ndtype\nq\x01h\x01\x86.",
    b"\x80\x02cnumpy\ndtype\nU\x01b" + b"2\x86" * 24 + b"\x85R.",  # a message that quotes it
    b"U\x01b" + b"2\x86" * 24 + b"Q.",  # a persistent id of that
    b"\x80\x02" + b"(" * 100000 + b".",
    b"\x80\x02" + b"]" * 100000 + b"a" * 99999 + b".",
    b"\x80\x02}" + b")" + b"\x85" * 200000 + b"K\x01s.",  # a key nested that deep
    b"\x80\x02]q\x00h\x00a.",
    b"\x80\x02}q\x00U\x01xh\x00s.",
    b"\x80\x02}q\x00U\x05blobs]q\x01(h\x01h\x01ess.",
    b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    b"\x80\x04\x8e\x00\x00\x00\x00\x02\x00\x00\x00abc.",
    b"\x80\x04\x8d\x00\x00\x00\x00\x01\x00\x00\x00abc.",
    b"\x80\x05\x96\x00\x00\x00\x00\x01\x00\x00\x00abc.",
    b"\x80\x04\x95\x00\x00\x00\x00\x01\x00\x00\x00N.",
    b"\x80\x02\x8b\xff\xff\xff\x7fabc.",
    b"\x80\x02\x8b\x00\x00\x10\x00" + b"\x7f" * (1 << 20) + b"}K\x01s.",
    b"L" + b"9" * 200000 + b"L\n.",
    b"I" + b"9" * 200000 + b"\n.",
    b"F" + b"9" * 200000 + b"\n.",
    b"\x80\x02T\xff\xff\xff\x7fabc.",
    b"\x80\x02T\xff\xff\xff\xffabc.",
    b"c" + b"x" * 500000 + b"\ny\n.",
    b"c\xff\xfe\ny\n.",
    b"(dp0\nS'" + b"\\x00" * 1000 + b"'\nF1.0\ns.",
    b"\x80\x02}U\x01wcnumpy\ndtype\nU\x0f(1000,1000)i1,bK\x00K\x01\x87Rs.",
    b"\x80\x02}U\x01x" + b"]q\x01" + b"(h\x01h\x01e" + b"s.",
)


def pickles(seed: int, number: int) -> bytes:
    """Checkpoints, as `test_net --load_model_path` takes them."""
    return _pickle(seed, number, lambda chance: {"blobs": weights(chance), "about": json.dumps(_about(chance))})


def feature_pickles(seed: int, number: int) -> bytes:
    """Features, as dense prediction takes them."""
    return _pickle(seed, number, lambda chance: {**feature_arrays(chance), "more": [[1.0], [2.0], np.zeros(1)]})


def _pickle(seed: int, number: int, content: Callable[[random.Random], Any]) -> bytes:
    chance = _random(seed, number)
    if number < len(PICKLE_BOMBS):
        return PICKLE_BOMBS[number]
    made = pickle.dumps(content(chance), protocol=chance.choice((0, 1, 2, 2, 3, 4, 5)))
    way = chance.random()
    if way < 0.1:
        return made
    if way < 0.35:
        return mutated_bytes(made, chance)
    if way < 0.45:
        bomb = chance.choice(PICKLE_BOMBS)
        return mutated_bytes(bomb[: 1 << 16], chance, 2)
    starts = [position for _, _, position in pickletools.genops(made) if position is not None]
    parts = [made[start:end] for start, end in zip(starts, [*starts[1:], len(made)])]
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(parts))
        change = chance.randrange(6)
        if change == 0:
            del parts[at]
        elif change == 1:
            parts.insert(at, parts[chance.randrange(len(parts))])
        elif change == 2:
            parts[at] = parts[at][:1] + mutated_bytes(parts[at][1:] or b"\0", chance, 1)
        elif change == 3:
            other = chance.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif change == 4:
            parts.insert(
                at, chance.choice((b"2", b"0", b"1", b"\x85", b"]", b"}", b"(", b"N", b"\x88", b"2\x86", b"a"))
            )
        else:
            parts.insert(at, bytes([chance.randrange(256)]))
    return b"".join(parts)


def _about(chance: random.Random) -> Any:
    about: dict[str, Any] = {
        "labels": ["left", "right", "up"],
        "protocol": {"crop_size": 112, "model_depth": 10, "test_num_iter": 0, "test_clip_per_video": 4},
        "metrics": {"video@1": 0.5, "epoch": 1},
        "run": {"iterations_per_epoch": 2, "accumulation_steps": 1, "options": {"crop_size": 112}, "history": {}},
    }
    return mutated_value(about, chance) if chance.random() < 0.6 else about


# .mdl


def mdls(seed: int, number: int) -> bytes:
    """Predictor exports in a minidb."""
    from google.protobuf.message import DecodeError

    from vmz.checkpoints.mdl import META_NET_DEF, _records
    from vmz.netdef.protos import BlobChunk, MetaNetDef, NetDef

    chance = _random(seed, number)
    blobs: dict[str, np.ndarray] = {f"gpu_0/{name}": array for name, array in weights(chance).items()}
    blobs["gpu_0/conv1_w_momentum"] = np.zeros((4, 3, 3, 3, 3), np.float32)
    blobs["optimizer_iteration"] = np.array([4], np.int64)
    meta = MetaNetDef()
    meta.blobs.add(key="PARAMETERS_BLOB_TYPE").value.extend(blobs)
    meta.nets.add(key="PREDICT_NET_TYPE").value.CopyFrom(NetDef(name="predict"))
    about = json.dumps(_about(chance))
    if chance.random() < 0.3:
        about = json_text(seed, number)
    meta.applicationSpecificInfo.add(key="vmz_about", value=about.encode("utf-8", "replace").decode())
    items = list(_records(meta, blobs))
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(items))
        key, value = items[at]
        way = chance.randrange(8)
        if way == 0:
            del items[at]
            if not items:
                return b""
        elif way == 1:
            items.insert(chance.randrange(len(items)), items[at])
        elif way == 2:
            items[at] = (key, mutated_bytes(value, chance, 2))
        elif way == 3:
            items[at] = (chance.choice((*ODD_TEXTS[1:], META_NET_DEF)).encode("utf-8", "replace").decode(), value)
        elif key != META_NET_DEF:
            try:
                blob = BlobChunk.FromString(value)
            except DecodeError:  # changed before
                continue
            tensor = blob.tensor
            odd = max(-(2**63), min(2**63 - 1, chance.choice(ODD_INTEGERS)))
            if way == 4:
                tensor.dims.extend([odd] * chance.choice((1, 1, 2, 40, 3000)))
            elif way == 5 and len(tensor.dims):
                tensor.dims[chance.randrange(len(tensor.dims))] = odd
            elif way == 6:
                tensor.data_type = chance.randrange(14)
                tensor.byte_data = bytes(chance.randrange(20))
            else:
                tensor.segment.begin, tensor.segment.end = odd, odd
                blob.type = chance.choice(ODD_TEXTS).encode("utf-8", "replace").decode() or "Tensor"
            items[at] = (key, blob.SerializeToString())
    content = b"".join(struct.pack("<ii", len(key.encode()), len(value)) + key.encode() + value for key, value in items)
    return mutated_bytes(content, chance, 2) if chance.random() < 0.25 else content


# Archives of numpy


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
    chance = _random(seed, number)
    return _archive(chance, _odd_arrays(score_arrays(chance), chance))


def feature_archives(seed: int, number: int) -> bytes:
    """Features as .npz."""
    chance = _random(seed, number)
    return _archive(chance, _odd_arrays(feature_arrays(chance), chance))


def _odd_arrays(arrays: dict[str, np.ndarray], chance: random.Random) -> dict[str, np.ndarray]:
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
    chance = _random(seed, number)
    return npy(feature_arrays(chance)["softmax"], chance)


@functools.cache
def _zeros() -> bytes:
    """A megabyte that becomes 300."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("softmax.npy", npy(np.zeros((75 << 18, 4), np.float32), random.Random(3)))
    return stream.getvalue()


def _archive(chance: random.Random, arrays: dict[str, np.ndarray]) -> bytes:
    if chance.random() < 0.02:
        return _zeros()
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


# Text


def mutated_value(value: Any, chance: random.Random) -> Any:
    """A JSON value with one place in it changed."""
    if isinstance(value, dict) and value and chance.random() < 0.75:
        key = chance.choice(list(value))
        return {**value, key: mutated_value(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.75:
        at = chance.randrange(len(value))
        return [*value[:at], mutated_value(value[at], chance), *value[at + 1 :]]
    odd: list[Any] = [None, [], {}, [None], {"": None}, True, 0.5, -1, 1e308, float("nan"), [[]], ["a"], [1], {"a": 1}]
    return chance.choice([*odd, *ODD_INTEGERS, *ODD_TEXTS])


def json_text(seed: int, number: int, value: Any = None) -> str:
    """JSON that is odd in its form, or `value` with a part changed."""
    chance = _random(seed, number)
    forms = (
        "null", "", "[]", "{}", '""', "1", "NaN", "-Infinity", "1e999", "9" * 7000, "[" * 100000, "[" * 900 + "]" * 900,
        '{"a":' * 5000 + "1" + "}" * 5000, '{"a": 1, "a": 2}', '{"name": {"x": 1, "x": 2}}', "\ufeff{}", "{]", "'a'",
        '"\\ud800"', '{"\\u202e": 1}', "[1,]", "true", '["' + "x" * 300000 + '"]', "[" + "1," * 50000 + "1]",
    )  # fmt: skip
    if number < len(forms):
        return forms[number]
    if value is None or chance.random() < 0.1:
        return chance.choice(forms)
    text = json.dumps(mutated_value(value, chance) if chance.random() < 0.8 else value)
    if chance.random() < 0.2:
        text = mutated_bytes(text.encode(), chance, 2).decode("latin1")
    return text


def jsons(value: Any) -> Mutator:
    """Files that should hold `value`."""
    return lambda seed, number: json_text(seed, number, value).encode("utf-8", "surrogatepass")


def tables(rows: Sequence[Sequence[str]], delimiter: str = ",") -> Mutator:
    """CSV files that should hold `rows`."""

    def make(seed: int, number: int) -> bytes:
        chance = _random(seed, number)
        cells = [list(row) for row in rows]
        between = delimiter if chance.random() < 0.7 else chance.choice((",", "\t", ";", " ", "|"))
        for _ in range(chance.randint(0, 4)):
            row = chance.choice(cells)
            way = chance.randrange(7)
            at = chance.randrange(len(row)) if row else 0
            if way == 0 and row:
                row[at] = chance.choice((*ODD_TEXTS, *map(str, ODD_INTEGERS), "1;2", "a;b", "1.5", "y" * 200000))
            elif way == 1 and row:
                del row[at]
            elif way == 2:
                row.insert(at, chance.choice(ODD_TEXTS))
            elif way == 3:
                cells.insert(chance.randrange(len(cells)), list(row))
            elif way == 4 and len(cells) > 1:
                cells.remove(row)
            elif way == 5 and row:
                row[at] = f'"{row[at]}' + chance.choice(('"', "", '""', '"x'))
            else:
                cells.insert(chance.randrange(len(cells) + 1), ["# note"])
        text = chance.choice(("\n", "\n", "\r\n", "\r")).join(between.join(row) for row in cells)
        content = text.encode(chance.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig")), "surrogatepass")
        return mutated_bytes(content, chance, 2) if chance.random() < 0.15 else content

    return make
