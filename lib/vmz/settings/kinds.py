"""What a setting can be: functions of its text, which refuse what is not such a value or is out of range."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from vmz.text import quoted


class BadValue(ValueError):
    """A text that is not such a value, in one sentence."""


@dataclass(frozen=True)
class Integer:
    """The kind of a setting that takes integers, from `least` to `most`."""

    least: int = -(1 << 31)
    most: int = (1 << 31) - 1

    def __call__(self, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise BadValue(f"{quoted(text)} is not an integer") from None
        return int(_within(value, self.least, self.most))


@dataclass(frozen=True)
class Number:
    """The kind of a setting that takes numbers, from `least` to `most`; neither NaN nor infinite."""

    least: float = -1e30
    most: float = 1e30

    def __call__(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise BadValue(f"{quoted(text)} is not a number") from None
        if not math.isfinite(value):
            raise BadValue(f"{quoted(text)} is not a finite number")
        return _within(value, self.least, self.most)


def _within(value: Any, least: Any, most: Any) -> Any:
    if value < least:
        raise BadValue(f"{quoted(value)} is {'negative' if least == 0 else f'not at least {least}'}")
    if value > most:
        raise BadValue(f"{quoted(value)} is more than {most}, the most that is taken")
    return value


positive = Integer(1)
not_negative = Integer(0)
SEED = Integer(0, (1 << 31) - 2)  # seed + 1 is used too


def switch(text: str) -> int:
    """0 or 1, the original's way of writing a boolean."""
    if text not in ("0", "1"):
        raise BadValue(f"{quoted(text)} is not 0 or 1")
    return int(text)


def device(text: str) -> str:
    """The name of a device; whether it is here is for the engine to say."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise BadValue(f"unknown device {quoted(text)}; the devices are auto, cpu, cuda and cuda:N")
    return text


def epochs(text: str) -> str:
    """Numbers of epochs that rise, as 10,20,30; kept as text, as the original keeps its lists."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    rise = all(later > earlier for earlier, later in zip([0.0, *values], values))
    if not values or not rise or not math.isfinite(values[-1]):
        raise BadValue(f"{quoted(text)} is not a list of epochs that rises, such as 10,20,30")
    return text
