"""State dicts of PyTorch (.pth, .pt), as torch.save writes them and wrote them before 1.6, read without torch.load.

Either form is a pickle, which names its tensors, and their storages: members of a zip, or one after the other behind
the pickle. The pickle is read as a .pkl of ours is: of PyTorch's names only those that make a tensor of numbers have a
meaning here, and every other one is refused before anything is called.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, Callable, Optional, Union

import numpy as np

from vmz.checkpoints.about import read_about
from vmz.checkpoints.foreign import OLD_TORCH_START, STATE_DICT
from vmz.checkpoints.pickle_scan import refuse_bombs
from vmz.checkpoints.pickles import Array, ArrayUnpickler, Name
from vmz.errors import VmzError
from vmz.file_formats.zip_members import check_members
from vmz.files import atomic_write, open_input
from vmz.text import counted, cut, printable, quoted

KEY = "vmz"  # of what a file says about itself, JSON text in the state dict's own metadata
CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")  # in this order
DEEPEST = 3  # such dicts inside one another
PROTOCOL = 1001  # of the old form
MOST_AXES = 32
FREE_BYTES = 256 << 20  # of all tensors, whatever the file's size
MOST_SHARED = 8  # times the file's size: what all tensors may have, as some share a storage
_INTEGER = struct.Struct("<q")


@dataclass(frozen=True)
class StateDict:
    """A file as it was read. tensors: {key: array}, bfloat16 as float32. about: what `save_torch` was given.

    others: the entries beside the state dict (an optimizer, an epoch), which are not read.
    """

    tensors: dict[str, np.ndarray]
    about: dict[str, Any]
    others: tuple[str, ...] = ()


def read_state_dict(path: Union[str, Path]) -> StateDict:
    """The state dict in a file: all of it, or what is under 'state_dict', 'model' and the like.

    Raises UsageError where the file cannot be read, VmzError for one that is damaged, larger than its content, without
    a state dict, or with anything in it but tensors of numbers, numbers, text, lists and dicts.
    """
    path = Path(path)
    with open_input(path, f"the checkpoint {path}") as stream:
        try:
            head = stream.read(len(OLD_TORCH_START))
            stream.seek(0)
            content, arrays = (_old_form if head == OLD_TORCH_START else _zip_form)(stream)
            state, others = _state_dict(content)
            tensors = arrays(state)
        except VmzError as error:
            raise VmzError(f"{path} is refused: {error}") from error
        except Exception as error:  # of a damaged file zipfile and pickle raise anything
            raise VmzError(
                f"{path} is not a checkpoint of PyTorch, or is truncated: expected what torch.save writes of a state "
                f"dict ({type(error).__name__}: {cut(printable(str(error)))})"
            ) from error
    return StateDict(tensors, _about(path, state), others)


def save_torch(
    path: Union[str, Path], tensors: Mapping[str, np.ndarray], about: Optional[Mapping[str, Any]] = None
) -> None:
    """Write a state dict that torch.load gives back, for load_state_dict; the file appears whole or not at all.

    about: anything JSON can hold, kept as text in the state dict's own metadata, where PyTorch lets it pass.
    """
    from collections import OrderedDict

    import torch

    state: Any = OrderedDict((key, torch.from_numpy(np.array(array))) for key, array in tensors.items())
    if about is not None:
        state._metadata = OrderedDict({"": {KEY: json.dumps(about)}})
    with atomic_write(path) as stream:
        torch.save(state, stream)


# What the pickle makes


class _Mapping(dict):  # type: ignore[type-arg]
    """Stands for collections.OrderedDict; a module's state dict has an attribute of its own, _metadata."""

    metadata: Any = None

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.metadata = state.get("_metadata")


class _StorageType(Name):
    """A class of storages. dtype: numpy's; halved: the numbers are the upper halves of float32 (bfloat16)."""

    __slots__ = ("dtype", "halved")

    def __init__(self, dtype: str, halved: bool = False) -> None:
        super().__init__(_no_storage)
        self.dtype, self.halved = np.dtype(dtype), halved


def _no_storage(*args: Any) -> Any:
    raise VmzError("it creates a storage, but a checkpoint refers to those in the file")


