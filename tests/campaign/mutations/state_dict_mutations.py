"""State dicts gone wrong: PyTorch's zip, its form before 1.6, and safetensors.

Written by hand, so that a seed makes the same bytes: torch.save numbers storages by their addresses.
"""

from __future__ import annotations

import functools
import io
import json
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from tests.campaign.mutations.checkpoint_mutations import PICKLE_BOMBS, mutated_pickle, weights
from tests.campaign.mutations.drawing import ODD_INTEGERS, ODD_TEXTS, chance_of, mutated_bytes
from tests.campaign.mutations.text_mutations import json_text, mutated_value

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
ABOUT = {"labels": ["a", "b", "c"], "eps": 1e-5, "layout": "torchvision"}
_KINDS = (torch.HalfStorage, torch.BFloat16Storage, torch.LongStorage, torch.ByteStorage, torch.ComplexFloatStorage)


@functools.cache
def _whole() -> dict[str, np.ndarray]:
    """The smallest whole network, by blob name."""
    from vmz.checkpoints.seeded import seeded_weights
    from vmz.models.registry import build

    model = build(_config(), scope="")
    return seeded_weights([*model.params, *model.computed_params])


@functools.cache
def _theirs() -> dict[str, np.ndarray]:
    """The same by the keys of another library."""
    from vmz.layouts.names import keys_of
    from vmz.layouts.tables import LAYOUTS

    blobs = _whole()
    return {key: blobs[blob] for blob, key in keys_of(LAYOUTS["torchvision"], _config(), blobs).items()}


def _config() -> Any:
    from vmz.models.config import ModelConfig

    return ModelConfig("r3d", 10, num_labels=3, channel_multiplier=1 / 64)


def _tensors(chance: random.Random) -> dict[str, np.ndarray]:
    """Ours, whole or a part, or another library's, some with a name or a shape that is none."""
    kind = chance.randrange(3)
    arrays = dict(_theirs() if kind == 0 else _whole() if kind == 1 else weights(chance))
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        name, way = chance.choice(list(arrays)), chance.randrange(5)
        if way == 0:
            del arrays[name]
        elif way == 1:
            arrays[chance.choice(ODD_TEXTS).replace("\ud800", "s")] = arrays.pop(name)
        elif way == 2:
            arrays[name] = np.resize(arrays[name], chance.choice(((), (0,), (1,), (6, 1), (2, 3, 4), (1,) * 9)))
        elif way == 3:
            arrays[name] = np.full_like(arrays[name], chance.choice((np.nan, np.inf, -1.0)))
        else:
            arrays[f"module.{name}"] = arrays[name]
    return arrays


class _Storage:
    def __init__(self, pid: tuple[Any, ...]) -> None:
        self.pid = pid


class _Tensor:
    def __init__(self, storage: Any, *arguments: Any) -> None:
        self.state = storage, *arguments, False, OrderedDict()

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, self.state  # type: ignore[attr-defined]


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.pid if isinstance(value, _Storage) else None


def _pickled(content: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, 2).dump(content)
    return stream.getvalue()


