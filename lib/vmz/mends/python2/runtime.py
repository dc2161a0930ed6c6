"""Python 2's functions: those that a translated source calls, and the builtins that it sees."""

from __future__ import annotations

import builtins
import codecs
import functools
import io
import itertools
import operator
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional

from vmz.mends.python2.builtins_of_python2 import BUILTINS
from vmz.mends.text import as_bytes, as_text


def divide(first: Any, second: Any) -> Any:
    """first / second: whole numbers, and arrays of them, are floored."""
    return (
        operator.floordiv(first, second) if _is_whole(first) and _is_whole(second) else operator.truediv(first, second)
    )


def divide_in_place(first: Any, second: Any) -> Any:
    if _is_whole(first) and _is_whole(second):
        return operator.ifloordiv(first, second)
    return operator.itruediv(first, second)


def _is_whole(value: Any) -> bool:
    if isinstance(value, int):
        return True
    return getattr(getattr(value, "dtype", None), "kind", "") in ("i", "u", "b")


def _rank(value: Any) -> tuple[Any, ...]:
    """Where Python 2 sorted values of different types: None, numbers, then by the type's name."""
    if value is None:
        return (0, "")
    if isinstance(value, (int, float)):
        return (1, "")
    return (2, "str" if isinstance(value, str) else type(value).__name__)


def compare(first: Any, second: Any) -> int:
    """Python 2's cmp: -1, 0 or 1, for any two values."""
    try:
        return int(bool(first > second)) - int(bool(first < second))
    except TypeError:
        pass
    if isinstance(first, (list, tuple)) and type(first) is type(second):
        for pair in zip(first, second):
            if pair[0] != pair[1]:
                return compare(*pair)
        return compare(len(first), len(second))
    one, two = _rank(first), _rank(second)
    if one == two:  # of one type that has no order
        one, two = (id(first),), (id(second),)
    return int(one > two) - int(one < two)


def _comparison(operate: Callable[[Any, Any], Any], of_cmp: Callable[[int], bool]) -> Callable[[Any, Any], Any]:
    def compared(first: Any, second: Any) -> Any:
        try:
            return operate(first, second)
        except TypeError:
            if hasattr(first, "dtype") or hasattr(second, "dtype"):
                raise
            return of_cmp(compare(first, second))

    return compared


less = _comparison(operator.lt, lambda order: order < 0)
less_or_equal = _comparison(operator.le, lambda order: order <= 0)
greater = _comparison(operator.gt, lambda order: order > 0)
greater_or_equal = _comparison(operator.ge, lambda order: order >= 0)


def equal(first: Any, second: Any) -> Any:
    """first == second, where bytes are the text that they were."""
    return as_text(first) == as_text(second) if _are_mixed(first, second) else first == second


def not_equal(first: Any, second: Any) -> Any:
    return as_text(first) != as_text(second) if _are_mixed(first, second) else first != second


def _are_mixed(first: Any, second: Any) -> bool:
    return isinstance(first, (bytes, str)) and isinstance(second, (bytes, str)) and type(first) is not type(second)


def add(first: Any, second: Any) -> Any:
    return as_text(first) + as_text(second) if _are_mixed(first, second) else first + second


def modulo(first: Any, second: Any) -> Any:
    """first % second: of a text its format, in which bytes are the text that they were."""
    if not isinstance(first, str):
        return first % second
    if isinstance(second, tuple):
        return first % tuple(map(as_text, second))
    if isinstance(second, dict):
        return first % {key: as_text(value) for key, value in second.items()}
    return first % as_text(second)


def method(value: Any, name: str, *arguments: Any, **keywords: Any) -> Any:
    """value.name(...), a method that text and bytes have: with both in it, all of it is text."""
    if isinstance(value, bytes) and any(isinstance(each, str) for each in _flat(arguments)):
        value = as_text(value)
    if isinstance(value, str):
        arguments = tuple(map(_texts if name == "join" else as_text, arguments))
        keywords = {key: as_text(each) for key, each in keywords.items()}
    return getattr(value, name)(*arguments, **keywords)


def _flat(arguments: Iterable[Any]) -> Iterator[Any]:
    for each in arguments:
        yield from each if isinstance(each, (list, tuple)) else (each,)


def _texts(values: Any) -> Any:
    return list(map(as_text, values))