@dataclass(frozen=True)
class _Storage:
    """What a pickle says of a storage: the numbers `start` to `start` + `size` of the one with this key."""

    kind: _StorageType
    key: str
    start: int
    size: int
    whole: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks, metadata)"""
    if not isinstance(storage, _Storage) or not _numbers((offset,)) or not _numbers(shape) or not _numbers(strides):
        raise VmzError("it contains a tensor that is not an array of numbers in a storage")
    if len(shape) != len(strides) or len(shape) > MOST_AXES:
        raise VmzError(f"it contains a tensor of shape {quoted(shape)} and strides {quoted(strides)}")
    last = offset + sum((extent - 1) * stride for extent, stride in zip(shape, strides))
    if 0 not in shape and last >= storage.size:
        raise VmzError(
            f"it contains a tensor of shape {quoted(shape)} in a storage of {counted(storage.size, 'number')}"
        )
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _numbers(values: Any) -> bool:
    return isinstance(values, (tuple, list)) and all(type(value) is int and 0 <= value < 1 << 48 for value in values)


def _parameter(tensor: Any, *_: Any) -> Any:
    """torch._utils._rebuild_parameter(tensor, requires_grad, hooks)"""
    return tensor


_STORAGES = {
    "FloatStorage": _StorageType("<f4"),
    "DoubleStorage": _StorageType("<f8"),
    "HalfStorage": _StorageType("<f2"),
    "BFloat16Storage": _StorageType("<u2", halved=True),
    "LongStorage": _StorageType("<i8"),
    "IntStorage": _StorageType("<i4"),
    "ShortStorage": _StorageType("<i2"),
    "CharStorage": _StorageType("i1"),
    "ByteStorage": _StorageType("u1"),
    "BoolStorage": _StorageType("?"),
}
_NAMES: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("collections", "OrderedDict"): _Mapping,
}


class _Unpickler(ArrayUnpickler):
    """most: bytes that all tensors may have. old: storages may be parts of others."""

    def __init__(self, stream: IO[bytes], most: int, old: bool) -> None:
        super().__init__(stream)
        self.most, self.old, self.bytes = most, old, 0
        self.kinds: dict[str, _StorageType] = {}  # of the storages, by key

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.cuda") and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return Name(self._counted)
        if (module, name) in _NAMES:
            return Name(_NAMES[module, name])
        return super().find_class(module, name)

    def _counted(self, *args: Any) -> _Tensor:
        made = _tensor(*args)
        self.bytes += prod(made.shape) * made.storage.kind.dtype.itemsize
        if self.bytes > self.most:
            raise VmzError(f"its tensors have more than {self.most} bytes, the most for a file of its size")
        return made

    def persistent_load(self, pid: Any) -> _Storage:
        """('storage', type, key, device, numbers), and in the old form None or the part of it: (key, start, numbers)"""
        count = 6 if self.old else 5
        if not isinstance(pid, tuple) or len(pid) != count or pid[0] != "storage":
            raise VmzError(f"it refers to an object outside of the file ({quoted(pid)})")
        kind, key, whole, part = pid[1], pid[2], pid[4], pid[5] if self.old else None
        if not isinstance(kind, _StorageType) or not isinstance(key, str) or not _numbers((whole,)):
            raise VmzError(f"it has a storage that is not of numbers ({quoted(key)})")
        start, size = (part[1], part[2]) if isinstance(part, tuple) and len(part) == 3 else (0, whole)
        if not _numbers((start, size)) or start + size > whole:
            raise VmzError(f"it has a part of a storage that is larger than the storage ({quoted(key)})")
        if self.kinds.setdefault(key, kind) is not kind:
            raise VmzError(f"it has a storage of two types ({quoted(key)})")
        return _Storage(kind, key, start, size, whole)


Arrays = Callable[[Mapping[str, Any]], dict[str, np.ndarray]]


def _zip_form(stream: IO[bytes]) -> tuple[Any, Arrays]:
    """What the pickle of an archive makes, and what reads tensors from the archive."""
    size = os.fstat(stream.fileno()).st_size
    archive = zipfile.ZipFile(stream)
    members = archive.infolist()
    check_members(members, size, "PyTorch", (zipfile.ZIP_STORED,))
    names = {member.filename: member for member in members}
    pickled = [name for name in names if re.fullmatch(r"([^/]+/)?data\.pkl", name)]
    if len(pickled) != 1:
        raise VmzError(f"it has {len(pickled)} members data.pkl, not one")
    root = pickled[0][: -len("data.pkl")]
    text = io.BytesIO(archive.read(pickled[0]))
    refuse_bombs(text, names[pickled[0]].file_size, persistent=True)
    content = _Unpickler(text, max(FREE_BYTES, MOST_SHARED * size), old=False).load()
    order = archive.read(f"{root}byteorder") if f"{root}byteorder" in names else b"little"

    def numbers(storage: _Storage) -> np.ndarray:
        name = f"{root}data/{storage.key}"
        if name not in names:
            raise VmzError(f"its storage {quoted(storage.key)} is not in the file")
        dtype = storage.kind.dtype.newbyteorder(">" if order == b"big" else "<")
        if names[name].file_size < storage.whole * dtype.itemsize:
            raise VmzError(f"its storage {quoted(storage.key)} is truncated")
        return np.frombuffer(archive.read(name), dtype, storage.whole)

    return content, lambda state: _arrays(state, numbers)


def _old_form(stream: IO[bytes]) -> tuple[Any, Arrays]:
    """The same of PyTorch's form before 1.6: five pickles, then each storage, its length first."""
    size = os.fstat(stream.fileno()).st_size

    kinds: dict[str, _StorageType] = {}

    def load() -> Any:
        refuse_bombs(stream, size, persistent=True)
        reader = _Unpickler(stream, max(FREE_BYTES, MOST_SHARED * size), old=True)
        found = reader.load()
        kinds.update(reader.kinds)
        return found

    load()  # the magic number
    protocol, system = load(), load()
    if protocol != PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise VmzError("it is of another protocol than 1001, or of a machine with big-endian numbers")
    content, keys = load(), load()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise VmzError("it has no list of its storages")
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        header = stream.read(_INTEGER.size)
        count = _INTEGER.unpack(header)[0] if len(header) == _INTEGER.size else -1
        if key not in kinds:
            raise VmzError(f"its storage {quoted(key)} belongs to no tensor")
        length = count * kinds[key].dtype.itemsize
        if count < 0 or stream.tell() + length > size:
            raise VmzError(f"its storage {quoted(key)} is truncated")
        places[key] = stream.tell(), count
        stream.seek(length, os.SEEK_CUR)

    def numbers(storage: _Storage) -> np.ndarray:
        if storage.key not in places or places[storage.key][1] != storage.whole:
            raise VmzError(f"its storage {quoted(storage.key)} is not in the file, or has another size")
        stream.seek(places[storage.key][0])
        dtype = storage.kind.dtype
        return np.frombuffer(stream.read(storage.whole * dtype.itemsize), dtype)

    return content, lambda state: _arrays(state, numbers)


