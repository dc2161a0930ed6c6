"""JSON that others wrote: read within bounds, and checked against what it should hold before anything uses it.

A form says what a value is: a type (float takes integers, dict and list anything inside), None, a tuple of forms of
which one must fit, [form] for a list of such, Each(form) for an object of any names, or {name: form} for one of these
names, where "name?" may be absent and names that the form lacks are let pass.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Optional, TypeVar

from vmz.errors import UsageError, VmzError
from vmz.files import read_text
from vmz.text import counted, cut, printable, quoted

T = TypeVar("T")
DEEPEST = 100  # objects and lists inside one another
LONGEST_INTEGER = 20  # digits: 64 bits
_IN_WORDS = {
    int: "an integer",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


@dataclass(frozen=True)
class Each:
    """The form of an object with any names, whose values all are of `form`."""

    form: Any


def read_json(
    path: Path, name: str, form: Any = object, error: type[VmzError] = UsageError, remedy: str = "", finite: bool = True
) -> Any:
    """What the file holds; `parse_json` says of what it raises."""
    try:
        text = read_text(path, name)
    except UsageError as failed:
        raise error(f"{failed}{remedy and f'; {remedy}'}") from failed
    return parse_json(text, name, form, error, remedy, finite)


def parse_json(
    text: str, name: str, form: Any = object, error: type[VmzError] = UsageError, remedy: str = "", finite: bool = True
) -> Any:
    """The value of a JSON text called `name`.

    finite: NaN and the infinities, which JSON has not, are refused. Raises `error`, with `remedy` at the end, for what
    is not JSON, names something twice, is nested too deeply or holds an integer of more than 64 bits; and for what is
    not of the `form`.
    """
    after = f"; {remedy}" if remedy else ""
    try:
        _refuse_depth(text)
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_no_constant if finite else float,
            object_pairs_hook=_object,
        )
        if re.search(r"\\ud", text, re.IGNORECASE):
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair is no text
    except UnicodeEncodeError as failed:
        raise error(f"{name} is not JSON: it has half of a surrogate pair{after}") from failed
    except (ValueError, RecursionError) as failed:
        raise error(f"{name} is not JSON: {failed}{after}") from failed
    wrong = misfit(value, form)
    if wrong:
        raise error(f"{name} is not as expected: {wrong}{after}")
    return value


def instance(kind: type[T], entry: Mapping[str, Any]) -> T:
    """The dataclass of an object that is of its form; names that are no fields are let pass."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in entry.items() if name in names})


def misfit(value: Any, form: Any, at: str = "") -> Optional[str]:
    """What of `value` is not of the form, in words; None where all is."""
    if form is object:
        return None
    if isinstance(form, tuple):
        found = [misfit(value, one, at) for one in form]
        return None if None in found else f"{at or 'it'} is {quoted(value)}, not {_words(form)}"
    if isinstance(form, list):
        if not isinstance(value, list):
            return f"{at or 'it'} is {quoted(value)}, not a list"
        return _first(misfit(entry, form[0], f"{at}[{place}]") for place, entry in enumerate(value))
    if isinstance(form, Each):
        if not isinstance(value, dict):
            return f"{at or 'it'} is {quoted(value)}, not an object"
        return _first(
            misfit(entry, form.form, f"{at}.{cut(printable(name), 50)}".lstrip(".")) for name, entry in value.items()
        )
    if isinstance(form, Mapping):
        if not isinstance(value, dict):
            return f"{at or 'it'} is {quoted(value)}, not an object"
        lacking = next((name for name in form if not name.endswith("?") and name not in value), None)
        if lacking is not None:
            return f"{at or 'it'} has no {lacking!r}"
        wanted = {name.rstrip("?"): one for name, one in form.items()}
        return _first(
            misfit(value[name], one, f"{at}.{name}".lstrip(".")) for name, one in wanted.items() if name in value
        )
    if _is(value, form):
        return None
    return f"{at or 'it'} is {quoted(value)}, not {_words(form)}"


def _is(value: Any, form: Any) -> bool:
    if form is None:
        return value is None
    if form in (int, float):
        kinds = (int,) if form is int else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, form)


def _words(form: Any) -> str:
    if isinstance(form, tuple):
        return " or ".join(_words(one) for one in form)
    if isinstance(form, list):
        return "a list"
    return "null" if form is None else _IN_WORDS.get(form, "an object") if isinstance(form, type) else "an object"


def _first(found: Any) -> Optional[str]:
    return next((one for one in found if one is not None), None)


def _refuse_depth(text: str) -> None:
    depth, inside = 0, False
    skip = -1
    for found in re.finditer(r'["\\\[\]{}]', text):
        letter, place = found[0], found.start()
        if place == skip:
            continue
        if inside:
            if letter == "\\":
                skip = place + 1
            elif letter == '"':
                inside = False
        elif letter == '"':
            inside = True
        elif letter in "[{":
            depth += 1
            if depth > DEEPEST:
                raise ValueError(f"it is nested more than {DEEPEST} levels deep (character {place})")
        elif letter in "]}":
            depth -= 1


def _integer(text: str) -> int:
    if len(text) > LONGEST_INTEGER:
        raise ValueError(f"an integer of {counted(len(text), 'digit')}, which does not fit in 64 bits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {quoted(text)} is too large")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number in JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {quoted(name)} appears twice in one object")
            seen.add(name)
    return found