def _key(cmp: Optional[Callable[[Any, Any], int]], key: Optional[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    ordered = functools.cmp_to_key(cmp or compare)
    return (lambda value: ordered(key(value))) if key is not None else ordered


def sort(values: Any, *arguments: Any, **keywords: Any) -> Any:
    """values.sort(cmp, key, reverse) of a list; of anything else its own method."""
    if not isinstance(values, list):
        return values.sort(*arguments, **keywords)
    values[:] = sorted_(values, *arguments, **keywords)
    return None


def sorted_(
    values: Iterable[Any],
    cmp: Optional[Callable[[Any, Any], int]] = None,
    key: Optional[Callable[[Any], Any]] = None,
    reverse: bool = False,
) -> list[Any]:
    values = list(values)
    if cmp is None:
        try:
            return builtins.sorted(values, key=key, reverse=bool(reverse))
        except TypeError:
            pass
    return builtins.sorted(values, key=_key(cmp, key), reverse=bool(reverse))


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(*values: Any, **keywords: Any) -> Any:
        if len(values) == 1:
            values = (list(values[0]),)
        try:
            return function(*values, **keywords)
        except TypeError:
            return function(*values, key=_key(None, keywords.get("key")))

    return extreme


def decode(value: Any, *arguments: Any, **keywords: Any) -> Any:
    """value.decode(...), also of text, which was bytes then."""
    if not isinstance(value, str):
        return value.decode(*arguments, **keywords)
    encoding = str(keywords.get("encoding", arguments[0] if arguments else "ascii")).lower()
    if encoding in ("hex", "base64", "zip", "bz2", "rot13", "string_escape", "string-escape"):
        return _special(codecs.decode, value, encoding)
    return as_bytes(value).decode(*arguments, **keywords)


def encode(value: Any, *arguments: Any, **keywords: Any) -> Any:
    encoding = str(keywords.get("encoding", arguments[0] if arguments else "ascii")).lower()
    if encoding in ("hex", "base64", "zip", "bz2", "rot13") and isinstance(value, (str, bytes)):
        return _special(codecs.encode, value, encoding)
    if isinstance(value, bytes):
        return value.decode("ascii").encode(*arguments, **keywords)
    return value.encode(*arguments, **keywords)


def _special(function: Any, value: Any, encoding: str) -> Any:
    if encoding == "rot13":
        return function(value, encoding)
    if "string" in encoding:
        return codecs.decode(as_bytes(value), "unicode_escape")
    found = function(as_bytes(value), encoding)
    return as_text(found) if function is codecs.encode and encoding in ("hex", "base64") else found


def message(error: BaseException) -> Any:
    """error.message: its only argument."""
    own = getattr(error, "__dict__", {})
    return own.get("message", error.args[0] if len(error.args) == 1 else "")


def ordered_by_cmp(kind: type) -> type:
    """A class whose __cmp__ orders its objects."""
    methods: Any = {
        "__lt__": lambda self, other: self.__cmp__(other) < 0,
        "__le__": lambda self, other: self.__cmp__(other) <= 0,
        "__gt__": lambda self, other: self.__cmp__(other) > 0,
        "__ge__": lambda self, other: self.__cmp__(other) >= 0,
        "__eq__": lambda self, other: self.__cmp__(other) == 0,
        "__ne__": lambda self, other: self.__cmp__(other) != 0,
    }
    for name, method in methods.items():
        if name not in vars(kind):
            setattr(kind, name, method)
    if "__hash__" not in vars(kind):
        kind.__hash__ = object.__hash__  # type: ignore[assignment]
    return kind


def hashed_as_before(kind: type) -> type:
    """A class with __eq__ alone: its objects keep the hash of its base."""
    if vars(kind).get("__hash__", 0) is None:
        del kind.__hash__  # type: ignore[misc]
    return kind


def print_(*values: Any, **keywords: Any) -> None:
    """print, of bytes as the text that they were."""
    builtins.print(*map(as_text, values), **keywords)


def map_(function: Optional[Callable[..., Any]], *values: Iterable[Any]) -> list[Any]:
    if len(values) == 1:
        return list(values[0]) if function is None else [function(value) for value in values[0]]
    rows = itertools.zip_longest(*values)
    return list(rows) if function is None else [function(*row) for row in rows]


def filter_(function: Optional[Callable[[Any], Any]], values: Any) -> Any:
    found = [value for value in values if (function(value) if function is not None else value)]
    if isinstance(values, str):
        return "".join(found)
    return tuple(found) if type(values) is tuple else found


def round_(value: Any, digits: int = 0) -> float:
    """Halves away from zero; a float."""
    scale = 10.0**digits
    scaled = float(value) * scale
    if scaled != scaled or abs(scaled) >= 2**52:
        return float(value)
    whole = float(int(scaled))
    if abs(scaled - whole) >= 0.5:
        whole += 1.0 if scaled > 0 else -1.0
    return float(builtins.round(whole / scale, digits)) if digits > 0 else whole / scale


class File(io.TextIOWrapper):
    """A file opened as text: bytes may be written to it, and no line ending is changed."""

    def xreadlines(self) -> Iterator[str]:
        return iter(self)

    def write(self, piece: Any) -> int:
        if isinstance(piece, str):
            return super().write(piece)
        self.flush()
        self.buffer.write(piece)
        return len(piece)


class BinaryWriter(io.BufferedWriter):
    def write(self, piece: Any) -> int:
        return super().write(as_bytes(piece))


def open_(name: Any, mode: str = "r", buffering: int = -1, **keywords: Any) -> Any:
    """open: text is UTF-8, and bytes that are no UTF-8 come out again as they went in."""
    mode = mode.replace("U", "") or "r"
    if not any(letter in mode for letter in "rwax"):
        mode = "r" + mode
    if keywords or "+" in mode:
        return builtins.open(name, mode, buffering, **keywords)
    if "b" in mode:
        if "r" in mode:
            return builtins.open(name, mode, buffering)
        return BinaryWriter(io.FileIO(name, mode.replace("b", "")))
    raw = builtins.open(name, mode.replace("t", "") + "b")  # noqa: SIM115 - the caller closes it
    return File(raw, encoding="utf-8", errors="surrogateescape", newline="\n", line_buffering=buffering == 1)


def execfile(path: str, globals: Any = None, locals: Any = None) -> None:
    with builtins.open(path, "rb") as stream:
        _execute(stream.read(), os.path.abspath(path), globals, locals)


def exec_(code: Any, globals: Any = None, locals: Any = None) -> None:
    _execute(code, "<string>", globals, locals)


def _execute(code: Any, path: str, globals: Any, locals: Any) -> None:
    """Of text, Python 2; in the scope of who called the caller, or in the scopes given."""
    from vmz.mends.python2.hook import translate

    frame = sys._getframe(2)
    if globals is None:
        globals, locals = frame.f_globals, frame.f_locals
    globals.setdefault("__builtins__", frame.f_builtins)
    if isinstance(code, (str, bytes)):
        code, _ = translate(as_bytes(code), path)
    exec(code, globals, globals if locals is None else locals)


def input_(prompt: str = "") -> Any:
    frame = sys._getframe(1)
    return eval(builtins.input(prompt), frame.f_globals, frame.f_locals)


class _Unicode(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, str)

    def __eq__(cls, other: object) -> bool:
        return other is str or other is unicode

    def __hash__(cls) -> int:
        return hash(str)

    def __call__(cls, value: Any = "", encoding: Optional[str] = None, errors: str = "strict") -> str:
        return str(as_text(value)) if encoding is None else str(as_bytes(value).decode(encoding, errors))


class unicode(str, metaclass=_Unicode):
    """Text: what it makes is a str. It decodes text too, which was bytes then."""


class _Text(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, (str, bytes))


class basestring(metaclass=_Text):
    """What is text or bytes; Python 2's name."""


def chr_(number: int) -> str:
    """The character of a byte."""
    return str(as_text(bytes([number])))


def ord_(character: Any) -> int:
    found = ord(character)
    return found - 0xDC00 if 0xDC80 <= found <= 0xDCFF else found


def _list_of(function: Callable[..., Iterable[Any]]) -> Callable[..., list[Any]]:
    def listed(*arguments: Any, **keywords: Any) -> list[Any]:
        return list(function(*arguments, **keywords))

    return listed


def reduce_(function: Callable[[Any, Any], Any], values: Iterable[Any], *initial: Any) -> Any:
    return functools.reduce(function, values, *initial)


def python2_builtins(import_: Callable[..., Any]) -> dict[str, Any]:
    """The builtins of a translated module: all of today's, with those that meant something else or are gone."""
    own: dict[str, Any] = {
        "basestring": basestring,
        "buffer": lambda value: memoryview(as_bytes(value)),
        "chr": chr_,
        "cmp": compare,
        "exec": exec_,
        "execfile": execfile,
        "file": open_,
        "filter": filter_,
        "input": input_,
        "map": map_,
        "max": _extreme(max),
        "min": _extreme(min),
        "open": open_,
        "ord": ord_,
        "print": print_,
        "range": _list_of(range),
        "reduce": reduce_,
        "round": round_,
        "sorted": sorted_,
        "unicode": unicode,
        "zip": _list_of(zip),
        "__import__": import_,
    }
    return {**vars(builtins), **BUILTINS, **own}