def _described(arrays: Mapping[str, np.ndarray], chance: random.Random, old: bool) -> Any:
    """What torch.save pickles of them, with a lie here and there."""
    liar = chance.choice(list(arrays)) if arrays and chance.random() < 0.4 else None
    state: Any = OrderedDict()
    for number, (name, array) in enumerate(arrays.items()):
        strides = tuple(step // array.itemsize for step in array.strides)
        offset, size, part = 0, array.size, None
        shape: Any = array.shape
        kind: Any = torch.FloatStorage
        if name == liar:
            odd, way = chance.choice(ODD_INTEGERS), chance.randrange(8)
            if way == 0:
                shape = (*shape, odd)
            elif way == 1:
                strides = tuple(odd for _ in strides)
            elif way == 2:
                offset = odd
            elif way == 3:
                size = odd
            elif way == 4:
                kind = chance.choice(_KINDS)
            elif way == 5:
                shape, strides = (1 << 30,), (0,)
            elif way == 6 and old:
                part = ("0", odd, chance.choice(ODD_INTEGERS))
            else:
                wrong: tuple[Any, ...] = (None, "ab", [1, 2], (1.5,), (True,), ((1,),))
                shape = chance.choice(wrong)
        pid = ("storage", kind, str(number), "cpu", size, *((part,) if old else ()))
        state[name] = _Tensor(_Storage(pid), offset, shape, strides)
    about = json.dumps(ABOUT)
    if chance.random() < 0.2:
        about = json_text(chance.randrange(99), chance.randrange(99), ABOUT)
    state._metadata = {"": {"vmz": about}}
    way = chance.randrange(4)
    inside = {"epoch": 3, chance.choice(("state_dict", "model", "net")): state, "optimizer": {"lr": [0.1]}}
    return (state, inside, {"model": inside}, state)[way]


def zipped_states(seed: int, number: int) -> bytes:
    """.pth as PyTorch writes it now."""
    chance = chance_of(seed, number)
    arrays = _tensors(chance)
    text = _pickled(_described(arrays, chance, old=False))
    if number < len(PICKLE_BOMBS):
        text = PICKLE_BOMBS[number]
    elif chance.random() < 0.3:
        text = mutated_pickle(text, chance)
    members = {"archive/data.pkl": text, "archive/byteorder": chance.choice((*[b"little"] * 8, b"big", b"x"))}
    members.update({f"archive/data/{place}": array.tobytes() for place, array in enumerate(arrays.values())})
    members["archive/version"] = b"3\n"
    if chance.random() < 0.3:
        name = chance.choice(list(members))
        way = chance.randrange(4)
        if way == 0:
            del members[name]
        elif way == 1:
            members[name] = members[name][: chance.randrange(len(members[name]) + 1)]
        elif way == 2:
            other = chance.choice(("../x", "/data.pkl", "b/data.pkl", "archive/data/", "constants.pkl"))
            members[other] = members[name]
        else:
            members[name] = mutated_bytes(members[name], chance)
    stream = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if chance.random() < 0.05 else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    content = stream.getvalue()
    return mutated_bytes(content, chance) if chance.random() < 0.2 else content


def old_states(seed: int, number: int) -> bytes:
    """.pth as PyTorch wrote it before 1.6: pickles one after the other, then the storages."""
    chance = chance_of(seed, number)
    arrays = _tensors(chance)
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    if chance.random() < 0.1:
        system = mutated_value(system, chance)
    parts = [pickle.dumps(one, 2) for one in (MAGIC, PROTOCOL, system)]
    parts += [
        _pickled(_described(arrays, chance, old=True)),
        pickle.dumps([str(place) for place in range(len(arrays))], 2),
    ]
    if number < len(PICKLE_BOMBS):
        parts[chance.randrange(1, 5)] = PICKLE_BOMBS[number]
    elif chance.random() < 0.3:
        at = chance.randrange(1, 5)
        parts[at] = mutated_pickle(parts[at], chance)
    liar = chance.choice(list(arrays)) if arrays and chance.random() < 0.1 else None
    for name, array in arrays.items():
        count = array.size
        if name == liar:
            count = max(-(2**63), min(2**63 - 1, chance.choice(ODD_INTEGERS)))
        parts.append(struct.pack("<q", count) + array.tobytes())
    content = b"".join(parts)
    return mutated_bytes(content, chance) if chance.random() < 0.2 else content


def safetensors(seed: int, number: int) -> bytes:
    """.safetensors: the length of the header, the header, the numbers."""
    chance = chance_of(seed, number)
    arrays = {name: np.ascontiguousarray(array, "<f4") for name, array in _tensors(chance).items()}
    header: dict[str, Any] = {"__metadata__": {"vmz": json.dumps(ABOUT)}}
    place = 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    header = json.loads(json.dumps(header))
    for _ in range(chance.choice((0, 0, 1, 2))):
        header = mutated_value(header, chance)
    text = json.dumps(header, default=str).encode()
    if chance.random() < 0.1:
        text = json_text(seed, number).encode("utf-8", "replace")
    length = len(text) if chance.random() < 0.9 else chance.choice(ODD_INTEGERS) % 2**64
    content = struct.pack("<Q", length) + text + b"".join(array.tobytes() for array in arrays.values())
    return mutated_bytes(content, chance) if chance.random() < 0.2 else content
