"""Checkpoints gone wrong, pickles and .mdl, and pickles of features."""

from __future__ import annotations

import json
import pickle
import pickletools
import random
import struct
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from tests.campaign.mutations.array_mutations import feature_arrays
from tests.campaign.mutations.drawing import ODD_INTEGERS, ODD_TEXTS, chance_of, mutated_bytes
from tests.campaign.mutations.text_mutations import json_text, mutated_value

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
    chance = chance_of(seed, number)
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
    return mutated_pickle(made, chance)


def mutated_pickle(made: bytes, chance: random.Random) -> bytes:
    """A pickle with a few of its opcodes changed, gone, doubled, exchanged or new."""
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


def weights(chance: random.Random) -> dict[str, np.ndarray]:
    """Blobs like those of a small checkpoint."""
    draw = np.random.RandomState(chance.randrange(2**31))
    shapes = {"conv1_w": (4, 3, 3, 3, 3), "conv1_spatbn_relu_riv": (4,), "last_out_L3_w": (3, 4), "last_out_L3_b": (3,)}
    blobs = {name: draw.rand(*shape).astype(np.float32) for name, shape in shapes.items()}
    if chance.random() < 0.3:
        name = chance.choice(list(blobs))
        blobs[name].flat[0] = chance.choice((np.nan, np.inf, -np.inf, -1.0))
    return blobs


# .mdl


def mdls(seed: int, number: int) -> bytes:
    """Predictor exports in a minidb."""
    from google.protobuf.message import DecodeError

    from vmz.checkpoints.mdl import META_NET_DEF, _records
    from vmz.netdef.protos import BlobChunk, MetaNetDef, NetDef

    chance = chance_of(seed, number)
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
