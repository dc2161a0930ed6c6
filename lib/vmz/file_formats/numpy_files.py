"""numpy's own files, read within bounds: .npz, a zip of arrays, and .npy, a single one.

np.load believes a file's sizes and runs its header through Python's parser. Here an array is as large as the bytes that
are there, of numbers or of text, and a zip is no larger, unpacked, than honest arrays are.
"""

from __future__ import annotations

import ast
import os
import re
import struct
import zipfile
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from vmz.errors import VmzError
from vmz.file_formats.zip_members import check_members
from vmz.files import open_input
from vmz.text import counted, cut, printable, quoted

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000  # bytes: numpy's own limit
MOST_AXES = 32
FREE_BYTES = 256 << 20  # what any file may hold unpacked
MOST_PACKED = 200  # times its size: what a larger file may. Texts that repeat pack 50-fold
_KINDS = "biufU"  # numbers and text: no objects, which would be pickles, and no records
_PLAIN_TYPE = re.compile(r"[<>|=]?[?a-zA-Z][0-9]{0,9}")


def read_npz(path: Path, name: str, what: str = "a .npz of arrays") -> dict[str, np.ndarray]:
    """The arrays of an archive, in its order. `name` is what messages call the file, `what` what it should be.

    Raises UsageError where it cannot be read, VmzError for what is no archive of arrays of numbers and text, damaged,
    encrypted, packed in an odd way, or larger unpacked than MOST_PACKED allows.
    """
    with open_input(path, name) as stream:
        most = max(FREE_BYTES, MOST_PACKED * os.fstat(stream.fileno()).st_size)
        try:
            with zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
                check_members(members, most)
                return {_array_name(member): _member(archive, member) for member in members}
        except Exception as error:  # of a damaged archive zipfile raises anything
            raise VmzError(f"{name} is not {what}, or is truncated ({_said(error)})") from error


def read_npy(path: Path, name: str) -> np.ndarray:
    """The array of a .npy. Raises as `read_npz`."""
    with open_input(path, name) as stream:
        try:
            return _array(stream, os.fstat(stream.fileno()).st_size)
        except Exception as error:
            raise VmzError(f"{name} is not a .npy of an array, or is truncated ({_said(error)})") from error


def _said(error: Exception) -> str:
    """Of our own errors all, of others the beginning."""
    return str(error) if isinstance(error, VmzError) else cut(printable(str(error))) or type(error).__name__


def _array_name(member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise VmzError(f"its member {quoted(member.filename)} is not an array (.npy)")
    return member.filename[: -len(".npy")]


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        try:
            return _array(stream, member.file_size)
        except VmzError as error:
            raise VmzError(f"its array {quoted(_array_name(member))}: {error}") from error


def _array(stream: IO[bytes], size: int) -> np.ndarray:
    """The array in the `size` bytes of a .npy."""
    start = stream.read(len(MAGIC) + 2)
    if len(start) < len(MAGIC) + 2 or not start.startswith(MAGIC):
        raise VmzError("it does not begin as a .npy")
    form = {1: "<H", 2: "<I", 3: "<I"}.get(start[len(MAGIC)])
    if form is None:
        raise VmzError(f"it has version {start[len(MAGIC)]} of .npy; only 1 to 3 are supported")
    (length,) = struct.unpack(form, stream.read(struct.calcsize(form)))
    if length > LONGEST_HEADER:
        raise VmzError(f"its header has {counted(length, 'byte')}, more than {LONGEST_HEADER}")
    dtype, fortran, shape = _header(stream.read(length))
    left = size - len(start) - struct.calcsize(form) - length
    if prod(shape) * dtype.itemsize != left:
        raise VmzError(
            f"{quoted(shape)} {dtype} are {counted(prod(shape) * dtype.itemsize, 'byte')}, but it has {left}"
        )
    values = np.empty(prod(shape), dtype)
    into: Any = values.view(np.uint8).reshape(-1).data if values.size else b""
    done = 0
    while done < len(into):
        part = stream.read(min(1 << 22, len(into) - done))
        if not part:
            raise VmzError(f"it is truncated: it has {done} of {counted(len(into), 'byte')}")
        into[done : done + len(part)] = part
        done += len(part)
    stream.read(1)  # at its end a member's checksum is looked at
    if dtype.kind == "U":
        _check_text(values)
    return values.reshape(shape, order="F" if fortran else "C")


def _header(content: bytes) -> tuple[np.dtype, bool, tuple[int, ...]]:
    """(type, whether in Fortran order, shape). VmzError for all that is not numbers or text in a plain array."""
    text = content.decode("latin1")
    if len(re.findall(r"[(\[{+~-]", text)) > 8:  # an honest one has 2; Python's parser cannot go deep
        raise VmzError(f"its header is {quoted(text)}, which does not describe a plain array")
    try:
        found: Any = ast.literal_eval(text.strip())
    except Exception as error:
        raise VmzError(f"its header is {quoted(text)}, which cannot be read") from error
    if not isinstance(found, dict) or set(found) != {"descr", "fortran_order", "shape"}:
        raise VmzError(f"its header is {quoted(found)}, not a type, an order and a shape")
    kind, fortran, shape = found["descr"], found["fortran_order"], found["shape"]
    if not isinstance(kind, str) or not _PLAIN_TYPE.fullmatch(kind):
        raise VmzError(f"it has type {quoted(kind)}, but only arrays of numbers and of text are supported")
    try:
        dtype = np.dtype(kind)
    except TypeError as error:
        raise VmzError(f"it has the unknown type {quoted(kind)}") from error
    if dtype.kind not in _KINDS or not dtype.itemsize:
        what = "it contains Python objects" if dtype.kind == "O" else f"it has type {quoted(kind)}"
        raise VmzError(f"{what}, but only arrays of numbers and of text are supported")
    if not isinstance(fortran, bool) or not isinstance(shape, tuple):
        raise VmzError(f"its header is {quoted(found)}, not a type, an order and a shape")
    if len(shape) > MOST_AXES or any(type(extent) is not int or not 0 <= extent < 1 << 40 for extent in shape):
        raise VmzError(f"{quoted(shape)} is not a shape")
    return dtype, fortran, shape


def _check_text(values: np.ndarray) -> None:
    """VmzError for numbers in place of letters, on which Python fails wherever they are used."""
    letters = values.view(values.dtype.byteorder.replace("|", "=") + "u4")
    if letters.size and (int(letters.max()) > 0x10FFFF or ((letters >= 0xD800) & (letters < 0xE000)).any()):
        raise VmzError("it has numbers that are not characters where text is expected")
