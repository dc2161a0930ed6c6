"""Pickles as Python 2 wrote and read them: cPickle, files opened as text, strings that are latin1."""

from __future__ import annotations

import io
import pickle
from types import ModuleType
from typing import Any

from vmz.mends.hooks import stand_in
from vmz.mends.table import mend, report


@mend("cpickle", "the module cPickle: pickle does the same")
def install_cpickle() -> None:
    stand_in("cPickle", _cpickle, "cpickle")


def _cpickle() -> ModuleType:
    module = ModuleType("cPickle")
    module.__dict__.update({name: value for name, value in vars(pickle).items() if not name.startswith("__")})
    module.Pickler, module.Unpickler = _Pickler, _Unpickler  # type: ignore[attr-defined]
    return module


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any, *arguments: Any, **keywords: Any) -> None:
        self._opened = file  # as long as it lives, its bytes can be written
        super().__init__(_binary(file), *arguments, **keywords)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, **keywords: Any) -> None:
        self._opened = file
        super().__init__(_binary(file), **{"encoding": "latin1", **keywords})


@mend("pickle", "pickle.load of files opened as text, and of pickles of Python 2 whose strings are not ASCII")
def install_pickle() -> None:
    load, loads, dump = pickle.load, pickle.loads, pickle.dump

    def lenient_load(file: Any, **keywords: Any) -> Any:
        binary = _binary(file)  # beside `file`, which would close it on its own end
        if "encoding" in keywords or not hasattr(binary, "seek"):
            return load(binary, **keywords)
        try:
            position = binary.tell()
        except (OSError, AttributeError):  # a pipe, where there is no second try
            return load(binary, encoding="latin1", **keywords)
        try:
            return load(binary, **keywords)
        except UnicodeDecodeError:
            report("pickle", "a pickle of Python 2: its strings are read as latin1")
            binary.seek(position)
            return load(binary, encoding="latin1", **keywords)

    def lenient_loads(data: Any, **keywords: Any) -> Any:
        if isinstance(data, str):
            report("pickle", "a pickle given as text: its characters are taken as bytes")
            data = data.encode("latin1")
        if "encoding" in keywords:
            return loads(data, **keywords)
        try:
            return loads(data, **keywords)
        except UnicodeDecodeError:
            report("pickle", "a pickle of Python 2: its strings are read as latin1")
            return loads(data, encoding="latin1", **keywords)

    def lenient_dump(value: Any, file: Any, *arguments: Any, **keywords: Any) -> None:
        dump(value, _binary(file), *arguments, **keywords)

    pickle.load, pickle.loads, pickle.dump = lenient_load, lenient_loads, lenient_dump  # type: ignore[assignment]


def _binary(file: Any) -> Any:
    """The bytes of a file that was opened as text, from where it stands."""
    if not isinstance(file, io.TextIOBase):
        return file
    report("pickle", "a pickle in a file opened as text: its bytes are taken")
    if isinstance(file, io.StringIO):
        return io.BytesIO(file.read().encode("latin1"))
    if file.seekable():
        file.seek(file.tell())  # what was read ahead is given back
    file.flush()
    return file.buffer  # type: ignore[attr-defined]
