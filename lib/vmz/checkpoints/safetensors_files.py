"""Tensors as safetensors: a header of JSON, then the numbers. Needs the package safetensors (extra [hub])."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from vmz.checkpoints.about import read_about
from vmz.errors import VmzError
from vmz.extras import require
from vmz.file_formats.json_files import Each, parse_json
from vmz.files import atomic_write, open_input
from vmz.text import cut, printable, quoted

KEY = "vmz"  # of the metadata: what a file says about itself, as JSON text
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8",
    "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_HALVED = "BF16"  # the upper halves of float32


def read_safetensors(path: Union[str, Path]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors of a file, bfloat16 as float32, and what it says about itself.

    Raises UsageError where the file cannot be read or the package is missing, VmzError for one that is damaged, or has
    tensors of a type that numpy has not.
    """
    path = Path(path)
    package = require("safetensors", "hub", str(path))
    with open_input(path, f"the checkpoint {path}") as stream:
        content = stream.read()
    try:
        found = package.deserialize(content)
    except Exception as error:  # SafetensorError, and what Rust says of a damaged header
        raise VmzError(f"{path} is not a safetensors file, or is truncated ({cut(printable(str(error)))})") from error
    tensors = {name: _array(path, name, tensor) for name, tensor in found}
    return tensors, _about(path, content)


def save_safetensors(
    path: Union[str, Path], tensors: Mapping[str, np.ndarray], about: Optional[Mapping[str, Any]] = None
) -> None:
    """Write tensors, with their types; the file appears whole or not at all. about: anything JSON can hold."""
    package = require("safetensors.numpy", "hub", str(path))
    arrays = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in tensors.items()}
    content = package.save(arrays, None if about is None else {KEY: json.dumps(about)})
    with atomic_write(path) as stream:
        stream.write(content)


def check_package(path: Path) -> None:
    """Raise UsageError where the package that reads and writes `path` is missing."""
    require("safetensors", "hub", str(path))


def _array(path: Path, name: str, tensor: Mapping[str, Any]) -> np.ndarray:
    kind, shape, numbers = tensor["dtype"], tensor["shape"], tensor["data"]
    if kind == _HALVED:
        return (np.frombuffer(numbers, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if kind not in _TYPES:
        raise VmzError(f"{path}: tensor {quoted(name)} has type {quoted(kind)}, but weights are {', '.join(_TYPES)}")
    return np.frombuffer(numbers, _TYPES[kind]).reshape(shape)


def _about(path: Path, content: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", content[:8])
    name = f"{path} is damaged: its header"
    header = parse_json(content[8 : 8 + length].decode("utf-8", "replace"), name, Each(object), VmzError)
    text = header.get("__metadata__", {}).get(KEY)
    return read_about(path, text) if text is not None else {}
