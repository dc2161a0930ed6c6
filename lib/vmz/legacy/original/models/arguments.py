"""Arguments as programs give them, of NumPy's types or as flags of any kind, for a checked object of ours."""

from __future__ import annotations

import dataclasses
import numbers
from typing import Any, Callable, TypeVar

Made = TypeVar("Made")


def config_of(make: Callable[..., Made], **given: Any) -> Made:
    """`make`, a dataclass, of plain Python values: its flags are what is true of them, its numbers int or float."""
    kinds = {field.name: str(field.type) for field in dataclasses.fields(make)}  # type: ignore[arg-type]
    return make(**{name: _plain(value, kinds[name]) for name, value in given.items()})


def _plain(value: Any, kind: str) -> Any:
    if kind == "bool":
        return bool(value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        number = float(value)
        return int(number) if isinstance(value, numbers.Integral) or (kind == "int" and number.is_integer()) else number
    return value
