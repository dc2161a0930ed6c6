"""Checkpoints as pickles: {'blobs': {name: array}}, as Python 2 wrote them, read without running anything they hold.

A pickle is a program that may call any function by name. The reader here knows the few names that numpy's arrays and
their containers need, gives each a meaning of its own, and refuses every other name before anything is called.
"""

from __future__ import annotations

import json
import pickle
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Callable, NoReturn, Optional, Union

import numpy as np

from vmz.checkpoints.about import read_about
from vmz.checkpoints.foreign import STATE_DICT
from vmz.checkpoints.pickle_scan import refuse_bombs
from vmz.errors import VmzError
from vmz.files import atomic_write, open_input
from vmz.netdef.blob_names import first_of_each
from vmz.text import cut, printable, quoted

ABOUT = "about"
PLAIN_TYPE = re.compile(r"[<>=|]?([a-zA-Z?][0-9]{0,2}|(float|int|uint|bool|complex)[0-9]{0,3})")
NUMERIC_KINDS = "biuf"  # bool, int, unsigned, float: no objects, no records, no text


def load_pickle(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """The blobs of a checkpoint: {name without the device scope: array as stored}.

    Takes {'blobs': {...}} or the dict itself, text or byte names, `gpu_0/conv1_w` or `conv1_w`; of several devices'
    copies of a blob the first in the file counts. Raises UsageError when the file is not there, VmzError when it is no
    such pickle, is cut short, or asks for any Python object but arrays and dicts.
    """
    return _named_arrays(Path(path), _blobs(Path(path), _content(Path(path))))


def read_pickle(path: Union[str, Path]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `load_pickle` and `load_pickle_about` give, of a file that is read once."""
    content = _content(Path(path))
    return _named_arrays(Path(path), _blobs(Path(path), content)), _about(Path(path), content)


def _blobs(path: Path, content: Any) -> Mapping[Any, Any]:
    blobs = content
    for key in ("blobs", b"blobs"):
        if isinstance(content, dict) and key in content:
            blobs = content[key]
    if not isinstance(blobs, dict):
        raise VmzError(f"{path} contains a {type(blobs).__name__}, but a checkpoint is a dict of blobs by name")
    return blobs


def load_workspace(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """As `load_pickle`, with the names as they are in the file: {"gpu_0/conv1_w": array}."""
    return _named_arrays(Path(path), _blobs(Path(path), _content(Path(path))), in_full=True)


def load_pickle_about(path: Union[str, Path]) -> dict[str, Any]:
    """What `save_pickle` was given as `about`, {} in a file without. Raises as `load_pickle` does."""
    return _about(Path(path), _content(Path(path)))


def _about(path: Path, content: Any) -> dict[str, Any]:
    text = content.get(ABOUT) if isinstance(content, dict) else None
    return read_about(path, text) if isinstance(text, str) else {}


def load_array_lists(path: Union[str, Path]) -> dict[str, np.ndarray]:
    """The arrays of a pickled dict {name: array, or a list of numbers or of arrays of one shape}, lists stacked.

    Features, as extract_features wrote them in Python 2 or writes them now. Raises as `load_pickle` does.
    """
    path = Path(path)
    content = _content(path, "a file of features", "{name: array}")
    if not isinstance(content, dict):
        raise VmzError(
            f"{path} contains a {type(content).__name__}, but a file of features is a dict of arrays by name"
        )
    found: dict[str, np.ndarray] = {}
    for key, value in content.items():
        name = key.decode("latin1") if isinstance(key, bytes) else key
        if not isinstance(name, str):
            raise VmzError(f"{path} has an array named {quoted(key)}, but names are text")
        try:
            found[name] = _stacked(value)
        except (TypeError, ValueError) as error:
            raise VmzError(f"{path}: {cut(printable(name))} is not an array of numbers ({cut(str(error))})") from error
    return found


def save_pickle(
    path: Union[str, Path], blobs: Mapping[str, np.ndarray], about: Optional[Mapping[str, Any]] = None
) -> None:
    """Write {'blobs': {name: float32 array}} as Python 2 does (protocol 2), so that the original tools read it too.

    about: anything JSON can hold (labels, protocol, metrics), kept as JSON text beside 'blobs'. The file appears whole
    or not at all. Python 3's own pickler would name modules that old numpy lacks, and store bytes as text of up to
    twice the size.
    """
    with atomic_write(path) as stream:
        stream.write(b"\x80\x02}(" + _short_string("blobs") + b"}(")
        for name, array in blobs.items():
            stream.write(_short_string(name))
            _write_array(stream, np.ascontiguousarray(array, dtype="<f4").reshape(np.shape(array)))
        stream.write(b"u")
        if about is not None:
            stream.write(_short_string(ABOUT) + _short_string(json.dumps(about)))
        stream.write(b"u.")


def _stacked(value: Any) -> np.ndarray:
    if isinstance(value, Array):
        if not isinstance(value.array, np.ndarray):
            raise ValueError("it has no content")
        return value.array
    if isinstance(value, (list, tuple)):
        return np.stack([_stacked(entry) for entry in value]) if value else np.empty(0, np.float32)
    if isinstance(value, (bool, int, float)):
        return np.asarray(value)
    raise TypeError(f"a {type(value).__name__}")


def _content(path: Path, what: str = "a checkpoint", form: str = "{'blobs': {name: array}}") -> Any:
    """What a pickle of arrays, lists, dicts and text holds."""
    with open_input(path, f"{what.replace('a ', 'the ', 1)} {path}") as stream:
        try:
            refuse_bombs(stream)
            return ArrayUnpickler(stream).load()
        except VmzError as error:
            raise VmzError(f"{path} is refused: {error}") from error
        except Exception as error:  # what a damaged pickle raises is anything: EOFError, KeyError, MemoryError, ...
            raise VmzError(
                f"{path} is not {what}, or is truncated: expected a pickle of {form} ({type(error).__name__}: "
                f"{cut(printable(str(error)))})"
            ) from error


def _named_arrays(path: Path, blobs: Mapping[Any, Any], in_full: bool = False) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for key, value in blobs.items():
        name = key.decode("latin1") if isinstance(key, bytes) else key
        if not isinstance(name, str):
            raise VmzError(f"{path} has a blob named {quoted(key)}, but names are text")
        if isinstance(value, Array):
            array = value.array
        elif isinstance(value, (bool, int, float, np.generic)):
            array = np.asarray(value)
        else:
            raise VmzError(
                f"{path}: blob {cut(printable(name))} is a {type(value).__name__}, but blobs are arrays of numbers"
            )
        if array is None:
            raise VmzError(f"{path}: blob {cut(printable(name))} is an array without content; the file is damaged")
        found.setdefault(name, array)
    return found if in_full else first_of_each(found)


class Name:
    """A global that a pickle may use: calling it runs `make`; a pickle cannot change it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setstate__(self, state: Any) -> NoReturn:
        raise VmzError("it changes a function, which no checkpoint does")


class _Dtype:
    """Stands for numpy.dtype while a pickle is read."""

    def __init__(self, code: Any, *flags: Any) -> None:
        self.dtype = _numeric(code)

    def __setstate__(self, state: Any) -> None:
        """(version, byte order, subtype, names, fields, ...): a plain number has a byte order and no more."""
        order, structure = state[1], state[2:5]
        if any(part is not None for part in structure):
            raise VmzError("it contains an array of records, but blobs are arrays of numbers")
        self.dtype = np.dtype(_text(order).replace("|", "") + self.dtype.str[1:])


class Array:
    """Stands for numpy.ndarray while a pickle is read: made empty, then given its state."""

    def __init__(self, *ignored: Any) -> None:
        self.array: Any = None

    def __setstate__(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran order, the bytes)"""
        _, shape, dtype, fortran, content = state
        self.array = _array(content, dtype, shape, "F" if fortran else "C")


def _array(content: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    if isinstance(content, str):  # what Python 2 wrote as str
        content = content.encode("latin1")
    if not isinstance(content, (bytes, bytearray)) or not isinstance(dtype, _Dtype):
        raise VmzError("it contains an array of objects, but blobs are arrays of numbers")
    array = np.frombuffer(bytes(content), dtype.dtype) if content else np.empty(0, dtype.dtype)
    return array.reshape(shape, order="F" if _text(order) == "F" else "C")


def _numeric(code: Any) -> np.dtype:
    text = _text(code)
    dtype = np.dtype(text if PLAIN_TYPE.fullmatch(text) else object)  # numpy would take a whole record's description
    if dtype.kind not in NUMERIC_KINDS:
        raise VmzError(f"it contains an array of type {quoted(_text(code))}, but blobs are arrays of numbers")
    return dtype


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("latin1")
    if not isinstance(value, str):
        raise VmzError(f"it has {quoted(value)} where the name of a type or order is expected")
    return value


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> Array:
    made = Array()
    made.array = _array(content, dtype, shape, order)
    return made


def _scalar(dtype: _Dtype, content: Any) -> Array:
    return _frombuffer(content, dtype, (), "C")


def _encode(text: str, encoding: Any = "latin1") -> bytes:
    if _text(encoding) not in ("latin1", "latin-1"):
        raise VmzError(f"it encodes text as {quoted(encoding)}, but arrays are written in latin1")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How Python 3 writes an empty array's content in the protocols of Python 2."""
    return b""


_MULTIARRAY: dict[str, Callable[..., Any]] = {"_reconstruct": Array, "scalar": _scalar}
_NAMES: dict[str, Mapping[str, Callable[..., Any]]] = {
    "numpy": {"ndarray": Array, "dtype": _Dtype},
    "numpy.core.multiarray": _MULTIARRAY,
    "numpy._core.multiarray": _MULTIARRAY,
    "numpy.core.numeric": {"_frombuffer": _frombuffer},
    "numpy._core.numeric": {"_frombuffer": _frombuffer},
    "_codecs": {"encode": _encode},
    "__builtin__": {"bytes": _no_bytes},
    "collections": {"OrderedDict": dict},
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickles of arrays, numbers, text, dicts, lists; every other name is refused before anything is called."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        try:
            return Name(_NAMES[module][name])
        except KeyError:
            module, name = printable(module), printable(name)
            if module.partition(".")[0] == "torch":
                raise VmzError(
                    f"it contains objects of PyTorch ({module}.{name}), but VMZ loads only tensors; {STATE_DICT}"
                ) from None
            raise VmzError(
                f"it asks for {module}.{name}, but a checkpoint needs only arrays; do not load files from "
                "sources you do not trust with other tools"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise VmzError(f"it refers to an object outside of the file ({quoted(pid)})")


def _short_string(text: str) -> bytes:
    content = text.encode("latin1")
    return (
        b"U" + struct.pack("<B", len(content)) if len(content) < 256 else b"T" + struct.pack("<i", len(content))
    ) + content


def _write_array(stream: IO[bytes], array: np.ndarray) -> None:
    """The opcodes that Python 2's cPickle writes for numpy.ndarray.__reduce__."""
    shape = b"(" + b"".join(b"J" + struct.pack("<i", extent) for extent in array.shape) + b"t"
    stream.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01" + shape)
    stream.write(b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T")
    stream.write(struct.pack("<i", array.nbytes) + array.tobytes() + b"tb")