def _arrays(state: Mapping[str, Any], numbers: Callable[[_Storage], np.ndarray]) -> dict[str, np.ndarray]:
    """{key: array}; each storage is read once while the tensors that share it follow one another."""
    found: dict[str, np.ndarray] = {}
    last: Optional[tuple[str, np.ndarray]] = None
    for key, value in state.items():
        if isinstance(value, Array):
            if value.array is None:
                raise VmzError(f"its entry {quoted(key)} is an array without content")
            found[key] = value.array
            continue
        if last is None or last[0] != value.storage.key:
            last = value.storage.key, numbers(value.storage)
        found[key] = _placed(value, last[1])
    return found


def _placed(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    part = storage[tensor.storage.start : tensor.storage.start + tensor.storage.size][tensor.offset :]
    steps = [stride * part.itemsize for stride in tensor.strides]
    if 0 in tensor.shape:
        array = np.empty(tensor.shape, part.dtype)
    else:
        array = np.ascontiguousarray(np.lib.stride_tricks.as_strided(part, tensor.shape, steps)).reshape(tensor.shape)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return (array.astype(np.uint32) << 16).view(np.float32) if tensor.storage.kind.halved else array


# What of it is the state dict


def _state_dict(content: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The dict of tensors, and the names of what is beside it."""
    others: list[str] = []
    for _ in range(DEEPEST + 1):
        if not isinstance(content, dict) or not content:
            break
        inside = next((name for name in CONTAINERS if isinstance(content.get(name), dict)), None)
        if inside is not None:
            others += [str(key) for key in content if key != inside]
            content = content[inside]
            continue
        wrong = next((key for key, value in content.items() if not isinstance(value, (_Tensor, Array))), None)
        if wrong is None and all(isinstance(key, str) for key in content):
            return content, tuple(others)
        if not any(isinstance(value, _Tensor) for value in content.values()):
            names = ", ".join(cut(printable(str(key)), 40) for key in list(content)[:5])
            raise VmzError(f"it has no state dict under {', '.join(CONTAINERS)}, but {names}; {STATE_DICT}")
        raise VmzError(
            f"its entry {quoted(wrong)} is a {type(content.get(wrong)).__name__}, but a state dict has tensors by name"
        )
    raise VmzError(f"it contains no dict of tensors by name, but a {type(content).__name__}; {STATE_DICT}")


def _about(path: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    metadata = getattr(state, "metadata", None)
    of_all = metadata.get("") if isinstance(metadata, dict) else None
    text = of_all.get(KEY) if isinstance(of_all, dict) else None
    return read_about(path, text) if isinstance(text, str) else {}
