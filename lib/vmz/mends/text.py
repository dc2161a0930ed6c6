"""Text where Python 3 wants bytes, and bytes where it wants text: CSV, LMDB, TensorProto."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from vmz.mends.callers import is_library
from vmz.mends.hooks import when_imported
from vmz.mends.table import mend, report

READ_AS_TEXT = False  # --py2 sets it: there what was stored as text is compared with text, and joined with it


def as_bytes(value: Any) -> Any:
    """Text as the bytes that it was in Python 2 (a path may hold bytes that are no UTF-8); anything else as it is."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def as_text(value: Any) -> Any:
    """Bytes as text, so that `as_bytes` gives them back; anything else as it is."""
    return bytes(value).decode("utf-8", "surrogateescape") if isinstance(value, (bytes, memoryview)) else value


@mend("csv", "csv.reader and csv.writer on files opened in binary mode, as Python 2 wanted them")
def install_csv() -> None:
    reader, writer = csv.reader, csv.writer

    def text_reader(file: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(file, (io.BufferedIOBase, io.RawIOBase)):
            report("csv", "a CSV in a file opened in binary mode: read as UTF-8")
            file = _lines(file)
        return reader(file, *arguments, **keywords)

    def text_writer(file: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(file, (io.BufferedIOBase, io.RawIOBase)):
            report("csv", "a CSV in a file opened in binary mode: written as UTF-8")
            file = _Encoding(file)
        return writer(file, *arguments, **keywords)

    csv.reader, csv.writer = text_reader, text_writer  # type: ignore[assignment,misc]


def _lines(file: Any) -> Iterator[str]:
    for line in file:
        yield as_text(line)


class _Encoding:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return int(self._file.write(as_bytes(text)))


@mend("lmdb-text", "keys and values given to the lmdb package as text")
def install_lmdb() -> None:
    when_imported("lmdb", _mend_lmdb)


def _mend_lmdb(lmdb: ModuleType) -> None:
    former = lmdb.open

    def open_for_program(*arguments: Any, **keywords: Any) -> Any:
        found = former(*arguments, **keywords)
        return found if is_library(sys._getframe(1).f_code.co_filename) else Environment(found)

    lmdb.open = open_for_program  # type: ignore[attr-defined]


class _Around:
    """Something of lmdb, to which text is given as bytes."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """For isinstance: what it stands for."""
        return type(self._inner)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return (
            _taking_text(found) if name in ("delete", "get", "pop", "put", "replace", "set_key", "set_range") else found
        )

    def __enter__(self) -> Any:
        self._inner.__enter__()
        return self

    def __exit__(self, *exception: Any) -> Any:
        return self._inner.__exit__(*exception)


def _inside(value: Any) -> Any:
    return getattr(value, "_inner", value)


def _insides(keywords: dict[str, Any]) -> dict[str, Any]:
    return {name: _inside(value) for name, value in keywords.items()}


class Environment(_Around):
    def begin(self, *arguments: Any, **keywords: Any) -> Transaction:
        return Transaction(self._inner.begin(*map(_inside, arguments), **_insides(keywords)))

    def open_db(self, key: Any = None, *arguments: Any, **keywords: Any) -> Any:
        return self._inner.open_db(as_bytes(key), *map(_inside, arguments), **_insides(keywords))


class Transaction(_Around):
    def cursor(self, *arguments: Any, **keywords: Any) -> Cursor:
        return Cursor(self._inner.cursor(*arguments, **keywords))


class Cursor(_Around):
    def key(self) -> Any:
        return self._key(self._inner.key())

    def item(self) -> Any:
        key, value = self._inner.item()
        return self._key(key), value

    def __iter__(self) -> Iterator[Any]:
        return ((self._key(key), value) for key, value in self._inner)

    def iternext(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        found = self._inner.iternext(keys, values)
        if not keys:
            return found  # type: ignore[no-any-return]
        return ((self._key(each[0]), each[1]) if values else self._key(each) for each in found)

    def _key(self, key: Any) -> Any:
        return as_text(key) if READ_AS_TEXT else key


def _taking_text(function: Any) -> Any:
    def call(*arguments: Any, **keywords: Any) -> Any:
        if any(isinstance(each, str) for each in (*arguments, *keywords.values())):
            report("lmdb-text", "text as a key or value of an LMDB: stored as UTF-8")
        return function(*map(as_bytes, arguments), **{name: as_bytes(each) for name, each in keywords.items()})

    return call


@mend("tensor-text", "text appended to TensorProto.string_data, or given to ParseFromString")
def install_tensor_text() -> None:
    when_imported("caffe2.proto.caffe2_pb2", _mend_tensors)


def _mend_tensors(protos: Any) -> None:
    field = protos.TensorProto.string_data
    if hasattr(field, "__get__"):
        protos.TensorProto.string_data = property(lambda tensor: _Strings(field.__get__(tensor)))
    for name in ("NetDef", "TensorProto", "TensorProtos"):
        kind = getattr(protos, name)
        kind.ParseFromString = _parsing(kind.ParseFromString)


def _parsing(former: Any) -> Any:
    def parse(message: Any, serialised: Any) -> Any:
        if isinstance(serialised, str):
            report("tensor-text", "a protobuf given as text: its characters are taken as the bytes that they were")
        return former(message, as_bytes(serialised))

    return parse


def _as_stored(value: bytes) -> Any:
    """A path or a name as text where READ_AS_TEXT; bytes of a video stay bytes."""
    if not READ_AS_TEXT:
        return value
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return value
    return text if text.replace("\t", "").isprintable() else value


class _Strings:
    """A repeated bytes field that takes text too."""

    def __init__(self, field: Any) -> None:
        self._field = field

    def append(self, value: Any) -> None:
        self._field.append(self._encoded(value))

    def extend(self, values: Any) -> None:
        self._field.extend([self._encoded(value) for value in values])

    def _encoded(self, value: Any) -> Any:
        if isinstance(value, str):
            report("tensor-text", "text in TensorProto.string_data: stored as UTF-8")
        return as_bytes(value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._field, name)

    def __len__(self) -> int:
        return len(self._field)

    def __getitem__(self, place: Any) -> Any:
        found = self._field[place]
        return [_as_stored(value) for value in found] if isinstance(place, slice) else _as_stored(found)

    def __setitem__(self, place: Any, value: Any) -> None:
        self._field[place] = self._encoded(value)

    def __delitem__(self, place: Any) -> None:
        del self._field[place]

    def __iter__(self) -> Iterator[Any]:
        return map(_as_stored, self._field)

    def __eq__(self, other: object) -> bool:
        return bool(self._field == (other._field if isinstance(other, _Strings) else other))

    def __repr__(self) -> str:
        return repr(self._field)
